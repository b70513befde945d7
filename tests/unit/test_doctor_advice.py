"""Advice passes its own rules: what a plan prints is carried out on the machine that it is printed for."""

import re
from dataclasses import replace
from functools import lru_cache

import pytest
from sagekit.doctor import rules
from sagekit.doctor.causes.answer import explain
from sagekit.doctor.commands.quoting import shown
from sagekit.doctor.plan import outcome, wheel
from sagekit.doctor.plan.plan import make_plan
from sagekit.doctor.plan.step import Step
from sagekit.doctor.text import plan_lines
from sagekit.knowledge.facts import table
from sagekit.machine import Environment, Torch
from support.many_machines import machines
from support.pip_stand_in import carried_out, versions

# Not about a package that a plan installs, and told apart from it.
_AROUND = {"python-headers", "user-site"}
# Built by the user, so that nobody knows its faults before the kernel check has run.
_BUILT = {"build-sage"}


@lru_cache(maxsize=1)
def plans():
    """Every machine with its plan."""
    return [(name, machine, make_plan(machine)) for name, machine in machines()]


def faults(machine: Environment, about: set[str]) -> set[tuple[str, str]]:
    """The codes of what does not fit and concerns these packages."""
    return {
        (one.about, one.reason.code)
        for one in rules.mismatches(machine)
        if one.about in about and one.reason.code not in _AROUND
    }


def ways(plan) -> list[tuple[str, list[Step]]]:
    """What a person may do: all the steps, in order, or one of the options."""
    return [("the steps", list(plan.steps)), *((step.code, [step]) for step in plan.options)]


def done(machine: Environment, steps: list[Step]) -> Environment:
    """The machine after what a person does by hand, and the commands."""
    by_hand = {
        one for one in machine.packages for step in steps if f"{one} is here as a module" in step.by_hand
    }
    packages = {name: package for name, package in machine.packages.items() if name not in by_hand}
    return carried_out(replace(machine, packages=packages), [one for step in steps for one in step.commands])


def test_there_are_machines_of_every_kind_and_every_outcome_among_them():
    found = {plan.outcome for _, _, plan in plans()}
    assert found == {
        outcome.WELL,
        outcome.NOT_JUDGED,
        outcome.NOT_NEEDED,
        outcome.INSTALL,
        outcome.REPAIR,
        outcome.NO_WAY_BACK,
        outcome.NOTHING_FITS,
        outcome.NOT_FOR_THIS,
    }
    codes = {step.code for _, _, plan in plans() for step in (*plan.steps, *plan.options)}
    assert codes >= {
        "install-triton",
        "install-sage",
        "remove-sageattention",
        "replace-triton",
        "replace-triton-windows",
        "turing-sage-1",
        "amd-sage-1",
        "install-fa3",
        "build-sage",
        "hub-kernel",
        "sage-in-an-index",
    }


def test_no_advice_leads_to_what_the_rules_call_wrong():
    for name, machine, plan in plans():
        for way, steps in ways(plan):
            changed = {change.name for step in steps for change in step.changes}
            after = done(machine, steps)
            assert faults(after, changed) == set(), (name, way)
            if way in _BUILT:
                assert ("sageattention", "sage-branch") not in faults(after, {"sageattention"}), (name, way)


def test_what_a_step_says_it_changes_is_what_its_commands_change():
    for name, machine, plan in plans():
        for way, steps in ways(plan):
            if way in _BUILT or any(not step.changes for step in steps):
                continue
            before, after = versions(machine), versions(done(machine, steps))
            told = {change.name for step in steps for change in step.changes}
            really = {one for one in {*before, *after} if before.get(one) != after.get(one)}
            # The same version once more is a change too.
            assert really <= told, (name, way)
            for step in steps:
                for change in step.changes:
                    assert change.before == before.get(change.name), (name, way)
                    assert (change.after is None) == (change.name not in after), (name, way)


