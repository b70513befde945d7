"""Chooses a kernel for a call: the first in order that takes it, and why each before it was passed over."""

from collections.abc import Iterable
from dataclasses import dataclass

from .backend import Backend, Reason
from .call import Call

# Largest relative L2 error against float32 attention, by what the user asked for. 16-bit kernels pass
# 0.01; INT8 kernels measured 0.013 to 0.017 and INT8/FP8 ones 0.035 to 0.039 on normal data (H100 80GB,
# torch 2.11+cu130, Triton 3.6, 2026; taken before this repository, whose own command for it is
# `python kernels_check`, and not yet repeated with it).
BUDGETS = {"exact": 0.01, "balanced": 0.05, "fast": 0.10}
DEFAULT_QUALITY = "balanced"


@dataclass(frozen=True)
class Choice:
    """The kernel chosen for a call, and the rest of what was asked.

    Attributes:
        backend: The one to run; None is the host's own attention.
        passed_over: Those before it in the order, with every reason.
    """

    backend: Backend | None
    passed_over: tuple[tuple[str, tuple[Reason, ...]], ...]


@dataclass(frozen=True)
class Candidate:
    """A backend in an order.

    Attributes:
        backend: The declaration.
        pays_from: Key length in tokens from which it is expected to be faster than the host's own.
        unproven: Why it may not be used on this GPU, None where the kernel check found it good.
    """

    backend: Backend
    pays_from: int = 0
    unproven: Reason | None = None

    def reasons(self, call: Call, budget: float) -> list[Reason]:
        """Those of the backend, and those of choosing it here."""
        reasons = self.backend.reasons(call)
        if self.unproven is not None and not self.backend.machine:
            reasons.append(self.unproven)
        if self.backend.tolerance > budget:
            reasons.append(Reason("quality", f"an error budget of {self.backend.tolerance:g}", f"{budget:g}"))
        if call.kv_len < self.pays_from:
            reasons.append(Reason("short", f"{self.pays_from} keys to gain", str(call.kv_len)))
        return reasons


def choose(call: Call, candidates: Iterable[Candidate], budget: float = 1.0) -> Choice:
    """The first candidate that takes the call.

    Args:
        call: The facts of the call.
        candidates: In the order in which to try them.
        budget: Largest tolerance (relative L2 error) allowed.
    """
    passed_over = []
    for candidate in candidates:
        reasons = candidate.reasons(call, budget)
        if not reasons:
            return Choice(candidate.backend, tuple(passed_over))
        passed_over.append((candidate.backend.name, tuple(reasons)))
    return Choice(None, tuple(passed_over))


# What is tried on each GPU generation, best first, with the key length from which it pays. Only the
# row of 9.0 is measured (the same machine and the same caveat as above, against ComfyUI's own choice,
# which asks SDPA for its flash kernel first): Sage 2 takes 0.56 ms against 0.50 ms for cuDNN at 4,608
# keys and 27.5 ms against 38 ms at 32,760, hence 16,384; cuDNN takes 0.66 ms against the host's 1.06 ms
# at 512 keys, and 0.116 ms against 0.053 ms at 77. Elsewhere the order follows SageAttention's own
# dispatch (core.py, `sageattn`), and 1,024 keys is where its published speed curves begin. Measuring on
# the user's GPU replaces this.
_UNMEASURED = 1024
_AMPERE = (
    ("sage2-int8-fp16", _UNMEASURED),
    ("kitchen-int8", _UNMEASURED),
    ("sage2-int8-fp16-triton", _UNMEASURED),
    ("sage1-int8-fp16", _UNMEASURED),
)
_FP8 = (
    ("sage2-int8-fp8-acc-fp32+fp16", _UNMEASURED),
    ("sage2-int8-fp8", _UNMEASURED),
    *_AMPERE,
)
_ORDERS = {
    (7, 5): (("kitchen-int8", _UNMEASURED), ("sage1-int8-fp16", _UNMEASURED)),
    (8, 0): _AMPERE,
    (8, 6): _AMPERE,
    (8, 7): _AMPERE,
    (8, 9): _FP8,
    (9, 0): (("sage2-int8-fp8-sm90", 16384), ("flash3", 1024), ("sdpa-cudnn", 512)),
    (10, 0): (("flash4", _UNMEASURED), ("sdpa-cudnn", _UNMEASURED)),
    (12, 0): _FP8,
    (12, 1): _FP8,
}


def automatic(call: Call, backends: Iterable[Backend]) -> list[Candidate]:
    """What ``auto`` tries for a call on its GPU, in order; empty where nothing is known to be faster."""
    by_name = {backend.name: backend for backend in backends}
    order = _ORDERS.get(call.capability, ())
    return [Candidate(by_name[name], pays_from) for name, pays_from in order if name in by_name]
