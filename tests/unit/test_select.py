"""Choosing: order, budget, and the reasons of those passed over."""

from dataclasses import replace

import pytest
from sagekit.kernels_check.backends import declare
from sagekit.kernels_check.select import _ORDERS, BUDGETS, Candidate, automatic, choose
from support.machines import CALL, FULL, HOPPER, SAGE1

NAMES = {one.name for one in declare({})}


def chosen(call, packages=FULL, budget=BUDGETS["balanced"]):
    choice = choose(call, automatic(call, declare(packages)), budget)
    return choice.backend and choice.backend.name


def test_every_name_in_the_orders_is_a_kernel():
    assert {name for order in _ORDERS.values() for name, _ in order} <= NAMES


@pytest.mark.parametrize(
    ("call", "packages", "expected"),
    [
        (CALL, FULL, "sage2-int8-fp8-acc-fp32+fp16"),
        (replace(CALL, capability=(8, 6)), FULL, "sage2-int8-fp16"),
        (replace(CALL, capability=(8, 6)), SAGE1, "kitchen-int8"),
        (replace(HOPPER, kv_len=32760), FULL, "sage2-int8-fp8-sm90"),
        (HOPPER, FULL, "flash3"),
        (replace(HOPPER, kv_len=77), FULL, None),
        (replace(CALL, kv_len=77), FULL, None),
        (replace(CALL, mask="bool"), FULL, "kitchen-int8"),
        (replace(CALL, needs_exact=True), FULL, None),
        (replace(CALL, capability=(6, 1)), FULL, None),
        (replace(CALL, device="cpu", capability=None), FULL, None),
    ],
)
def test_auto_chooses(call, packages, expected):
    assert chosen(call, packages) == expected


def test_nothing_quantised_fits_the_exact_budget():
    assert chosen(CALL, budget=BUDGETS["exact"]) is None
    assert chosen(replace(HOPPER, kv_len=32760), budget=BUDGETS["exact"]) == "flash3"


def test_all_that_came_before_the_choice_is_kept_with_every_reason():
    call = replace(HOPPER, head_dim=112, mask="none")
    choice = choose(call, automatic(call, declare(SAGE1)), BUDGETS["balanced"])
    assert choice.backend.name == "flash3"
    ((name, reasons),) = choice.passed_over
    assert name == "sage2-int8-fp8-sm90"
    assert [reason.code for reason in reasons] == ["version", "short"]


def test_without_a_taker_the_host_runs_and_no_candidate_is_lost():
    candidates = [Candidate(one) for one in declare({})]
    choice = choose(CALL, candidates)
    assert choice.backend is None
    assert {name for name, _ in choice.passed_over} == NAMES
