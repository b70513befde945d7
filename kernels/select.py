"""Which kernels take a call, and why the others do not; measuring decides among those that do."""

from collections.abc import Iterable
from dataclasses import dataclass

from ..machine.reason import Reason
from .backend import Backend
from .call import Call
from .catalogue import REASONS, WORDS
from .kinds import Sparse

# Largest relative L2 error against float32 attention, by what the user asked for. 16-bit kernels are at
# 0.0024 in bfloat16, INT8 ones at 0.022 to 0.025 and INT8/FP8 at 0.039 on normal data (the worst of the
# check's cases: H200, torch 2.11.0+cu130, Triton 3.6.0, 2026-11-24, `python kernels_check`).
BUDGETS = {"exact": 0.01, "balanced": 0.05, "fast": 0.10}
DEFAULT_QUALITY = "balanced"


@dataclass(frozen=True)
class Candidate:
    """A backend that may be chosen.

    Attributes:
        backend: The declaration.
        unproven: Why it may not be used on this GPU, None where the kernel check found it good.
    """

    backend: Backend
    unproven: Reason | None = None

    def reasons(self, call: Call, exact: bool) -> list[Reason]:
        """Those of the backend, and those of choosing it here."""
        reasons = self.backend.reasons(call)
        if self.unproven is not None and not self.backend.machine:
            reasons.append(self.unproven)
        if isinstance(self.backend.kind, Sparse):
            # No quality there is so far asks for one.
            reasons.append(REASONS("quality", wanted=WORDS("one-not-sparse"), kernel=WORDS("sparse-kernel")))
        elif exact and not self.backend.exact:
            reasons.append(
                REASONS("quality", wanted=WORDS("one-that-rounds"), kernel=WORDS("quantised-kernel"))
            )
        return reasons


@dataclass(frozen=True)
class Choice:
    """Which candidates take a call.

    Attributes:
        takers: Those that do, in the order of the candidates.
        passed_over: The others, each with every reason.
    """

    takers: tuple[Backend, ...]
    passed_over: tuple[tuple[str, tuple[Reason, ...]], ...]


def choose(call: Call, candidates: Iterable[Candidate], exact: bool = False) -> Choice:
    """Parts the candidates into those that take the call and those that do not.

    Args:
        call: The facts of the call.
        candidates: Every kernel to consider.
        exact: Nothing quantised, whatever the call allows.
    """
    takers, passed_over = [], []
    for candidate in candidates:
        if reasons := candidate.reasons(call, exact):
            passed_over.append((candidate.backend.name, tuple(reasons)))
        else:
            takers.append(candidate.backend)
    return Choice(tuple(takers), tuple(passed_over))
