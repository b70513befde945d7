"""What a run gained, where its time went and what would gain more, by measured times alone."""

from dataclasses import replace

import pytest
from sagekit.core import catalogue
from sagekit.core.attention.plan import OnHost, Routed
from sagekit.core.attention.report import Report
from sagekit.core.attention.run import Run
from sagekit.core.attention.settings import Settings
from sagekit.kernels.backend import Kernel
from sagekit.kernels.call import Call

SELF = Call(1, 40, 40, 32760, 32760, 128, "bfloat16", "cuda", (9, 0), "GPU")
CROSS = replace(SELF, kv_len=512)
SAGE = Routed(
    name="sage2-int8-fp8", kernel=Kernel(None), call=SELF, milliseconds=25.0, host_milliseconds=40.0
)
HOST = OnHost(why="no-faster-kernel", call=CROSS, milliseconds=1.0)


@pytest.fixture
def speed(session):
    """speed(settings, {plan: calls}, seconds) is what a page is told of such a run's speed."""

    def of(settings, counts, seconds=10.0, measuring=0.0):
        run = Run(settings, "WAN21", 0.0, 1, seconds=seconds, measuring=measuring)
        run.counts.update(counts)
        return run.as_data(session.times, now=seconds)["speed"]

    return of


def test_a_gain_is_what_the_hosts_own_attention_would_have_taken_longer(speed):
    found = speed(Settings(), {SAGE: 200, HOST: 1000})
    assert (found["without"], found["gain"], found["saved"]) == (13.0, 1.3, 3.0)


def test_measuring_is_no_part_of_what_a_run_without_would_have_taken(speed):
    found = speed(Settings(), {SAGE: 200}, measuring=2.0)
    assert (found["without"], found["gain"], found["measuring"]) == (11.0, 1.1, 2.0)


def test_what_nobody_measured_has_no_number(speed):
    untimed = replace(SAGE, milliseconds=None)
    found = speed(Settings("sage2-int8-fp8"), {untimed: 200})
    assert [found[one] for one in ("gain", "without", "saved", "parts")] == [None, None, None, []]
    assert (found["timed_calls"], found["calls"]) == (0, 200)
    assert found["advice"].code == "advice-auto-measures"


def test_time_is_shared_out_by_kernel_and_kind_of_call(speed):
    largest, smallest = speed(Settings(), {SAGE: 200, HOST: 1000})["parts"]
    assert (largest["kernel"], largest["kind"], largest["tokens"], largest["seconds"]) == (
        "sage2-int8-fp8",
        "self",
        32760,
        5.0,
    )
    assert (smallest["kernel"], smallest["kind"], smallest["keys"], smallest["seconds"]) == (
        "",
        "cross",
        512,
        1.0,
    )


def test_many_kinds_of_calls_are_few_parts_that_add_up(speed):
    counts = {replace(SAGE, call=replace(SELF, q_len=1000 + n)): 10 for n in range(9)}
    parts = speed(Settings(), counts)["parts"]
    assert len(parts) == 6 and parts[-1]["kind"] == "other"
    assert sum(one["seconds"] for one in parts) == pytest.approx(9 * 10 * 0.025)


def test_a_named_kernel_that_is_slower_than_a_measured_one_gets_the_advice_with_its_gain(speed, session):
    session.times._kernels = {"sage2-int8-fp8", "sdpa-cudnn"}
    session.times.add("GPU", str(SELF), {"sage2-int8-fp8": 25.0, "sdpa-cudnn": 30.0, "host": 40.0})
    named = Routed(name="sdpa-cudnn", kernel=Kernel(None), call=SELF)
    advice = speed(Settings("sdpa-cudnn"), {named: 200})["advice"]
    assert (advice.code, advice.values["kernel"]) == ("advice-auto", "sage2-int8-fp8")
    assert advice.values["gain"] == pytest.approx(10 / 9)
    fastest = replace(named, name="sage2-int8-fp8")
    assert speed(Settings("sage2-int8-fp8"), {fastest: 200})["advice"].code != "advice-auto"


@pytest.mark.parametrize(("error", "quality"), [(0.08, "fast"), (0.3, None)])
def test_a_kernel_over_the_budget_is_advised_only_where_a_quality_allows_its_error(
    error, quality, speed, session
):
    session.times._kernels = {"sage2-int8-fp8"}
    session.times.add("GPU", str(SELF), {"sage2-int8-fp8": 25.0, "host": 40.0})
    reason = catalogue.REASONS("error", budget=0.05, error=error)
    over = OnHost(why="error", call=SELF, milliseconds=40.0, passed_over=(("sage2-int8-fp8", (reason,)),))
    advice = speed(Settings(), {over: 200})["advice"]
    assert (advice.code, advice.values.get("quality")) == (
        ("advice-quality", quality) if quality else ("advice-attention", None)
    )


def test_calls_that_the_nodes_ranges_keep_exact_are_told_with_what_they_cost(speed, session):
    session.times._kernels = {"sage2-int8-fp8"}
    session.times.add("GPU", str(SELF), {"sage2-int8-fp8": 25.0, "host": 40.0})
    reason = catalogue.REASONS("slower", winner="x", best=1.0, milliseconds=2.0)
    kept = replace(reason, code="precision")
    exact = OnHost(
        why="precision",
        call=replace(SELF, needs_exact=True),
        milliseconds=40.0,
        exact=True,
        passed_over=(("sage2-int8-fp8", (kept,)),),
    )
    limited = Settings(exact_first_blocks=2)
    advice = speed(limited, {SAGE: 100, exact: 100})["advice"]
    assert (advice.code, advice.values["calls"]) == ("advice-range", 100)
    # Where the model itself asks for exact attention everywhere, the node's ranges cost nothing.
    assert speed(limited, {exact: 100})["advice"].code == "advice-attention"


def test_a_run_that_failed_gets_no_advice(speed, session):
    run = Run(Settings(), "WAN21", 0.0, 1, seconds=10.0, failed=True)
    run.counts.update({SAGE: 10})
    assert run.as_data(session.times, now=10.0)["speed"]["advice"] is None


def test_the_time_that_measuring_took_is_kept_with_the_run(session):
    one = Report(Settings(), session.runs)
    one.begin("WAN21")
    one.measured(1.5)
    one.measured(0.5)
    assert session.runs.under_way()[0]["speed"]["measuring"] == 2.0
