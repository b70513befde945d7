"""No wrong answer of a kernel leaves the model: it is found, redone, and kept from coming back.

What shows it, read in one wait for the GPU at the end of a forward: a sum over the output, which is NaN or
Inf where any part of it is, whichever kernel ran; and, of quantised kernels, the error of a few calls on a
few of their rows, which shows plain wrong answers at once and slow drift over several steps. A kernel that
raises may have written into q, k or v before, so that its step is run again as well.
"""

import math
import threading
import weakref
from collections.abc import Sequence
from typing import NamedTuple

import torch

from ...check.reference import relative_error
from ...machine.message import Message, Value
from ..catalogue import ATTENTION
from ..clock import Clock
from . import accuracy
from .report import Report
from .run import GUARD

_PLACES_TOLD = 6
# So many times the error budget is no matter of precision any more: the step is run again.
BROKEN = 5.0
# Part of a step that samples of the error may take, and the least that one of them costs in seconds: 0.22 ms
# of a step of Flux (H200, torch 2.11.0+cu130, 2026-11-24, bench/guard.py), a dozen launches over one head's k
# and v. Where launching them takes longer, what it took counts.
SAMPLING_SHARE = 0.002
SAMPLE_SECONDS = 250e-6
# What the newest sample's cost weighs in the average.
_NEWEST = 0.1
# Samples of one block, or of one class of calls, before they count as drift: a single head may be off alone.
PLACE_SAMPLES = 4
CLASS_SAMPLES = 8
# What a sample weighs, against the one after it.
_FADING = 0.8

NOT_FINITE = ATTENTION("not-finite")
WRONG = ATTENTION("wrong-values")


class Reading(NamedTuple):
    """The error of one call, as the GPU will know it.

    Attributes:
        kernel: Who answered it.
        place: Where in the model.
        group: Its class of calls, in words.
        squares: What ``accuracy.sample`` gave.
    """

    kernel: str
    place: str
    group: str
    squares: torch.Tensor


class Forward:
    """One forward of the diffusion model, as the calls in it see it.

    Attributes:
        routed: A kernel ran in it, so that its output is worth a look.
        quantised: One that is not exact did.
        spoiled: One raised, and may have left other values in q, k or v than the model put there.
        recheck: It is run a second time: ComfyUI's own attention answers every call, exactly, and each kernel
            that would have run is tried beside it.
        is_settled: Its output has been looked at.
        calls: Calls of quantised kernels so far; in a second run, calls of any.
        readings: Of each call whose error was sampled.
        began: The clock when it began.
    """

    __slots__ = (
        *("began", "calls", "every", "is_settled", "offset", "quantised", "readings", "recheck", "routed"),
        "spoiled",
    )

    def __init__(self, every: int = 0, offset: int = 0, began: float = 0.0) -> None:
        self.routed = False
        self.quantised = False
        self.spoiled = False
        self.recheck = False
        self.is_settled = False
        self.calls = 0
        self.every = every
        self.offset = offset
        self.readings: list[Reading] = []
        self.began = began

    def enter(self) -> None:
        """Another run of the network in the same forward begins."""
        self.routed = self.quantised = self.spoiled = self.recheck = self.is_settled = False

    def repeat(self) -> None:
        """The same network is run a second time, with exact attention."""
        self.recheck = True
        self.spoiled = False
        self.calls = self.every = 0
        self.readings.clear()

    @property
    def is_due(self) -> bool:
        """Whether the error of the next call of a quantised kernel is to be sampled."""
        return self.every > 0 and self.calls % self.every == self.offset

    def next_is_sampled(self) -> bool:
        """Counts one call of a quantised kernel; whether its error is to be sampled."""
        due = self.is_due
        self.calls += 1
        return due


class Drift:
    """The error of one kernel at one place, newer samples weighing more."""

    __slots__ = ("off", "samples", "size")

    def __init__(self) -> None:
        self.off = self.size = 0.0
        self.samples = 0

    def add(self, off: float, size: float) -> float:
        """The error with this sample."""
        # Relative, so that a place where activations grow is not judged by its largest step alone.
        self.off = _FADING * self.off + (off / size if size else 0.0)
        self.size = _FADING * self.size + 1.0
        self.samples += 1
        return math.sqrt(self.off / self.size)


