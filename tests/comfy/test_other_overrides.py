"""An attention override of another pack on the same model: what it takes, and what passes it by."""

import functools

import pytest
import torch
from sagekit.check.reference import relative_error
from sagekit.core.attention.dispatch import Kernels
from sagekit.core.attention.settings import Settings
from sagekit.host import others
from support.sampling import STEPS, sample

CALLS = 4 * STEPS


class PathchSageAttentionKJ:
    """The name, and the form, in which KJNodes puts SageAttention on a model."""

    def __init__(self) -> None:
        self.calls = 0

    def patch(self, model):
        patched = model.clone()

        def attention_override_sage(func, *args, **kwargs):
            self.calls += 1
            return func(*args, **kwargs) * 1.02

        patched.model_options["transformer_options"]["optimized_attention_override"] = attention_override_sage
        return patched


@pytest.fixture
def sage():
    return PathchSageAttentionKJ()


@pytest.mark.parametrize(
    "settings",
    [Settings("rough", quality="exact"), Settings("rough", start_percent=1.0), Settings("wrong")],
    ids=["quality", "steps", "guard"],
)
def test_what_must_be_exact_passes_a_quantised_one_by(wan, patch_model, sage, settings):
    plain = sample(wan)
    calls_before = sage.calls
    latent = sample(patch_model(sage.patch(wan), settings))
    if settings.kernel == "wrong":
        # Refused at its first call: what it does not take is the other pack's, as without our node.
        assert sage.calls == calls_before + CALLS
    else:
        assert sage.calls == calls_before
        assert relative_error(latent, plain) < 0.001


def test_switched_off_our_node_leaves_the_other_one_all_calls(wan, patch_model, sage):
    alone = sample(sage.patch(wan))
    assert torch.equal(sample(patch_model(sage.patch(wan), Settings("off"))), alone)
    assert sage.calls == 2 * CALLS


def test_a_step_that_is_run_again_passes_it_by(wan, patch_model, sage, session):
    """The kernel turns to NaN in the middle: what follows is exact, and none of it the other pack's."""
    from support import fake_kernels

    turning = fake_kernels.in_a_model()["turning"]["attend"]
    plain = sample(wan)
    latent = sample(patch_model(sage.patch(wan), Settings("turning")))
    assert sage.calls == 0 and relative_error(latent, plain) < 0.001
    assert turning.left == 6  # A kernel of its own, not the one that ran here.
    assert "run again with exact attention" in session.runs.ended()[0]["notes"][0]


def test_one_that_is_not_known_to_quantise_keeps_calls_that_must_be_exact(wan, patch_model):
    calls = []

    def regional(func, *args, **kwargs):
        calls.append(1)
        return func(*args, **kwargs)

    model = wan.clone()
    model.model_options["transformer_options"]["optimized_attention_override"] = regional
    sample(patch_model(model, Settings("rough", quality="exact")))
    assert len(calls) == CALLS


def holds(function):
    """An override as ComfyUI's own node makes it."""

    def optimized_attention_override(_, *args, **kwargs):
        return function(*args, **kwargs)

    return optimized_attention_override


def named(name):
    def function(*args, **kwargs):
        return None

    function.__qualname__ = name
    return function


@pytest.mark.parametrize(
    ("override", "quantised"),
    [
        (named("PathchSageAttentionKJ.patch.<locals>.attention_override_sage"), True),
        (holds(named("attention_comfy_kitchen_int8")), True),
        (holds(named("attention3_sage")), True),
        (holds(named("attention_pytorch")), False),
        (named("Messages.usage"), False),
        (functools.partial(print), False),
    ],
)
def test_a_quantised_override_is_known_by_its_name_and_by_what_it_holds(override, quantised):
    assert others.quantises(override) is quantised


def test_a_kernel_is_timed_against_whoever_would_run_the_call(wan, patch_model, sage, monkeypatch, session):
    from support import fake_kernels

    session.kernels = Kernels({"right": fake_kernels.backend("right")})
    sample(patch_model(sage.patch(wan), Settings("auto")))
    ((found,),) = [calls.values() for calls in session.times.newest(9).values()]
    assert any(name.startswith("override ") and "attention_override_sage" in name for name in found)