def test_after_its_steps_a_machine_is_as_its_plan_said():
    """What was claimed to be put right is, and the next plan has nothing more to put right."""
    for name, machine, plan in plans():
        if not any(step.changes for step in plan.steps):
            continue
        after = done(machine, list(plan.steps))
        again = make_plan(after)
        changed = {change.name for step in plan.steps for change in step.changes}
        assert not changed & {change.name for step in again.steps for change in step.changes}, name
        if "install-sage" in [step.code for step in plan.steps] and "by hand" not in plan.summary:
            third = "sageattn3" in after.packages
            assert again.outcome == (outcome.NOT_JUDGED if third else outcome.WELL), (name, again.summary)
            assert {one.name: one.state for one in again.installed}["sageattention"] == "fits", name


def test_where_the_steps_are_said_to_put_it_right_they_do_and_what_is_left_is_named():
    both, seen = {"sageattention", "sageattn3"}, set()
    for name, machine, plan in plans():
        if not plan.steps or not faults(machine, both):
            continue
        left = {about for about, _ in faults(done(machine, list(plan.steps)), both)}
        assert all(f"{one} is to be put right by hand" in plan.summary for one in left), (name, left)
        assert left or "put right by hand" not in plan.summary, name
        seen |= left
    assert "sageattn3" in seen


def test_the_way_back_leads_to_what_was_there():
    for name, machine, plan in plans():
        for way, steps in ways(plan):
            if not steps or any(step.by_hand or step.undo_by_hand for step in steps):
                continue
            if any(package.copies for package in machine.packages.values()) or way == "hub-kernel":
                continue
            there = done(machine, steps)
            back = carried_out(there, [one for step in reversed(steps) for one in step.undo])
            assert versions(back) == versions(machine), (name, way)


def test_what_loses_a_build_that_no_index_has_says_so_and_is_no_step():
    for name, _, plan in plans():
        for step in plan.steps:
            assert step.undo or not step.changes, (name, step.code)
        for step in plan.options:
            lost = any(change.before and not step.undo for change in step.changes)
            assert not lost or "No way back is known" in step.undo_by_hand, (name, step.code)


def test_no_file_is_named_that_does_not_fit_or_is_known_to_be_bad():
    for name, machine, plan in plans():
        for step in (*plan.steps, *plan.options):
            if step.wheel is not None:
                assert wheel.reasons(step.wheel, machine) == [], (name, step.wheel.file)
                assert not step.wheel.superseded, (name, step.wheel.file)


def test_the_build_for_hopper_that_returns_unwritten_memory_is_offered_to_nobody():
    for name, machine, plan in plans():
        for step in (*plan.steps, *plan.options):
            for command in step.commands:
                assert not any("sm90" in part for part in command), (name, step.code)
        hopper = machine.capabilities == {(9, 0)}
        assert not (hopper and "sage-in-an-index" in [step.code for step in plan.options]), name


def test_nothing_is_to_be_done_only_where_what_is_there_is_known_to_fit():
    for name, _, plan in plans():
        well = plan.outcome == outcome.WELL
        assert not well or {one.state for one in plan.installed} == {"fits"}, name
        assert ("nothing to do" in "\n".join(plan_lines(plan))) <= well, name


def test_what_is_not_known_says_what_would_tell():
    for name, _, plan in plans():
        for one in plan.installed:
            if one.state == "unknown":
                assert one.known and one.tells, name
                assert one.known in "\n".join(plan_lines(plan)), name


def test_where_something_is_wrong_nobody_is_told_that_all_is_well_or_nothing_has_to_change():
    for name, machine, plan in plans():
        if faults(machine, {"sageattention"}):
            assert plan.outcome not in (outcome.WELL, outcome.NOT_JUDGED, outcome.NOT_FOR_THIS), name
        if faults(machine, {"triton", "triton-windows"}):
            assert plan.outcome not in (outcome.WELL, outcome.NOT_JUDGED), name


def test_a_known_build_that_only_costs_the_way_back_is_not_called_one_that_does_not_fit():
    for name, machine, plan in plans():
        fits = wheel.choose(machine, "sageattention").wheel is not None
        if plan.outcome == outcome.NO_WAY_BACK:
            assert any("No way back" in step.undo_by_hand for step in plan.options), name
            assert "No built SageAttention fits" not in plan.summary, name
        elif fits and plan.outcome == outcome.NOTHING_FITS:
            assert {reason.code for reason in plan.unfit} & {
                "triton-unknown",
                "triton-none",
                "triton-python",
                "triton-gpu",
            } | {reason.code for reason in plan.unfit if reason.code.startswith(("torch", "driver"))}, name


