"""What really ran: calls per kernel and per reason, for each sampling run of each patched model."""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from .dispatch import Plan
from .settings import AUTO, OFF, Settings

log = logging.getLogger(__name__)

KEPT_RUNS = 20
KEPT_CLASSES = 64

_runs: "deque[Run]" = deque(maxlen=KEPT_RUNS)
_said: set[str] = set()
# Called with (node_id, text) for what a user should read on the node.
listeners: list[Callable[[str, str], None]] = []


@dataclass
class Run:
    """One sampling run of one model.

    Attributes:
        settings: What the node asked for.
        model: The model's class in ComfyUI, "WAN21".
        started: Unix time, seconds.
        seconds: How long it took; None while it runs.
        counts: Calls per class of calls.
        notes: What a user should know besides, by what it is about.
    """

    settings: Settings
    model: str
    started: float = field(default_factory=time.time)
    seconds: float | None = None
    counts: Counter = field(default_factory=Counter)
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def calls(self) -> int:
        return sum(self.counts.values())

    def kernels(self) -> dict[str, int]:
        """Calls per kernel, most first."""
        return self._tally(lambda plan: plan.name)

    def fallbacks(self) -> dict[str, int]:
        """Calls that ran on ComfyUI's own attention, per reason code, most first."""
        return self._tally(lambda plan: "" if plan.name else plan.why)

    def _tally(self, label: Callable[[Plan], str]) -> dict[str, int]:
        tally: Counter = Counter()
        for plan, calls in self.counts.items():
            if name := label(plan):
                tally[name] += calls
        return dict(tally.most_common())

    def seconds_saved(self) -> float | None:
        """What the host's own attention would have taken longer, by the times measured; None without any."""
        timed = [
            (plan.host_milliseconds - plan.milliseconds) * calls
            for plan, calls in self.counts.items()
            if plan.name and plan.milliseconds and plan.host_milliseconds
        ]
        return round(sum(timed) / 1000, 3) if timed else None

    def summary(self) -> str:
        """The run in one line."""
        if not self.counts:
            return "patch not reached: no attention call of this model came here"
        parts = [f"{name} {calls:,}" for name, calls in self.kernels().items()]
        if fallbacks := self.fallbacks():
            reasons = ", ".join(f"{code} {calls:,}" for code, calls in fallbacks.items())
            parts.append(f"ComfyUI's own {sum(fallbacks.values()):,} ({reasons})")
        saved = self.seconds_saved()
        gain = f"; attention took about {saved:.1f} s less" if saved and saved >= 0.05 else ""
        return "calls: " + ", ".join(parts) + gain

    def as_data(self) -> dict:
        """The run as JSON-ready values; fields are only ever added."""
        return {
            "node_id": self.settings.node_id,
            "model": self.model,
            "kernel": self.settings.kernel,
            "quality": self.settings.quality,
            "started": self.started,
            "seconds": self.seconds,
            "kernels": self.kernels(),
            "fallbacks": self.fallbacks(),
            "seconds_saved": self.seconds_saved(),
            "summary": self.summary(),
            "notes": list(self.notes.values()),
            "classes": self._classes(),
        }

    def _classes(self) -> list[dict]:
        """Calls by what they look like and what was done with them, most first."""
        merged: dict[tuple, dict] = {}
        for plan, calls in self.counts.most_common():
            # Plans also tell layouts apart, which no reader asks for.
            call = str(plan.call) if plan.call else ""
            passed_over = {name: [str(one) for one in reasons] for name, reasons in plan.passed_over}
            facts = {
                "call": call,
                "kernel": plan.name,
                "reason": plan.why,
                "calls": 0,
                "milliseconds": plan.milliseconds,
                "host_milliseconds": plan.host_milliseconds,
                "error": plan.error,
                "passed_over": passed_over,
            }
            merged.setdefault((call, plan.name, plan.why), facts)["calls"] += calls
        return sorted(merged.values(), key=lambda one: -one["calls"])[:KEPT_CLASSES]


class Report:
    """Counts the calls of one patched model, run by run. Safe to share among threads.

    Attributes:
        open: The run that is under way, None between runs.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._lock = threading.Lock()
        self.open: Run | None = None

    def begin(self, model: str) -> None:
        """Starts a run; one that is still open is closed first."""
        self.end()
        self.open = Run(self.settings, model)

    def count(self, plan: Plan) -> None:
        """Adds one call. Outside a sampling run (another guider drives the model) it opens one."""
        with self._lock:
            if self.open is None:
                self.open = Run(self.settings, "model")
            self.open.counts[plan] += 1

    def note(self, text: str, about: str | None = None) -> None:
        """Adds a remark to the run that is open; a later one about the same replaces it."""
        with self._lock:
            if self.open is not None:
                self.open.notes[about or text] = text

    def end(self) -> None:
        """Closes the run that is open, tells it to the log and the node, and keeps it."""
        with self._lock:
            run, self.open = self.open, None
        if run is None:
            return
        run.seconds = round(time.time() - run.started, 3)
        if reasons := _why_not(run):
            run.notes["named kernel"] = reasons
        _runs.append(run)
        _tell(run)


def runs() -> list[dict]:
    """The last runs, oldest first."""
    return [run.as_data() for run in list(_runs)]


def say(node_id: str | None, text: str) -> None:
    """Shows a text on a node, where somebody listens."""
    if node_id is not None:
        for listener in listeners:
            listener(node_id, text)


def _why_not(run: Run) -> str:
    """Why the kernel that was named ran nowhere; empty where it ran or none was named."""
    named = run.settings.kernel
    if named in (AUTO, OFF) or named in run.kernels():
        return ""
    reasons: dict[str, None] = {}
    for plan in run.counts:
        if plan.why == "guard":
            continue  # The guard has said it in its own words.
        for name, passed_over in plan.passed_over:
            reasons.update((reason.with_code, None) for reason in passed_over if name == named)
    if not reasons:
        return ""
    return f"{named} did not run ({'; '.join(reasons)}); ComfyUI's own attention ran instead"


def _tell(run: Run) -> None:
    """One log line for the run, and one for what is new among its notes."""
    log.info("SageKit: %s, kernel %s: %s", run.model, run.settings.kernel, run.summary())
    notes = list(run.notes.values())
    new = [note for note in notes if note not in _said]
    if new:
        _said.update(new)
        log.warning("SageKit: %s", ". ".join(new))
    say(run.settings.node_id, "\n".join([run.summary(), *notes]))
