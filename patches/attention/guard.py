"""No NaN or Inf of a quantised kernel leaves the model: it is found, redone, and kept from coming back."""

import threading

import torch

from .report import Report

_PLACES_TOLD = 6
_NOTE = "guard"


class Forward:
    """One forward of the diffusion model, as the calls in it see it.

    Attributes:
        quantised: A quantised kernel ran in it, so that its output is worth a look.
        recheck: It is a second forward: every call runs exactly, and each quantised kernel that would have
            run is tried beside it.
    """

    __slots__ = ("quantised", "recheck")

    def __init__(self, recheck: bool = False) -> None:
        self.quantised = False
        self.recheck = recheck


class Guard:
    """Where quantised kernels may not run any more in one patched model; safe to share among threads.

    A place is a block of the model in words, "double block 3", or a class of calls where the model
    numbers no blocks.

    Attributes:
        watches: Forwards are looked at; not any more in a run whose model gives NaN by itself.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._lock = threading.Lock()
        self._kept_out: set[tuple[str, str]] = set()
        self._everywhere = False
        self.watches = True

    @property
    def is_clear(self) -> bool:
        """Nothing is kept out anywhere."""
        return not self._kept_out and not self._everywhere

    def keeps_out(self, kernel: str, place: str) -> bool:
        """Whether a kernel may not run at a place."""
        return self._everywhere or (kernel, place) in self._kept_out

    def tried(self, kernel: str, place: str, out) -> None:
        """Takes what a kernel answered in a second forward, None where it raised."""
        if out is None or not is_finite(out):
            with self._lock:
                self._kept_out.add((kernel, place))

    def found(self) -> int:
        """How many kernels are kept out of how many places: more after a second forward is a finding."""
        return len(self._kept_out)

    def conclude(self, found_before: int, is_finite_now: bool) -> None:
        """Draws the conclusion from a second forward, and says it."""
        if self.found() > found_before:
            self._report.note(f"{self._in_words()}; the step was run again with exact attention", _NOTE)
        elif is_finite_now:
            # No kernel fails by itself and together they do: float16 models near their limit.
            self._everywhere = True
            self._report.note(
                "quantised kernels together led to NaN or Inf; the step was run again with exact attention, "
                "and this model stays exact",
                _NOTE,
            )
        else:
            self.watches = False
            self._report.note(
                "the model gives NaN or Inf with exact attention, too: not a kernel's doing", _NOTE
            )

    def _in_words(self) -> str:
        kernels = ", ".join(sorted({kernel for kernel, _ in self._kept_out}))
        places = sorted({place for _, place in self._kept_out})
        more = f" and {len(places) - _PLACES_TOLD} more" if len(places) > _PLACES_TOLD else ""
        told = ", ".join(places[:_PLACES_TOLD]) + more
        return f"{kernels} gave NaN or Inf and runs no more for this model in {told}"


def is_finite(out: "torch.Tensor") -> bool:
    """Whether nothing in it is NaN or Inf; one reduction, and one wait for the GPU.

    A sum is NaN or Inf if any part of it is, and in float32 no sum of finite latents or of finite float16
    values gets there.
    """
    return bool(torch.isfinite(out.sum(dtype=torch.float32)))
