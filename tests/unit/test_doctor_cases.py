"""Real public reports: the doctor is right about each, or it stands among those it is not right about yet."""

import pytest
from support.doctor_cases import MISLEADING, PARTLY, RIGHT, SILENT, cases, judged

# What the doctor is not right about yet. The lists only shrink: one that turns right fails until it is out.
LOGS_NOT_RIGHT: frozenset[str] = frozenset()
PLANS_NOT_RIGHT: frozenset[str] = frozenset()


@pytest.mark.parametrize("case", cases("explain"), ids=lambda case: case.name)
def test_a_log_is_answered_rightly_or_stands_among_those_that_are_not_yet(case):
    verdict = judged(case.truth, case.said())
    assert (verdict != RIGHT) == (case.name in LOGS_NOT_RIGHT), f"{verdict}: {case.truth['cause']}"


@pytest.mark.parametrize("case", cases("plan"), ids=lambda case: case.name)
def test_a_plan_is_right_or_stands_among_those_that_are_not_yet(case):
    verdict = judged(case.truth, case.said())
    assert (verdict != RIGHT) == (case.name in PLANS_NOT_RIGHT), f"{verdict}: {case.truth['cause']}"


def test_those_that_are_not_right_yet_are_cases():
    assert {one.name for one in cases("explain")} >= LOGS_NOT_RIGHT
    assert {one.name for one in cases("plan")} >= PLANS_NOT_RIGHT


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("", SILENT),
        ("Update the driver.", MISLEADING),
        ("Something about Triton.", PARTLY),
        ("Something about\nTriton: empty its   cache.", RIGHT),
    ],
)
def test_the_judge_knows_the_four_verdicts(said, verdict):
    truth = {"must_say": [["triton"], ["empty its cache", "clear"]], "must_not_say": ["driver"]}
    assert judged(truth, said) == verdict
