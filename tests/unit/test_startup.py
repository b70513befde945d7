"""Which launch flags are cleared, on machines that are values, with a probe that is a function."""

from dataclasses import replace

import pytest
from sagekit.app import startup, startup_text
from sagekit.check import check, verdicts
from sagekit.check.verdicts import OK, WRONG, Verdict
from sagekit.doctor.causes.answer import explain
from sagekit.machine import Environment, Package, Torch

SAGE = "use_sage_attention"
MACHINE = Environment(
    torch=Torch("2.9.1", "cu130", "13.0"),
    packages={"sageattention": Package("1.0.6"), "triton": Package("3.5.1"), "flash-attn": Package("2.8.3")},
)


@pytest.fixture
def start(tmp_path):
    """start(environment, verdict, flags) -> (flags to clear, what was said, how often was probed)."""

    def run(environment=MACHINE, verdict=OK, flags=(SAGE,), probes=None):
        said, probed = [], [] if probes is None else probes

        def probe(backend, device):
            probed.append(backend.name)
            return Verdict(verdict, 0.01 if verdict == OK else None, "" if verdict == OK else "error 0.5")

        broken = startup.look(
            flags, (), environment, tmp_path / "verdicts.json", device="cuda:0", say=said.append, probe=probe
        )
        return broken.flags, said, probed

    run.file = tmp_path / "verdicts.json"
    return run


def test_a_kernel_that_works_keeps_its_flag_and_is_not_tried_again(start):
    broken, said, probed = start()
    assert (broken, probed) == ({}, ["flag-sage"]) and len(said) == 1
    assert start() == ({}, [], [])


def test_a_kernel_that_is_wrong_loses_its_flag_at_this_start_and_the_next(start):
    broken, _, _ = start(verdict=WRONG)
    assert set(broken) == {SAGE} and "error 0.5" in str(broken[SAGE])
    broken, _, probed = start(verdict=OK)
    assert set(broken) == {SAGE} and probed == []


def test_a_flag_that_is_not_on_is_neither_tried_nor_named(start):
    assert start(flags=()) == ({}, [], [])
    assert start(flags=("use_split_cross_attention",)) == ({}, [], [])


def test_what_changed_is_said_and_the_kernel_tried_again(start):
    start()
    updated = replace(MACHINE, torch=Torch("2.10.0", "cu130", "13.0"))
    broken, said, probed = start(updated)
    assert broken == {} and probed == ["flag-sage"]
    assert said[0] == "SageKit: since the last kernel check: torch 2.9.1+cu130 -> 2.10.0+cu130"


def test_a_change_is_said_at_one_start_only_flag_or_not(start):
    start()
    updated = replace(MACHINE, torch=Torch("2.10.0", "cu130", "13.0"))
    assert len(start(updated, flags=())[1]) == 1
    assert start(updated, flags=())[1] == []


def test_a_damaged_file_is_said_and_replaced(start):
    start.file.write_text("{")
    _, said, probed = start()
    assert "is damaged" in said[0] and probed == ["flag-sage"]
    assert verdicts.read(start.file)[0] is not None


def test_a_package_that_is_missing_needs_no_child_process():
    (backend,) = [one for one in startup.declare({}) if one.name == "flag-sage"]
    verdict = startup._probe(backend, "cpu")
    assert verdict.state == "refused" and "needs sageattention" in verdict.detail


def test_the_block_says_what_was_asked_what_is_wrong_and_what_now(tmp_path):
    verdict = Verdict("crashed", None, "the process ended with SIGABRT at its first call")
    block = startup_text.of_flag(SAGE, verdict, MACHINE, tmp_path, True)
    assert "--use-sage-attention asks for a kernel that does not work here" in block
    assert "SIGABRT" in block and "starts with PyTorch's attention instead" in block
    assert block.isascii()
    assert "it is left on" in startup_text.of_flag(SAGE, verdict, MACHINE, tmp_path, False)


def test_the_block_has_the_answer_to_a_known_error(tmp_path):
    error = "ImportError: DLL load failed while importing _fused: The specified procedure could not be found."
    block = startup_text.of_flag(SAGE, Verdict("not-importable", None, error), MACHINE, tmp_path, True)
    (answer,) = explain(error)
    assert f"  cause: {answer.cause}" in block and f"  fix: {answer.fix}" in block


def test_only_what_differs_is_named():
    assert check.changes({"torch": "2.9", "triton": "3.5"}, {"torch": "2.10", "triton": "3.5"}) == [
        "torch 2.9 -> 2.10"
    ]
    assert check.changes({}, {"xformers": "1"}) == ["xformers none -> 1"]
    assert check.changes({"a": "1"}, {"a": "1"}) == []
