"""No kernel runs before it agreed with float32 attention on this GPU."""

from dataclasses import replace

import pytest
from sagekit.app.background import explained
from sagekit.check import check
from sagekit.check.verdicts import OK, WRONG, Stored, Verdict
from sagekit.core.attention import dispatch, proofs
from sagekit.core.attention.plan import OnHost
from sagekit.core.attention.settings import Settings
from sagekit.core.messages import Checking
from sagekit.doctor.causes.answer import explain
from support.machines import FULL, HOPPER, declare

GPU = "NVIDIA H100 80GB HBM3"
CALL = replace(HOPPER, gpu=GPU, q_len=32760, kv_len=32760, dtype="bfloat16")
SAGE = "sage2-int8-fp8-sm90"


@pytest.fixture
def known() -> proofs.Proofs:
    return proofs.Proofs()


@pytest.fixture
def kernels(known):
    """Every kernel installed and loadable; none of them checked."""
    declared = {one.name: replace(one, load=lambda: dispatch.Kernel(None)) for one in declare(FULL)}
    return dispatch.Kernels(declared, known.unproven)


def planned(kernels, kernel="auto", call=CALL):
    return dispatch.plan(call, Settings(kernel), kernels)


def candidates(kernels, kernel="auto") -> set[str]:
    plan = planned(kernels, kernel)
    return set() if isinstance(plan, OnHost) else {backend.name for backend, _ in plan.candidates}


def test_before_the_check_only_pytorchs_own_kernels_run(known, kernels):
    assert candidates(kernels) == {"sdpa-flash", "sdpa-cudnn", "sdpa-efficient"}
    named = planned(kernels, SAGE)
    assert isinstance(named, OnHost) and named.why == "unchecked"


def test_a_good_verdict_on_this_gpu_lets_a_kernel_run(known, kernels):
    before = candidates(kernels)
    known.add(GPU, {SAGE: Verdict(OK, 0.037)})
    assert candidates(kernels) == before | {SAGE} and candidates(kernels, SAGE) == {SAGE}


def test_a_verdict_on_another_gpu_does_not(known, kernels):
    known.add("NVIDIA T4", {SAGE: Verdict(OK, 0.037)})
    assert planned(kernels, SAGE).why == "unchecked"


def test_a_bad_verdict_keeps_a_kernel_out_and_is_its_reason(known, kernels):
    bad = Verdict(WRONG, None, "error 0.28, more than 0.05, at 1x2x77x77x64 bfloat16 HND")
    known.add(GPU, {SAGE: bad, "sdpa-cudnn": bad})
    assert candidates(kernels) == {"sdpa-flash", "sdpa-efficient"}
    plan = planned(kernels, SAGE)
    assert plan.why == "wrong" and "error 0.28" in str(plan.passed_over)


def test_a_kernel_that_is_not_installed_is_not_also_unchecked(known, kernels):
    absent = dispatch.Kernels({one.name: one for one in declare({})}, known.unproven)
    ((_, reasons),) = planned(absent, SAGE).passed_over
    assert "unchecked" not in [reason.code for reason in reasons]


def test_off_cuda_there_is_nothing_to_prove(known, kernels):
    assert known.unproven(kernels.backends[SAGE], "") is None


def test_new_verdicts_reach_models_that_are_patched_already(known, kernels):
    before = kernels.changes
    kernels.proofs_changed()
    assert kernels.changes != before


def test_verdicts_are_kept_even_where_they_can_not_be_written(known, kernels, tmp_path, monkeypatch, caplog):
    blocked = tmp_path / "a file, not a folder"
    blocked.write_text("")
    known._file, known.stored = blocked / "verdicts.json", Stored("x")
    for _ in range(3):
        known.add(GPU, {SAGE: Verdict(OK, 0.037)})
    assert known.of(GPU)[SAGE].is_good
    assert len(caplog.records) == 1 and len(known.remarks) == 1


