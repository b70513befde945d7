"""What to install on this machine, with the exact commands, why, and the way back; or why nothing."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ...knowledge.gpus import capabilities, named
from ...knowledge.tables import SAGE, dotted, oldest_for_sage
from ...machine import Environment
from ...machine.message import as_message
from ...machine.reason import Reason
from ...machine.surroundings import Surroundings
from ..commands.terminal import for_others, in_full
from ..rules import Mismatch, mismatches
from . import amd, failures, fit, headers, host_attention, steps, turing, unserved, uv
from .catalogue import REASONS, SUMMARY, sentences
from .elsewhere import flash_3, other_ways, serving, too_old_to_build
from .findings import Finding, findings
from .outcome import (
    INSTALL,
    NO_WAY_BACK,
    NOT_FOR_THIS,
    NOT_JUDGED,
    NOT_NEEDED,
    NOTHING_FITS,
    REPAIR,
    WELL,
    decide,
    summary,
    told,
)
from .result import Plan
from .step import Step
from .wheel import Wheel, choose

__all__ = [
    "INSTALL",
    "NOTHING_FITS",
    "NOT_FOR_THIS",
    "NOT_JUDGED",
    "NOT_NEEDED",
    "NO_WAY_BACK",
    "REPAIR",
    "WELL",
    "Plan",
    "make_plan",
]

# No kernel at all runs before these are put right.
_TORCH_FIRST = ("torch-gpu", "torch-cuda-too-old-for-gpu", "driver-too-old")


def make_plan(
    environment: Environment,
    around: Surroundings | None = None,
    *,
    sage3: bool = False,
    broken: Mapping[str, str] | None = None,
    failed: Mapping[str, str] | None = None,
    passed: Mapping[str, bool] | None = None,
) -> Plan:
    """The plan for a machine.

    Args:
        environment: The machine, with what torch says of its GPUs where that is to be had.
        around: What the doctor read besides; the default knows nothing of it.
        sage3: SageAttention 3 is asked for.
        broken: Packages that the kernel check could not import, each with the error.
        failed: Packages of which no kernel passed it, each with what it found.
        passed: Packages whose kernels passed the check; False where some did and some did not.
    """
    around = around or Surroundings()
    made = _made(environment, around, sage3, broken or {}, failed or {}, passed or {})
    if not (program := around.uv_alone):
        return made
    told = uv.steps(made.steps, program), uv.steps(made.options, program)
    return replace(made, steps=told[0], options=told[1], uv=program)


def _made(
    environment: Environment,
    around: Surroundings,
    sage3: bool,
    broken: Mapping[str, str],
    failed: Mapping[str, str],
    passed: Mapping[str, bool],
) -> Plan:
    """The plan in pip's words."""
    found = tuple(findings(environment, around))
    wrong = (*mismatches(environment), *failures.mismatches(environment, broken, failed))
    told_wrong = [*wrong, *(one.mismatch for one in found if not one.remark)]
    common: dict[str, Any] = {
        "findings": found,
        "mismatches": wrong,
        "installed": fit.judge(environment, told_wrong, passed),
        "serving": tuple(serving(environment)),
        "here": in_full(environment, around),
        "for_others": for_others(environment, around),
        "kind": around.named,
        "host": around.host,
    }
    if first := next((one for one in common["mismatches"] if one.reason.code in _TORCH_FIRST), None):
        why = as_message(first.reason) or str(first.reason)
        told_of = SUMMARY("torch-does-not-run", reason=why, do=first.do)
        return Plan(NOTHING_FITS, told_of, unfit=(first.reason,), **common | {"serving": ()})
    if reason := unserved.why(environment):
        return _unserved(environment, reason, common)
    if max(capabilities(environment)) < oldest_for_sage(2):
        return _on_turing(environment, common)
    return _with_sage(environment, around, sage3, common)


def _unserved(environment: Environment, reason: Reason, common: dict[str, Any]) -> Plan:
    """A machine for which no SageAttention is there: what it has instead, and what has to go."""
    told_of = unserved.summary(environment, reason)
    if reason.code == "gpu-float32":
        # Of what is here nothing takes float32.
        common = common | {"serving": ()}
    wrong = [one for one in common["installed"] if one.state == fit.WRONG]
    repair: list[Step] = []
    options, unfit = amd.ways(environment), [reason]
    for one in wrong:
        removal = steps.remove(environment, one.name)
        if isinstance(removal, steps.Unfit):
            unfit, options = [*unfit, *removal.reasons], [*removal.options, *options]
        else:
            repair.append(removal)
    if wrong:
        outcome, told_of = REPAIR, sentences(SUMMARY("installed-does-not-work"), told_of)
    elif not unserved.is_no_fault(environment, reason):
        outcome = NOTHING_FITS
    elif unclear := fit.unknown(common["installed"]):
        outcome, told_of = NOT_JUDGED, sentences(*map(told, unclear), told_of)
    else:
        outcome = NOT_FOR_THIS
    return Plan(outcome, told_of, steps=tuple(repair), options=tuple(options), unfit=tuple(unfit), **common)