class Quarantine:
    """Where kernels may not run any more in one model; safe to share among threads.

    A place is a block of the model in words, "double block 3", or a class of calls where the model
    numbers no blocks.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept_out: dict[tuple[str, str], Message] = {}
        self._without_quantised = self._without_any = False

    @property
    def is_empty(self) -> bool:
        """Nothing is kept out anywhere."""
        return not (self._kept_out or self._without_quantised or self._without_any)

    def __len__(self) -> int:
        return len(self._kept_out)

    def holds(self, kernel: str, quantised: bool, *places: str) -> bool:
        """Whether a kernel may not run at any of the places."""
        return self.holds_all(quantised) or any((kernel, place) in self._kept_out for place in places)

    def holds_all(self, quantised: bool) -> bool:
        """Whether no kernel may run anywhere, or none that is quantised."""
        return self._without_any or (quantised and self._without_quantised)

    def add(self, kernel: str, place: str, cause: Message) -> None:
        with self._lock:
            self._kept_out.setdefault((kernel, place), cause)

    def add_all(self, quantised: bool) -> None:
        """No kernel runs anywhere any more, or none that is quantised."""
        if quantised:
            self._without_quantised = True
        else:
            self._without_any = True

    def in_words(self) -> Message:
        """Which kernels, why and where."""
        if self._without_any:
            return ATTENTION("kept-out-entirely")
        if self._without_quantised:
            return ATTENTION("kept-out-everywhere")
        with self._lock:
            kept_out = dict(self._kept_out)
        kernels = tuple(sorted({kernel for kernel, _ in kept_out}))
        causes = tuple(sorted(set(kept_out.values())))
        places = tuple(sorted({place for _, place in kept_out}))
        facts: dict[str, Value] = {"kernels": kernels, "causes": causes, "places": places[:_PLACES_TOLD]}
        if len(places) > _PLACES_TOLD:
            return ATTENTION("kept-out-more", more=len(places) - _PLACES_TOLD, **facts)
        return ATTENTION("kept-out", **facts)


class Quarantines:
    """What was found of each model, kept as long as its weights are loaded."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: weakref.WeakKeyDictionary[torch.nn.Module, dict[float, Quarantine]] = (
            weakref.WeakKeyDictionary()
        )

    def of(self, base_model: torch.nn.Module, budget: float) -> Quarantine:
        """What was found of a model with this budget of error.

        A node that runs again, because a LoRA before it changed, finds it.
        """
        with self._lock:
            return self._kept.setdefault(base_model, {}).setdefault(budget, Quarantine())


