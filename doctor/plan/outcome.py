"""What comes out of a plan, and the same in a sentence or two."""

from collections.abc import Collection
from typing import Any

from . import fit
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
    names = " and ".join(dict.fromkeys(one["kernel"] for one in common["serving"])) or given
    without = f"without any install the node runs on {names}"
    if outcome == WELL:
        return "What is installed belongs together; there is nothing to do." + _of_version_1(common)
    if outcome == NOT_JUDGED:
        return " ".join(told(one) for one in fit.unknown(common["installed"]))
    if outcome == NOT_NEEDED:
        as_well = next(one["what"] for one in common["serving"] if one["as_well"] == "yes")
        more = " The steps are for those who want SageAttention too." if todo else ""
        return f"No install is needed: {as_well}.{more}"
    if outcome == INSTALL:
        return f"Nothing is broken: {without}. The steps add SageAttention."
    if outcome == REPAIR:
        if todo:
            if left:
                names = " and ".join(left)
                return f"{names} is to be put right by hand, as is told below. The steps do the rest."
            return "Something does not fit. The steps put it right."
        more = f" No built SageAttention fits this machine; {without}." if missing else ""
        return f"Something is to be put right by hand.{more}"
    if outcome == NO_WAY_BACK:
        return (
            "What would fit is known, but no index has the build that is here now, so no command could bring "
            "it back. That is why no step does it: keep a copy of it first, as is told below."
        )
    return (
        f"No built SageAttention fits this machine as it is, and nothing has to change for that: {without}."
    )


def _of_version_1(common: dict[str, Any]) -> str:
    """What version 1 is known to get wrong, and who keeps those calls from it."""
    if not any(one.name == "sageattention" and one.version.startswith("1.") for one in common["installed"]):
        return ""
    return (
        " SageAttention 1 is wrong at key lengths that are no multiple of 64: the node keeps those calls "
        "from it, ComfyUI's own --use-sage-attention does not."
    )


def told(one: fit.Fit) -> str:
    """ "Whether sageattention 2.2.0 works here is not known: ..."."""
    return (
        f"Whether {one.name} {one.version} works here is not known: {one.known}. What tells is {one.tells}."
    )


def _serves(common: dict[str, Any]) -> bool:
    return any(one["as_well"] == "yes" for one in common["serving"])