def _on_turing(environment: Environment, common: dict[str, Any]) -> Plan:
    """A GPU that only SageAttention 1 serves, and only on an old Triton."""
    package = environment.packages.get("sageattention")
    wrong = [
        one for one in common["mismatches"] if one.about == "sageattention" or "triton" in one.reason.code
    ]
    if package is not None and not wrong:
        if unclear := fit.unknown(common["installed"]):
            return Plan(NOT_JUDGED, sentences(*map(told, unclear)), **common)
        return Plan(WELL, SUMMARY("well-on-turing"), **common)
    as_well = [one["what"] for one in common["serving"] if one["as_well"] == "yes"]
    option = turing.experiment(environment)
    told_of: str = SUMMARY("not-needed", why=as_well[0]) if as_well else SUMMARY("no-sage-2-on-turing")
    outcome = REPAIR if wrong and package else NOT_NEEDED if as_well else NOTHING_FITS
    oldest, gpus = dotted(oldest_for_sage(2)), named(environment)
    unfit = [] if as_well else [REASONS("sage2-turing-here", oldest=oldest, gpus=gpus)]
    repair: list[Step] = []
    options = [option] if option else []
    if outcome == REPAIR:
        told_of = sentences(SUMMARY("installed-does-not-work"), told_of)
        removal = steps.remove(environment, "sageattention")
        if isinstance(removal, steps.Unfit):
            unfit, options = [*unfit, *removal.reasons], [*removal.options, *options]
        else:
            repair = [removal]
    return Plan(outcome, told_of, tuple(repair), tuple(options), unfit=tuple(unfit), **common)


def _with_sage(environment: Environment, around: Surroundings, sage3: bool, common: dict[str, Any]) -> Plan:
    told = [*common["mismatches"], *(one.mismatch for one in common["findings"])]
    wrong = [one for one in told if one.reason.code in steps.REPAIRED]
    triton = steps.triton(environment)
    sage = steps.sage(environment, wrong, triton)
    third = steps.sage3(environment, wrong, sage3)
    uses = [part for part in (sage, third) if isinstance(part, Step) and part.wheel is not None]
    if isinstance(triton, Step) and isinstance(sage, steps.Unfit) and not uses:
        # One that is there and wrong is still put right; a new one would serve nothing here by itself.
        triton = triton if steps.has_triton(environment) else None
    parts = [part for part in (triton, sage, third) if part is not None]
    installs = [part for part in parts if isinstance(part, Step)]
    unfit = [part for part in parts if isinstance(part, steps.Unfit)]
    options = [step for part in unfit for step in part.options]
    missing = isinstance(sage, steps.Unfit)
    if missing:
        options += other_ways(environment)
        if reason := too_old_to_build(environment):
            unfit.append(steps.Unfit((reason,)))
    if hopper := flash_3(environment):
        options.insert(0, hopper)
    todo = _in_order(environment, around, common["findings"], installs, triton)
    unclear = fit.unknown(common["installed"])
    if unclear and (instead := steps.sage_instead(environment, [one.name for one in unclear])):
        options.append(instead)
    lost = any(reason.code == "no-way-back" for part in unfit for reason in part.reasons)
    outcome = decide(todo, missing, bool(wrong), lost, common)
    asked = ["sageattention"] * missing + ["sageattn3"] * (sage3 and isinstance(third, steps.Unfit))
    none_fits = [choice for name in asked if (choice := choose(environment, name)).wheel is None]
    return Plan(
        outcome,
        summary(outcome, common, todo, missing, host_attention.given(environment), _left(wrong, todo)),
        steps=tuple(todo),
        options=tuple(options),
        unfit=tuple(reason for part in unfit for reason in part.reasons),
        refused=tuple(one for choice in none_fits for one in _nearest(choice.refused)),
        **common,
    )


def _left(wrong: Iterable[Mismatch], todo: Iterable[Step]) -> list[str]:
    """The SageAttentions that are wrong and that no step puts right."""
    changed = {change.name for step in todo for change in step.changes}
    return sorted({one.about for one in wrong if one.about in SAGE} - changed)


def _in_order(
    environment: Environment,
    around: Surroundings,
    found: tuple[Finding, ...],
    installs: list[Step],
    triton: Step | steps.Unfit | None,
) -> list[Step]:
    """What pip itself needs, then what Triton compiles with, then the packages, then the stale cache."""
    first = [one.step for one in found] if installs else []
    if steps.has_triton(environment) or isinstance(triton, Step):
        first.append(headers.step(environment, around))
    last = steps.clear_cache(environment, around) if isinstance(triton, Step) else None
    return [step for step in (*first, *installs, last) if step is not None]


def _nearest(refused: Iterable[tuple[Wheel, tuple[Reason, ...]]]) -> list[tuple[Wheel, tuple[Reason, ...]]]:
    """Those with the fewest reasons, a handful; one for another system or GPU is near to nobody."""
    far = ("wheel-platform", "wheel-gpu")
    here = [one for one in refused if not any(reason.code in far for reason in one[1])]
    fewest = min((len(against) for _, against in here), default=0)
    return [one for one in here if len(one[1]) == fewest][:5]
