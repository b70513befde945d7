"""Choosing among declarations: who takes a call, and why the others do not."""

from dataclasses import replace

import pytest
from sagekit.kernels.families import declare
from sagekit.kernels.select import Candidate, choose
from sagekit.machine.reason import Reason
from support.machines import CALL, FULL, HOPPER, SAGE1

NAMES = {one.name for one in declare({})}


def takers(call, packages=FULL, exact=False):
    candidates = [Candidate(one) for one in declare(packages)]
    return {one.name for one in choose(call, candidates, exact).takers}


EXACT_HOPPER = {"flash2", "flash3", "flash4", "sdpa-flash", "sdpa-cudnn", "sdpa-efficient", "xformers"}


@pytest.mark.parametrize(
    ("call", "packages", "expected"),
    [
        (HOPPER, FULL, EXACT_HOPPER | {"kitchen-int8", "sage2-int8-fp16-triton", "sage2-int8-fp8-sm90"}),
        (replace(HOPPER, needs_exact=True), FULL, EXACT_HOPPER),
        (replace(HOPPER, needs_grad=True), FULL, set()),
        (replace(CALL, dtype="float32"), FULL, set()),
        (replace(CALL, device="cpu", capability=None), FULL, set()),
        (replace(CALL, capability=(6, 1)), FULL, set()),
    ],
)
def test_who_takes_a_call(call, packages, expected):
    assert takers(call, packages) == expected


def test_sage1_takes_what_its_own_package_takes():
    call = replace(CALL, capability=(8, 6))
    assert "sage1-int8-fp16" in takers(call, SAGE1) and "sage2-int8-fp16" not in takers(call, SAGE1)
    assert "sage1-int8-fp16" not in takers(replace(call, kv_len=77), SAGE1)


def test_nothing_quantised_is_chosen_where_all_must_be_exact():
    assert takers(HOPPER, exact=True) == EXACT_HOPPER


def test_a_kernel_that_is_not_proven_here_is_passed_over_for_that_reason():
    unchecked = Reason("unchecked", "a kernel check that it passes", "none yet")
    candidates = [Candidate(one, unchecked) for one in declare(FULL)]
    choice = choose(HOPPER, candidates)
    assert choice.takers == ()
    assert unchecked in dict(choice.passed_over)["sage2-int8-fp8-sm90"]


def test_every_candidate_is_a_taker_or_passed_over_with_every_reason():
    call = replace(HOPPER, head_dim=112, mask="bool")
    choice = choose(call, [Candidate(one) for one in declare(SAGE1)])
    passed_over = dict(choice.passed_over)
    assert {one.name for one in choice.takers} | set(passed_over) == NAMES
    assert [one.code for one in passed_over["sage1-int8-fp16"]] == ["head-dim", "mask"]
    assert [one.code for one in passed_over["sage2-int8-fp8-sm90"]] == ["version", "mask"]