# Sentences of the rules that name a version, each carried out.
_CUDA = re.compile(r"CUDA (\d+\.\d)")


def with_cuda(machine: Environment, cuda: str, torch: str) -> Environment:
    return replace(machine, torch=Torch(torch, f"cu{cuda.replace('.', '')}", cuda))


def test_a_torch_that_is_asked_for_has_code_for_the_gpu():
    seen = set()
    for name, machine, plan in plans():
        for one in plan.mismatches:
            if one.reason.code not in ("torch-gpu", "torch-cuda-too-old-for-gpu"):
                continue
            seen.add(one.reason.code)
            (cuda,) = set(_CUDA.findall(one.do))
            wanted = re.search(r"torch (\d+\.\d+) or newer", one.do)
            torch = f"{wanted[1]}.1" if wanted else machine.torch.version
            after = rules.mismatches(with_cuda(machine, cuda, torch))
            assert not {fault.reason.code for fault in after} & {"torch-gpu", "torch-cuda-too-old-for-gpu"}, (
                name
            )
    assert seen == {"torch-gpu", "torch-cuda-too-old-for-gpu"}


def test_the_sage_and_the_triton_that_a_sentence_asks_for_fit_the_machine():
    """ "Replace sageattention by 1.0.6 with Triton 3.2": no rule may then object."""
    count = 0
    for name, machine, plan in plans():
        triton = "triton-windows" if machine.system == "windows" else "triton"
        for one in plan.mismatches:
            if "1.0.6" not in one.do or machine.torch.is_nightly:
                continue
            count += 1
            commands = [
                ("python", "-m", "pip", "install", wanted)
                for wanted in ("sageattention==1.0.6", f"{triton}==3.2.0")
            ]
            after = carried_out(machine, commands)
            assert faults(after, {"sageattention", triton}) == set(), name
    assert count > 50


# The answers to errors: their commands are the plan's, and a version in their words fits the machine.
def told(value, key: str) -> list[str]:
    """Every text of this name in the table of symptoms, however deep."""
    if isinstance(value, list):
        return [text for one in value for text in told(one, key)]
    if not isinstance(value, dict):
        return []
    own = [value[key]] if isinstance(value.get(key), str) else []
    return own + [text for one in value.values() for text in told(one, key)]


EXAMPLES = told(table("symptoms"), "example")
FIXES = told(table("symptoms"), "fix")


def test_there_are_answers_to_look_at():
    assert len(EXAMPLES) > 50 and len(FIXES) > 50


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: one[:60])
def test_an_answer_has_no_command_that_the_plan_does_not_have(example):
    for name, machine, plan in [*plans()[::101], *plans()[-40:]]:
        printed = {
            shown(command, machine.system)
            for step in (*plan.steps, *plan.options)
            for command in step.commands
        }
        for answer in explain(example, plan):
            assert set(answer.commands) <= printed, (name, answer.code)


def torches_of(triton: str) -> set[str]:
    """The versions of torch that a triton-windows of this minor version belongs to."""
    return {
        row["torch"] for row in table("wheels")["triton"] if (row["windows"] or "").startswith(f">={triton},")
    }


def alone(fix: str) -> list[str]:
    """The minor versions of triton-windows that a text names without a torch that they belong to."""
    named = set(re.findall(r"torch (\d+\.\d+)", fix))
    return [
        version
        for sentence in fix.split(". ")
        if "triton-windows" in sentence
        for version in re.findall(r"(?<![\d.])3\.\d+", sentence)
        if not torches_of(version) & named
    ]


@pytest.mark.parametrize("fix", FIXES, ids=lambda one: one[:60])
def test_a_triton_in_an_answer_is_named_with_its_torch_or_left_to_the_plan(fix):
    """A Triton of one minor version is right beside few versions of torch."""
    assert alone(fix) == []


def test_the_check_above_sees_a_triton_that_is_named_alone():
    assert alone("Install triton-windows 3.5.1.post24 or newer.") == ["3.5"]
    assert alone("Install triton-windows 3.5, with torch 2.8.") == ["3.5"]
    assert alone("Install triton-windows 3.5, with torch 2.9.") == []
