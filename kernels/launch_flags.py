"""The kernels behind ComfyUI's launch flags, checked as ComfyUI itself would call them.

A flag sends every call of every model to one function. ComfyUI catches what it raises and uses PyTorch's
attention instead, so raising at some calls is no fault here; crashing, hanging, answering wrongly and
raising at every call are.
"""

from ..machine import Installed, missing
from ..machine.reason import Reason
from .backend import Backend
from .call import NO_MASK, Call
from .catalogue import MASKS, REASONS
from .families import in_comfyui
from .kinds import EXACT, QUANTISED


class _AnyDevice(Backend):
    """Takes what ComfyUI would hand over: any device and size, no mask (ComfyUI keeps those)."""

    def reasons(self, call: Call) -> list[Reason]:
        found = list(self.machine)
        if call.mask != NO_MASK:
            found.append(REASONS("mask", masks=(MASKS[NO_MASK],), mask=call.mask))
        if call.heads != call.kv_heads:
            found.append(REASONS("gqa", heads=call.heads, kv_heads=call.kv_heads))
        return found


def flags() -> tuple[str, ...]:
    """Every option that sends calls to a package of a family, as in ``comfy.cli_args.args``."""
    return tuple(one.flag for one in in_comfyui() if one.flag)


def checked() -> dict[str, str]:
    """The options whose kernel is proven before a start relies on it, each with that kernel's name here."""
    return {one.flag: _name(one.flag) for one in in_comfyui() if one.load is not None}


def declare(packages: Installed) -> tuple[Backend, ...]:
    """One kernel for each flag that is checked."""
    return tuple(
        _AnyDevice(
            name=_name(one.flag),
            title=spelled(one.flag),
            load=one.load,
            machine=missing(packages, one.distribution),
            # What ComfyUI runs under the flag is what the user sees in every model: one that is not exact may
            # be no looser than the widest budget of the node.
            tolerance=0.01 if one.exact else 0.10,
            may_raise=True,
            hard_data=False,
            kind=EXACT if one.exact else QUANTISED,
        )
        for one in in_comfyui()
        if one.load is not None
    )


def spelled(flag: str) -> str:
    """ "use_sage_attention" as a user types it."""
    return "--" + flag.replace("_", "-")


def _name(flag: str) -> str:
    """ "flag-sage" for "use_sage_attention": the name that stored verdicts have."""
    return "flag-" + flag.removeprefix("use_").removesuffix("_attention").replace("_", "-")