def test_the_background_check_waits_for_prompts_keeps_each_verdict_and_says_it_in_one_line(
    known, monkeypatch, tmp_path, caplog
):
    known._file, known.stored = tmp_path / "verdicts.json", Stored("x")
    waits, changes = [], []

    def check(backends, device, *, wait, found):
        for backend in backends:
            wait()
            state = WRONG if backend.name == SAGE else OK
            found(backend.name, Verdict(state, 0.01 if state == OK else None, "error 0.5"))

    monkeypatch.setattr(proofs.check, "check", check)
    with caplog.at_level("INFO"):
        known.run_check({GPU: "cuda:0"}, declare(FULL), lambda: waits.append(1), lambda: changes.append(1))
    assert len(waits) == len(changes) == len(declare(FULL)) and known.checking == Checking()
    assert not known.of(GPU)[SAGE].is_good and known.of(GPU)["kitchen-int8"].is_good
    (line,) = [record.getMessage() for record in caplog.records]
    assert "ok: " in line and f"{SAGE} wrong: error 0.5" in line
    assert known.missing(GPU, declare(FULL)) == []


def test_how_far_the_background_check_is_is_told_of_the_kernels_that_are_tried(known, monkeypatch):
    known.stored = Stored("x")
    told, declared = [], declare(FULL)
    tried = [one.name for one in known.missing(GPU, declared) if check.is_tried(one)]

    def run(backends, device, *, wait, found):
        for backend in backends:
            assert check.is_tried(backend) is False or known.checking.kernel == backend.name
            found(backend.name, Verdict(OK, 0.01))

    monkeypatch.setattr(proofs.check, "check", run)
    known.run_check({GPU: "cuda:0"}, declared, lambda: None, lambda: None, tell=told.append)
    assert 2 < len(tried) < len(declared)
    shown = [one.as_data() for one in told]
    assert [one["kernel"] for one in shown] == [*tried, ""]
    assert [one["line"] for one in shown[:-1]] == [
        f"checking kernels {number}/{len(tried)}; faster from the next run"
        for number in range(1, len(tried) + 1)
    ]
    assert {one["code"] for each in shown for one in each["said"]} == {"checking-kernels", "badge-checking"}
    assert shown[-1]["line"] == "" and known.checking == Checking()


def test_asked_again_it_tries_all_and_what_is_known_holds_until_the_new_verdict(known, monkeypatch):
    known.stored = Stored("x")
    seen = []

    def run(backends, device, *, wait, found):
        nothing = lambda: None  # noqa: E731
        assert not known.run_check({GPU: device}, declare(FULL), nothing, nothing, again=True)
        for backend in backends:
            seen.append((backend.name, backend.name in known.of(GPU)))
            found(backend.name, Verdict(OK, 0.01))

    monkeypatch.setattr(proofs.check, "check", run)
    for again in (False, True):
        assert known.run_check({GPU: "cuda:0"}, declare(FULL), lambda: None, lambda: None, again=again)
    count = len(declare(FULL))
    assert seen[:count] == [(name, False) for name, _ in seen[:count]]
    assert seen[count:] == [(name, True) for name, _ in seen[:count]]


def test_a_check_that_raises_is_not_told_to_go_on(known, monkeypatch):
    told = []

    def fail(*arguments, **options):
        raise RuntimeError("no child process")

    monkeypatch.setattr(proofs.check, "check", fail)
    with pytest.raises(RuntimeError):
        known.run_check({GPU: "cuda:0"}, declare(FULL), lambda: None, lambda: None, tell=told.append)
    assert told[0].count and told[-1] == known.checking == Checking()


def test_the_background_check_says_what_a_known_error_means(known, monkeypatch, caplog):
    known.stored = Stored("x")
    error = "ImportError: undefined symbol: _ZN3c106detail14torchCheckFailEPKcS2_jRKSs"

    def check(backends, device, *, wait, found):
        for backend in backends:
            found(backend.name, Verdict("not-importable" if backend.name == SAGE else OK, None, error))

    monkeypatch.setattr(proofs.check, "check", check)
    with caplog.at_level("INFO"):
        known.run_check({GPU: "cuda:0"}, declare(FULL), lambda: None, lambda: None, explained)
    (answer,) = explain(error)
    assert [one.getMessage() for one in caplog.records][1:] == [
        f"SageKit: {error}: {answer.cause} {answer.fix}"
    ]


def test_pytorchs_own_kernels_are_checked_first(known, kernels):
    order = [backend.name for backend in known.missing(GPU, declare(FULL))]
    assert set(order[:3]) == {"sdpa-flash", "sdpa-cudnn", "sdpa-efficient"}
