"""What really ran: the sampling runs of each patched model, and the calls that are counted into them."""

import itertools
import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ...machine.message import Message
from ..catalogue import ATTENTION
from ..clock import Clock
from ..messages import Messages, Place
from . import gain
from .plan import Decided
from .routes import Times
from .run import GUARD, NAMED, STEP_SECONDS, Run, why_not
from .settings import Settings

log = logging.getLogger(__name__)

KEPT_RUNS = 20


class Runs:
    """The sampling runs of every patched model: those under way, the last that ended, who hears of them.

    Attributes:
        kept: The last that have ended, oldest first.
        listeners: Called with every run that has ended.
    """

    def __init__(self, messages: Messages, times: Times, clock: Clock) -> None:
        self._messages, self._times, self._clock = messages, times, clock
        self._numbers = itertools.count(1)
        self._under_way: dict[int, Run] = {}
        self.kept: deque[Run] = deque(maxlen=KEPT_RUNS)
        self.listeners: list[Callable[[Run], None]] = []

    def begin(self, settings: Settings, model: str) -> Run:
        """A run that begins now."""
        node_id = settings.node_id
        place = self._messages.locate(node_id) if node_id is not None else Place()
        run = Run(settings, model, self._clock.time(), next(self._numbers), place)
        self._under_way[run.number] = run
        while len(self._under_way) > KEPT_RUNS:  # Of guiders that never end one.
            self._under_way.pop(next(iter(self._under_way)), None)
        return run

    def end(self, run: Run, failed: bool, cancelled: bool) -> None:
        """Closes a run, tells it to the log and the node, and keeps it."""
        run.failed, run.cancelled = failed or cancelled, cancelled
        run.seconds = round(self._clock.time() - run.started, 3)
        if reasons := why_not(run):
            run.notes[NAMED] = reasons
        self._under_way.pop(run.number, None)
        self.kept.append(run)
        self._tell(run)

    def ended(self) -> list[dict[str, Any]]:
        """The last runs that have ended, oldest first, as JSON-ready values."""
        return [self.data_of(run) for run in list(self.kept)]

    def under_way(self) -> list[dict[str, Any]]:
        """The runs that have not."""
        # A copy: calls are counted while it is read.
        copies = [
            replace(run, counts=run.counts.copy(), notes=run.notes.copy())
            for run in list(self._under_way.values())
        ]
        return [self.data_of(run) for run in copies]

    def data_of(self, run: Run) -> dict[str, Any]:
        """A run as JSON-ready values."""
        return run.as_data(self._times, self._clock.time())

    def tell_step(self, run: Run, done: int, of: int) -> None:
        """Shows a step of a run on its node; steps that take no time to speak of are not told one by one."""
        now = self._clock.monotonic()
        if done < of and now - run.step_told < STEP_SECONDS:
            return
        run.step_told = now
        seconds = self._clock.time() - run.started
        factor = gain.factor(run.counts.copy(), seconds, run.measuring)
        line = ATTENTION("step", step=done, steps=of)
        if factor is not None:
            line = ATTENTION("step-gain", step=done, steps=of, gain=factor)
        badge = ATTENTION("badge-step", step=done, steps=of)
        self._messages.say(run.settings.node_id, line, badge=badge, busy=True, run=run.number)

    def _tell(self, run: Run) -> None:
        """One log line for the run, and one for what is new among its notes."""
        log.info("SageKit: %s, kernel %s: %s", run.model, run.settings.kernel, run.summary())
        notes = list(run.notes.values())
        self._messages.warn_once(notes)
        lines = [run.summary(), *notes]
        self._messages.say(
            run.settings.node_id,
            run.line(),
            lines,
            badge=run.badge(),
            warnings=run.warnings(),
            run=run.number,
            state=run.state,
        )
        for listener in list(self.listeners):
            try:
                listener(run)
            except Exception:  # Nobody hears it: no reason to stop a run.
                log.debug("a run was not passed on", exc_info=True)
        if finding := run.notes.get(GUARD):
            self._messages.notice("guard", ATTENTION("guard-notice", model=run.model, finding=finding))


class Report:
    """Counts the calls of one patched model, run by run. Safe to share among threads.

    Attributes:
        open: The run that is under way, None between runs.
    """

    def __init__(self, settings: Settings, runs: Runs) -> None:
        self.settings = settings
        self._runs = runs
        self._lock = threading.Lock()
        self.open: Run | None = None

    def begin(self, model: str) -> None:
        """Starts a run; one that is still open is closed first."""
        self.end()
        self.open = self._runs.begin(self.settings, model)

    def count(self, plan: Decided) -> None:
        """Adds one call. Outside a sampling run (another guider drives the model) it opens one."""
        with self._lock:
            if self.open is None:
                self.open = self._runs.begin(self.settings, "model")
            self.open.counts[plan] += 1

    def note(self, text: Message, about: str) -> None:
        """Adds a remark to the run that is open; a later one about the same replaces it."""
        with self._lock:
            if self.open is not None:
                self.open.notes[about] = text

    def measured(self, seconds: float) -> None:
        """Adds what measuring a class of calls took."""
        with self._lock:
            if self.open is not None:
                self.open.measuring += seconds

    def step(self, done: int, of: int) -> None:
        """Shows on the node how far the run is, and what it has gained so far where that is known."""
        with self._lock:
            run = self.open
        if run is not None:
            self._runs.tell_step(run, done, of)

    def end(self, failed: bool = False, cancelled: bool = False) -> None:
        """Closes the run that is open, if one is."""
        with self._lock:
            run, self.open = self.open, None
        if run is not None:
            self._runs.end(run, failed, cancelled)
