"""What is done with one class of calls: a kernel runs it, ComfyUI does, or its first call decides."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import TypeAlias

from ...kernels.backend import Backend, Kernel
from ...kernels.call import Call
from ...machine.reason import Reason

PassedOver: TypeAlias = tuple[tuple[str, tuple[Reason, ...]], ...]


@dataclass(eq=False, kw_only=True)
class _ForAClass:
    """What every plan knows. Plans are told apart by identity, so that calls are counted by them.

    Attributes:
        passed_over: Kernels that do not run it, with every reason.
        exact: Nothing quantised may run here, so a default that a launch flag quantised may not either.
        key: Under which the plan is kept.
    """

    passed_over: PassedOver = ()
    exact: bool = False
    key: Hashable = None


@dataclass(eq=False, kw_only=True)
class OnHost(_ForAClass):
    """ComfyUI's own attention runs it, or another pack's override.

    Attributes:
        why: The code of the reason.
        call: The facts of the class; None where the arguments could not be read as attention.
        milliseconds: What a call takes, where it was measured.
    """

    why: str
    call: Call | None = None
    milliseconds: float | None = None


@dataclass(eq=False, kw_only=True)
class Undecided(_ForAClass):
    """Kernels take it: the first call of the class decides among them and ComfyUI's own attention.

    Attributes:
        call: The facts of the class.
        candidates: The kernels.
        why: The code of the reason if ComfyUI's own is chosen, where there is one beyond the measuring.
    """

    call: Call
    candidates: tuple[tuple[Backend, Kernel], ...]
    why: str = ""


@dataclass(eq=False, kw_only=True)
class Routed(_ForAClass):
    """A kernel runs it.

    Attributes:
        name: The kernel's name.
        kernel: The loaded kernel.
        call: The facts of the class.
        quantised: The kernel is not exact, so that the guard samples its errors.
        proven: The kernel has run once for this class.
        milliseconds: What a call takes, where it was measured.
        host_milliseconds: The same with ComfyUI's own attention.
        shown_as: What people call it; "" for its name.
        error: Relative L2 error against float32 on the class's first call in this model.
    """

    name: str
    kernel: Kernel
    call: Call
    shown_as: str = ""
    quantised: bool = False
    proven: bool = False
    milliseconds: float | None = None
    host_milliseconds: float | None = None
    error: float | None = None


Plan: TypeAlias = OnHost | Undecided | Routed
# What there is after the first call of a class.
Decided: TypeAlias = OnHost | Routed
