"""What the nodes tell their users: the last message of each, notices beyond a node, and who hears them."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from ..machine.message import Message, said
from .catalogue import ATTENTION
from .clock import SYSTEM, Clock

log = logging.getLogger(__name__)

KEPT_MESSAGES = 100
KEPT_NOTICES = 20

WARN, INFO = "warn", "info"


@dataclass(frozen=True)
class Place:
    """Where a node is.

    Attributes:
        node_type: Its type, "PatchSageAttention"; "" where that is not known.
        workflow: The id that the page gave its workflow; None where it has none.
    """

    node_type: str = ""
    workflow: str | None = None


@dataclass(frozen=True)
class Remark:
    """A reason for a warning mark on the node.

    Attributes:
        code: What kind of warning, in kebab case; the text has a code of its own.
        text: A sentence for the user.
    """

    code: str
    text: Message

    def as_data(self) -> dict[str, Any]:
        return {"code": self.code, "text": self.text}


@dataclass(frozen=True)
class Shown:
    """What one node shows until it says something else.

    Attributes:
        node_id: The node in the prompt.
        line: A few words that fit on the node.
        lines: Everything.
        badge: One word or number, for where the line has no room; "" where there is none to say.
        busy: Something goes on that takes a while: measuring, compiling.
        warnings: What the user should look at.
        run: The number of the report's run that it is about.
        state: What that run came to, "done", "failed" or "cancelled"; "" where it goes on, or for none.
        place: Where the node is.
        time: Unix time, seconds.
    """

    node_id: str
    line: Message
    lines: tuple[Message, ...]
    badge: Message | str = ""
    busy: bool = False
    warnings: tuple[Remark, ...] = ()
    run: int | None = None
    state: str = ""
    place: Place = field(default_factory=Place)
    time: float = 0.0

    @property
    def text(self) -> str:
        """All lines as one text."""
        return "\n".join(self.lines)

    def as_data(self) -> dict[str, Any]:
        """The same as JSON-ready values; fields are only ever added."""
        return {
            "node_id": self.node_id,
            "node_type": self.place.node_type,
            "workflow": self.place.workflow,
            "line": self.line,
            "text": self.text,
            "badge": self.badge,
            "said": said([self.line, *self.lines, self.badge, *(one.text for one in self.warnings)]),
            "busy": self.busy,
            "warnings": [one.as_data() for one in self.warnings],
            "run": self.run,
            "state": self.state,
            "time": self.time,
        }


@dataclass(frozen=True)
class Notice:
    """Something that happened once and concerns more than a node.

    Attributes:
        kind: "startup-fallback", "versions-changed" or "guard".
        text: One or two sentences.
        severity: WARN or INFO.
        time: Unix time, seconds.
        start: The same of the start of ComfyUI that it belongs to.
    """

    kind: str
    text: Message
    severity: str = WARN
    time: float = 0.0
    start: float = 0.0

    @property
    def id(self) -> str:
        """The same for the same cause, another one after a new start."""
        return f"{self.start:.0f}:{self.kind}:{self.text}"

    def as_data(self) -> dict[str, Any]:
        """The notice as JSON-ready values; fields are only ever added."""
        facts = {"kind": self.kind, "severity": self.severity, "text": self.text, "time": self.time}
        return {"id": self.id, **facts, "said": said([self.text])}


@dataclass(frozen=True)
class Checking:
    """How far the kernel check is; without a count none goes on.

    Attributes:
        left: The kernels without a verdict, the one that is tried now first.
        count: How many are tried in all.
    """

    left: tuple[str, ...] = ()
    count: int = 0

    @property
    def kernel(self) -> str:
        """The one that is tried now, "" while none is."""
        return self.left[0] if self.left else ""

    def as_data(self) -> dict[str, Any]:
        """The same as JSON-ready values; fields are only ever added."""
        number = self.count - len(self.left) + 1 if self.left else 0
        values: dict[str, Any] = {"number": number, "count": self.count}
        line: Message | str = ATTENTION("checking-kernels", **values) if self.left else ""
        badge: Message | str = ATTENTION("badge-checking", **values) if self.left else ""
        return {
            "kernel": self.kernel,
            "left": list(self.left),
            "number": number,
            "count": self.count,
            "line": line,
            "badge": badge,
            "said": said([line, badge]),
        }


class Messages:
    """What the nodes said last, notices beyond a node, and who hears them; safe to share among threads.

    Attributes:
        listeners: Called with every new message and notice, and with each step of the kernel check.
        locator: Says where a node of the prompt that runs is: asks the host, which knows the prompt.
    """

    def __init__(self, clock: Clock = SYSTEM) -> None:
        self._clock = clock
        self._start = clock.time()
        self._lock = threading.Lock()
        self._shown: dict[tuple[str | None, str], Shown] = {}
        self._notices: deque[Notice] = deque(maxlen=KEPT_NOTICES)
        self._warned: set[str] = set()
        self.listeners: list[Callable[[Shown | Notice | Checking], None]] = []
        self.locator: Callable[[str], Place] | None = None

    def locate(self, node_id: str) -> Place:
        """The place of a node of the prompt that runs; known where there is a locator."""
        try:
            return self.locator(node_id) if self.locator is not None else Place()
        except Exception:  # A later host may keep its prompts otherwise: no reason to stop a run.
            log.debug("the node %s could not be found", node_id, exc_info=True)
            return Place()

    def say(
        self,
        node_id: str | None,
        line: Message,
        lines: Iterable[Message] = (),
        *,
        badge: Message | str = "",
        busy: bool = False,
        warnings: Iterable[Remark] = (),
        run: int | None = None,
        state: str = "",
    ) -> None:
        """Shows a line on a node; the lines, where there is more to say, to who looks closer."""
        if node_id is None:
            return
        place = self.locate(node_id)
        now = self._clock.time()
        everything = tuple(lines) or (line,)
        shown = Shown(node_id, line, everything, badge, busy, tuple(warnings), run, state, place, now)
        with self._lock:
            key = (place.workflow, node_id)
            self._shown.pop(key, None)
            self._shown[key] = shown
            while len(self._shown) > KEPT_MESSAGES:
                del self._shown[next(iter(self._shown))]
        self._tell(shown)

    def notice(self, kind: str, text: Message, severity: str = WARN) -> None:
        """Tells the user something once for each cause."""
        new = Notice(kind, text, severity, self._clock.time(), self._start)
        with self._lock:
            if any(one.id == new.id for one in self._notices):
                return
            self._notices.append(new)
        self._tell(new)

    def checking(self, now: Checking) -> None:
        """Tells how far the kernel check is; the proofs keep it."""
        self._tell(now)

    def warn_once(self, texts: Iterable[str], about: str = "") -> None:
        """One line in the log for those of the texts that were not in it yet.

        Args:
            texts: What a user should know.
            about: What it is about, which begins the line.
        """
        with self._lock:
            new = [text for text in texts if text not in self._warned]
            self._warned.update(new)
        if new:
            log.warning("SageKit: %s", ". ".join(new) if not about else f"{about}: {'. '.join(new)}")

    def shown(self) -> list[dict[str, Any]]:
        """What each node said last, oldest first."""
        with self._lock:
            return [one.as_data() for one in self._shown.values()]

    def notices(self) -> list[dict[str, Any]]:
        """What was told once, oldest first."""
        with self._lock:
            return [one.as_data() for one in self._notices]

    def _tell(self, new: Shown | Notice | Checking) -> None:
        for listener in list(self.listeners):
            try:
                listener(new)
            except Exception:  # Nobody hears it: no reason to stop a run.
                log.debug("a message was not delivered", exc_info=True)
