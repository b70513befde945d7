"""One sampling run of one patched model: what its calls ran on, and what it says of itself."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ...machine.catalogue import coded
from ...machine.message import Message, said
from ...machine.reason import Reason
from ..catalogue import ATTENTION
from ..messages import Place, Remark
from . import gain
from .plan import Decided, Routed
from .routes import Times
from .settings import AUTO, OFF, Settings

KEPT_CLASSES = 64
# Two runs alike differ by as much.
NO_GAIN = 0.01
# So often at most is a step told.
STEP_SECONDS = 0.5

# What a note is about, where that is told apart.
NAMED, GUARD, DROPPED, NO_BLOCKS, NOT_REACHED = "named-kernel", "guard", "dropped", "no-blocks", "not-reached"


@dataclass
class Run:
    """One sampling run of one model.

    Attributes:
        settings: What the node asked for.
        model: The model's class in ComfyUI, "WAN21".
        started: Unix time, seconds.
        number: Counts up in this process.
        place: Where its node is.
        seconds: How long it took; None while it runs.
        counts: Calls per class of calls.
        notes: What a user should know besides, by what it is about, "guard" or "dropped:a kernel".
        failed: It was cancelled or raised.
        cancelled: The former.
        measuring: Seconds of it that went into measuring kernels.
        step_told: When its last step was told, by the session's clock.
    """

    settings: Settings
    model: str
    started: float
    number: int
    place: Place = field(default_factory=Place)
    seconds: float | None = None
    counts: Counter[Decided] = field(default_factory=Counter)
    notes: dict[str, Message] = field(default_factory=dict)
    failed: bool = False
    cancelled: bool = False
    measuring: float = 0.0
    step_told: float = -STEP_SECONDS

    @property
    def calls(self) -> int:
        return sum(self.counts.values())

    def kernels(self) -> dict[str, int]:
        """Calls per kernel, most first."""
        return self._tally(lambda plan: plan.name if isinstance(plan, Routed) else "")

    def fallbacks(self) -> dict[str, int]:
        """Calls that ran on ComfyUI's own attention, per reason code, most first."""
        return self._tally(lambda plan: "" if isinstance(plan, Routed) else plan.why)

    def _tally(self, label: Callable[[Decided], str]) -> dict[str, int]:
        tally: Counter[str] = Counter()
        for plan, calls in self.counts.items():
            if name := label(plan):
                tally[name] += calls
        return dict(tally.most_common())

    def seconds_saved(self) -> float | None:
        """What the host's own attention would have taken longer, by the times measured; None without any."""
        saved = gain.seconds_saved(self.counts)
        return None if saved is None else round(saved, 3)

    def gain(self) -> float | None:
        """How many times as long the run would have taken with the host's own attention, by those times."""
        return gain.factor(self.counts, self.seconds or 0.0, self.measuring)

    @property
    def state(self) -> str:
        """ "running", "done", "failed" or "cancelled"."""
        if self.seconds is None:
            return "running"
        return "cancelled" if self.cancelled else "failed" if self.failed else "done"

    def line(self) -> Message:
        """The run in a few words: "1.25x faster · Sage 900, cuDNN 60", or how far it came."""
        if self.failed:
            return self._broken_off()
        if not self.counts:
            # Off, a compiled graph is as without the node, and tells nobody of its calls.
            return ATTENTION("off") if self.settings.is_off else ATTENTION("not-reached")
        by_short_name = self._tally(
            lambda plan: (plan.shown_as or plan.name) if isinstance(plan, Routed) else ""
        )
        calls = [ATTENTION("kernel-calls", kernel=name, calls=count) for name, count in by_short_name.items()]
        if others := sum(self.fallbacks().values()):
            calls.append(ATTENTION("own-calls", calls=others))
        parts = [*self._gained(), ATTENTION("calls-by-kernel", calls=tuple(calls))]
        return ATTENTION("run-line", parts=tuple(parts))

    def badge(self) -> Message | str:
        """The same in a word: "1.25x"; "" where nothing is to be told in one."""
        if self.failed:
            return ATTENTION("badge-cancelled") if self.cancelled else ATTENTION("badge-failed")
        factor = self.gain()
        if not factor or not self.kernels() or abs(factor - 1) < NO_GAIN:
            return ""
        return ATTENTION("badge-gain", gain=factor)

    def _gained(self) -> Iterator[Message]:
        """What the run gained, where that is known."""
        factor = self.gain()
        if not factor or not self.kernels():
            return
        if abs(factor - 1) < NO_GAIN:
            yield ATTENTION("no-gain")
        else:
            yield ATTENTION("gain", gain=factor) if factor > 1 else ATTENTION("loss", gain=factor)

    def _broken_off(self) -> Message:
        """How far a run came that was cancelled or raised."""
        if self.cancelled:
            return (
                ATTENTION("run-cancelled-after", calls=self.calls)
                if self.calls
                else ATTENTION("run-cancelled")
            )
        return ATTENTION("run-failed-after", calls=self.calls) if self.calls else ATTENTION("run-failed")

    def _calls_of_kernels(self) -> list[Message]:
        return [ATTENTION("kernel-calls", kernel=name, calls=calls) for name, calls in self.kernels().items()]

    def warnings(self) -> list[Remark]:
        """The notes, and that no call came, as reasons for a warning mark."""
        found = [Remark(about.partition(":")[0], text) for about, text in self.notes.items()]
        if not (self.counts or self.failed or self.seconds is None or self.settings.is_off):
            found.insert(0, Remark(NOT_REACHED, self.summary()))
        return found

    def summary(self) -> Message:
        """The run in one line."""
        if not self.counts:
            if self.failed:
                return self._broken_off()
            return ATTENTION("off-summary") if self.settings.is_off else ATTENTION("no-call-came")
        parts = self._calls_of_kernels()
        if fallbacks := self.fallbacks():
            reasons = tuple(
                ATTENTION("reason-calls", reason=code, calls=calls) for code, calls in fallbacks.items()
            )
            parts.append(ATTENTION("own-calls-by-reason", calls=sum(fallbacks.values()), reasons=reasons))
        saved = self.seconds_saved()
        if saved and saved >= 0.05:
            return ATTENTION("run-summary-less", parts=tuple(parts), seconds=saved)
        return ATTENTION("run-summary", parts=tuple(parts))

    def as_data(self, times: Times, now: float) -> dict[str, Any]:
        """The run as JSON-ready values; fields are only ever added.

        Args:
            times: What is known of the kernels, those that did not run included.
            now: Unix time, for a run that goes on.
        """
        factor = self.gain()
        taken = self.seconds if self.seconds is not None else max(0.0, now - self.started)
        speed = gain.as_data(self, taken, times)
        return {
            "id": self.number,
            "node_id": self.settings.node_id,
            "workflow": self.place.workflow,
            "model": self.model,
            "kernel": self.settings.kernel,
            "quality": self.settings.quality,
            "started": self.started,
            "state": self.state,
            "seconds": self.seconds,
            "kernels": self.kernels(),
            "fallbacks": self.fallbacks(),
            "seconds_saved": self.seconds_saved(),
            "gain": round(factor, 3) if factor else None,
            "speed": speed,
            "line": self.line(),
            "summary": self.summary(),
            "notes": list(self.notes.values()),
            "warnings": [one.as_data() for one in self.warnings()],
            "classes": self._classes(times),
            "said": said((*self._all_said(), speed["advice"])),
        }

    def _all_said(self) -> Iterator[Message | Reason]:
        """Whatever of the above is a sentence."""
        yield from (self.line(), self.summary(), *self.notes.values())
        yield from (one.text for one in self.warnings())
        for plan in self.counts:
            for _, reasons in plan.passed_over:
                yield from reasons

    def _classes(self, times: Times) -> list[dict[str, Any]]:
        """Calls by what they look like and what was done with them, most first."""
        merged: dict[tuple[str, str, str], dict[str, Any]] = {}
        for plan, calls in self.counts.most_common():
            # Plans also tell layouts apart, which no reader asks for.
            call = str(plan.call) if plan.call else ""
            passed_over = {name: [str(one) for one in reasons] for name, reasons in plan.passed_over}
            kernel, reason = (plan.name, "") if isinstance(plan, Routed) else ("", plan.why)
            facts = {
                "call": call,
                "kernel": kernel,
                "reason": reason,
                "calls": 0,
                "milliseconds": plan.milliseconds,
                "host_milliseconds": (
                    plan.host_milliseconds if isinstance(plan, Routed) else plan.milliseconds
                ),
                "error": plan.error if isinstance(plan, Routed) else None,
                "times": times.of_kernels(plan.call.gpu, call) if plan.call else {},
                "passed_over": passed_over,
            }
            merged.setdefault((call, kernel, reason), facts)["calls"] += calls
        return sorted(merged.values(), key=lambda one: -one["calls"])[:KEPT_CLASSES]


def why_not(run: Run) -> Message | None:
    """Why the kernel that was named ran nowhere; None where it ran or none was named."""
    named = run.settings.kernel
    if named in (AUTO, OFF) or named in run.kernels():
        return None
    reasons: dict[Message, None] = {}
    for plan in run.counts:
        if not isinstance(plan, Routed) and plan.why == "guard":
            continue  # The guard has said it in its own words.
        for name, passed_over in plan.passed_over:
            reasons.update((coded(reason), None) for reason in passed_over if name == named)
    if not reasons:
        return None
    return ATTENTION("named-kernel-did-not-run", kernel=named, reasons=tuple(reasons))
