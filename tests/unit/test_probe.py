"""The probe: what is broken is found, what dies is survived, and the next kernel gets its verdict."""

import time
from pathlib import Path

import pytest
from sagekit.check.probe import Probe
from sagekit.check.verdicts import (
    CRASHED,
    NOT_IMPORTABLE,
    OK,
    REFUSED,
    TIMED_OUT,
    WRONG,
)

pytest.importorskip("torch", reason="the probe's child needs torch, which is not installed")

DECLARATIONS = Path(__file__).resolve().parents[1] / "support" / "probed_kernels.py"


@pytest.fixture(scope="module")
def probe():
    with Probe("cpu", declarations=DECLARATIONS, limit=40) as running:
        yield running


def test_a_kernel_that_is_right_is_ok_with_its_error(probe):
    verdict = probe.check("right")
    assert verdict.state == OK and 0 < verdict.error < 0.01 and verdict.cases > 100, verdict


@pytest.mark.parametrize(
    ("kernel", "where"),
    [
        ("drops_the_mask", "bool mask"),
        ("drops_the_scale", "error"),
        ("swaps_the_layout", "error"),
        ("shifts_the_rows", "error"),
        ("counts_the_padding", "error"),
        ("swallows_a_key_head", "error"),
        ("casts_to_half", "large-v"),
        ("reads_behind_the_end", "NaN behind"),
        ("changes_its_inputs", "changed its inputs"),
        ("answers_differently", "two answers"),
        ("answers_nan", "NaN or Inf"),
        ("answers_zeros", "error"),
        ("raises", "raised ValueError: Unsupported head_dim: 64"),
    ],
)
def test_a_broken_kernel_is_wrong_and_the_verdict_says_where(probe, kernel, where):
    verdict = probe.check(kernel)
    assert verdict.state == WRONG and where in verdict.detail, verdict


@pytest.mark.parametrize(
    ("kernel", "state", "words"),
    [
        ("aborts", CRASHED, "SIGABRT"),
        ("exits", CRASHED, "code 3"),
        ("loses_the_gpu", CRASHED, "illegal memory access"),
        ("aborts_on_import", CRASHED, "while it was loaded"),
        ("fails_to_import", NOT_IMPORTABLE, "DLL load failed while importing _fused"),
        ("lacks_a_module", NOT_IMPORTABLE, "no_such_compiled_module"),
        ("takes_nothing", REFUSED, "dtype"),
    ],
)
def test_what_it_does_is_told_and_the_next_kernel_is_checked(probe, kernel, state, words):
    verdict = probe.check(kernel)
    assert verdict.state == state and words in verdict.detail, verdict
    assert probe.check("takes_nothing").state == REFUSED


def test_a_kernel_that_hangs_is_ended_at_the_limit():
    with Probe("cpu", declarations=DECLARATIONS, limit=30) as probe:
        begin = time.monotonic()
        verdict = probe.check("sleeps")
        assert verdict.state == TIMED_OUT and time.monotonic() - begin < 60, verdict
        assert probe.check("takes_nothing").state == REFUSED


def test_what_a_library_prints_does_not_disturb_the_talk(probe):
    assert probe.check("chatters").state == OK


def test_the_child_ends_with_its_parent(probe):
    probe.check("takes_nothing")
    child = probe._child
    child._process.stdin.close()
    assert child._process.wait(timeout=20) == 0


def test_progress_names_the_kernel_and_the_case():
    heard = []
    with Probe("cpu", declarations=DECLARATIONS, progress=lambda *said: heard.append(said)) as probe:
        probe.check("answers_zeros")
    assert heard[0] == ("answers_zeros", "") and "bfloat16" in heard[1][1]
