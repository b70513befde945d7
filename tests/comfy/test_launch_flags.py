"""The node under a launch flag that puts a kernel under every model: it turns it off, or leaves it be."""

import pytest
from support import workflows
from support.workflows import sage

FLAGS = {"--use-sage-attention": "sageattention", "--use-flash-attention": "flash_attn"}


@pytest.fixture(scope="module")
def without_flag(plain) -> bytes:
    return plain.latent(workflows.sampling("wan"))


@pytest.fixture(scope="module", params=list(FLAGS))
def flagged(request, start):
    """A server under a flag, with a stand-in for the kernel that halves every result."""
    with start(request.param, kernels=FLAGS[request.param]) as running:
        yield running


@pytest.fixture(scope="module")
def under_flag(flagged, without_flag) -> bytes:
    """The bits without the node under the flag; the stand-in must have made them others."""
    bits = flagged.latent(workflows.sampling("wan"))
    assert bits != without_flag
    return bits


def test_off_gives_the_bits_of_a_start_without_the_flag(flagged, under_flag, without_flag):
    assert flagged.latent(workflows.sampling("wan", sage("off"))) == without_flag


def test_auto_falls_back_to_what_the_flag_chose(flagged, under_flag):
    assert flagged.latent(workflows.sampling("wan", sage("auto"))) == under_flag


def test_steps_outside_the_range_run_exact_attention_in_place_of_the_flags_kernel(
    flagged, under_flag, without_flag
):
    never = sage("auto", start_percent=1.0)
    assert flagged.latent(workflows.sampling("wan", never)) == without_flag


def test_the_model_without_the_node_is_the_same_before_and_after_a_run_with_it(
    flagged, under_flag, without_flag
):
    assert flagged.latent(workflows.sampling("wan", sage("off"))) == without_flag
    assert flagged.latent(workflows.sampling("wan")) == under_flag
    assert "model" in flagged.reused


def test_a_node_set_to_off_behind_another_one_turns_the_flag_off_as_well(flagged, under_flag, without_flag):
    assert flagged.latent(workflows.sampling("wan", sage("auto"), sage("off"))) == without_flag


def test_a_node_set_to_auto_behind_another_one_set_to_off_follows_the_flag(flagged, under_flag):
    assert flagged.latent(workflows.sampling("wan", sage("off"), sage("auto"))) == under_flag


def test_the_log_has_no_traceback(flagged, under_flag):
    assert "Traceback" not in flagged.log()
