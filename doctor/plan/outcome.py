"""What comes out of a plan, and the same in a sentence or two."""

from collections.abc import Collection
from typing import Any

from . import fit
from .catalogue import SUMMARY, sentences
from .step import Step

# From good to bad.
WELL, NOT_NEEDED, INSTALL, REPAIR, NOTHING_FITS = "well", "not-needed", "install", "repair", "nothing-fits"
# Installed, and nobody knows whether it fits; what fits cannot be undone; nothing here is for this GPU.
NOT_JUDGED, NO_WAY_BACK, NOT_FOR_THIS = "not-judged", "no-way-back", "not-for-this-gpu"
# A machine that its owner may want to change, or cannot.
TO_SEE_TO = frozenset({REPAIR, NO_WAY_BACK, NOTHING_FITS, NOT_FOR_THIS})


def decide(todo: Collection[Step], missing: bool, wrong: bool, lost: bool, common: dict[str, Any]) -> str:
    """The outcome of a plan.

    Args:
        todo: Its steps.
        missing: No SageAttention that fits is here or can be had by a step.
        wrong: Something that is installed does not fit.
        lost: What would be done has no known way back.
        common: What every plan of this machine holds.
    """
    if not todo:
        if lost:
            return NO_WAY_BACK
        if wrong or any(not one.remark for one in common["findings"] if not missing):
            return REPAIR
        if missing:
            return NOT_NEEDED if _serves(common) else NOTHING_FITS
        return NOT_JUDGED if fit.unknown(common["installed"]) else WELL
    # The folders include and libs alone: Triton is there and cannot compile.
    if wrong or not any(step.changes for step in todo):
        return REPAIR
    return NOT_NEEDED if _serves(common) else INSTALL


def summary(
    outcome: str,
    common: dict[str, Any],
    todo: Collection[Step],
    missing: bool,
    given: str,
    left: Collection[str],
) -> str:
    """The sentences.

    Args:
        outcome: One of those above.
        common: What every plan of this machine holds.
        todo: Its steps.
        missing: No SageAttention that fits is here or can be had by a step.
        given: The attention that ComfyUI itself takes.
        left: Packages that are wrong and that no step puts right.
    """
    kernels = tuple(dict.fromkeys(one["kernel"] for one in common["serving"])) or given
    if outcome == WELL:
        return sentences(SUMMARY("well"), _of_version_1(common))
    if outcome == NOT_JUDGED:
        return sentences(*map(told, fit.unknown(common["installed"])))
    if outcome == NOT_NEEDED:
        as_well = next(one["what"] for one in common["serving"] if one["as_well"] == "yes")
        more = SUMMARY("steps-for-sage-too") if todo else ""
        return sentences(SUMMARY("not-needed", why=as_well), more)
    if outcome == INSTALL:
        return SUMMARY("install", kernels=kernels)
    if outcome == REPAIR and todo:
        return SUMMARY("repair-partly-by-hand", packages=tuple(left)) if left else SUMMARY("repair")
    if outcome == REPAIR:
        return sentences(
            SUMMARY("repair-by-hand"), SUMMARY("none-fits-but", kernels=kernels) if missing else ""
        )
    if outcome == NO_WAY_BACK:
        return SUMMARY("no-way-back-known")
    return SUMMARY("nothing-fits", kernels=kernels)


def _of_version_1(common: dict[str, Any]) -> str:
    """What version 1 is known to get wrong, and who keeps those calls from it."""
    if not any(one.name == "sageattention" and one.version.startswith("1.") for one in common["installed"]):
        return ""
    return SUMMARY("well-but-version-1")


def told(one: fit.Fit) -> str:
    """ "Whether sageattention 2.2.0 works here is not known: ..."."""
    return SUMMARY("not-judged", package=one.name, version=one.version, known=one.known, tells=one.tells)


def _serves(common: dict[str, Any]) -> bool:
    return any(one["as_well"] == "yes" for one in common["serving"])