class Guard:
    """Looks at what the forwards of one patched model give; safe to share among threads.

    Attributes:
        clock: What samples and forwards are timed with.
        watches: Forwards are looked at; not any more in a run whose model gives NaN by itself.
    """

    def __init__(self, report: Report, budget: float, quarantine: Quarantine, clock: Clock) -> None:
        self._report = report
        self._budget = budget
        self._quarantine = quarantine
        self.clock = clock
        self._lock = threading.Lock()
        self._drifts: dict[tuple[str, str], Drift] = {}
        self._calls = 0
        self._credit = 0.0
        self._turn = 0
        self._seconds = 0.0
        self._has_told = False
        self.watches = True

    @property
    def is_clear(self) -> bool:
        """Nothing is kept out anywhere."""
        return self._quarantine.is_empty

    @property
    def turn(self) -> int:
        """Counts the samples, so that each takes another head and other rows."""
        self._turn += 1
        return self._turn

    def took(self, seconds: float) -> None:
        """Takes in what launching one sample took."""
        # The very first one loads code.
        self._seconds += _NEWEST * (min(seconds, 4 * max(self._seconds, SAMPLE_SECONDS)) - self._seconds)

    @property
    def price(self) -> float:
        """Seconds that one sample counts for."""
        return max(SAMPLE_SECONDS, self._seconds)

    def recall(self) -> None:
        """Says at the start of a run what an earlier node has found of the model."""
        if not self.is_clear and not self._has_told:
            self._tell(self._quarantine.in_words())

    def _tell(self, text: Message) -> None:
        self._has_told = True
        self._report.note(text, GUARD)

    def keeps_out(self, kernel: str, quantised: bool, *places: str) -> bool:
        """Whether a kernel may not run at any of the places."""
        return self._quarantine.holds(kernel, quantised, *places)

    def keeps_all_out(self, quantised: bool) -> bool:
        """Whether no kernel may run anywhere, or none that is quantised."""
        return self._quarantine.holds_all(quantised)

    def begin(self) -> Forward:
        """The next forward, with as many samples as the forwards so far have time for, each at another call.

        In the first forward every call is sampled; where steps are short, several share one sample.
        """
        began = self.clock.perf_counter()
        if not self._calls:
            return Forward(every=1, began=began)
        price = self.price
        allowed = int(self._credit / price)
        if not allowed:
            return Forward(began=began)
        every = -(-self._calls // allowed)
        self._credit -= min(allowed, self._calls) * price
        return Forward(every=every, offset=self.turn % every, began=began)

    def look(self, forward: Forward, out: Sequence[torch.Tensor]) -> bool:
        """Whether the output of a forward may be used; waits for the GPU once.

        Args:
            forward: The one that gave it.
            out: What it gave: one tensor, or several.
        """
        readings, forward.readings = forward.readings, []
        totals = [one.sum(dtype=torch.float32).view(1) for one in out]
        # Blocks may lie on other devices than the output.
        sums = [reading.squares.to(totals[0].device) for reading in readings]
        together = [one.to(totals[0].device) for one in totals] + sums
        numbers = (torch.cat(together) if len(together) > 1 else totals[0]).tolist()
        total, squares = sum(numbers[: len(totals)]), numbers[len(totals) :]
        self._calls = forward.calls
        # No more than one forward's worth is saved up: a pause between two runs is no time to make up for.
        now = self.clock.perf_counter()
        seconds, forward.began = now - forward.began, now
        self._credit = min(self._credit + SAMPLING_SHARE * seconds, self._calls * self.price)
        finite = math.isfinite(total)
        drifted = False
        broken = False
        for number, (kernel, place, group, _) in enumerate(readings):
            off, size = squares[2 * number : 2 * number + 2]
            error = accuracy.relative(off, size)
            if error <= BROKEN * self._budget:
                drifted |= self._drifts_away(kernel, place, group, off, size)
            elif finite:
                # Where the output is not finite the second forward finds the culprits by itself.
                broken = True
                self._quarantine.add(kernel, place, WRONG)
        if drifted and not broken and finite:
            self._tell(self._quarantine.in_words())
        return finite and not broken

    def tried(self, kernel: str, place: str, out: torch.Tensor, right: torch.Tensor) -> None:
        """Takes what a kernel answered in a second forward, and the right answer."""
        if not is_finite(right):
            return  # Nobody could have answered better.
        if not is_finite(out):
            self._quarantine.add(kernel, place, NOT_FINITE)
        elif not relative_error(out, right) <= BROKEN * self._budget:
            self._quarantine.add(kernel, place, WRONG)

    def found(self) -> int:
        """How many kernels are kept out of how many places: more after a second run is a finding."""
        return len(self._quarantine)

    def conclude(
        self, found_before: int, forward: Forward, out: Sequence[torch.Tensor], raised: bool
    ) -> None:
        """Draws the conclusion from the second run of a forward, and says it.

        Args:
            found_before: What ``found`` was before it.
            forward: The forward.
            out: What it gave the second time.
            raised: It was run again because a kernel had raised, and not for what it gave.
        """
        if not forward.calls:
            # Whoever answered had the first run's answer at hand, as node packs have that cache steps.
            self._quarantine.add_all(forward.quantised)
            self._tell(ATTENTION("answers-kept"))
        elif self.found() > found_before:
            self._tell(ATTENTION("run-again", finding=self._quarantine.in_words()))
        elif not all(is_finite(one) for one in out):
            self.watches = False
            self._tell(ATTENTION("broken-by-itself"))
        elif raised:
            self._tell(ATTENTION("run-again-after-raising"))
        else:
            # No kernel fails by itself and together they do: float16 models near their limit.
            self._quarantine.add_all(forward.quantised)
            self._tell(ATTENTION("broken-together"))

    def _drifts_away(self, kernel: str, place: str, group: str, off: float, size: float) -> bool:
        """Takes one sample in; whether its kernel is kept out of a place from now on."""
        found = False
        for where, enough in ((place, PLACE_SAMPLES), (group, CLASS_SAMPLES)):
            with self._lock:
                drift = self._drifts.setdefault((kernel, where), Drift())
            error = drift.add(off, size)
            if drift.samples >= enough and error > self._budget and not self.keeps_out(kernel, True, where):
                self._quarantine.add(kernel, where, ATTENTION("errors-above", budget=self._budget))
                found = True
            if place == group:
                break
        return found


def is_finite(out: torch.Tensor) -> bool:
    """Whether nothing in it is NaN or Inf; one reduction, and one wait for the GPU.

    A sum is NaN or Inf if any part of it is, and in float32 no sum of finite latents or of finite float16
    values gets there.
    """
    return bool(torch.isfinite(out.sum(dtype=torch.float32)))
