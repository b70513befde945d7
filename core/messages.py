"""What the nodes tell their users: the last message of each, notices beyond a node, and who hears them."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from ..machine.message import Message, said

log = logging.getLogger(__name__)

KEPT_MESSAGES = 100
KEPT_NOTICES = 20

WARN, INFO = "warn", "info"

_started = time.time()
_lock = threading.Lock()
_messages: "dict[tuple[str | None, str], Shown]" = {}
_notices: "deque[Notice]" = deque(maxlen=KEPT_NOTICES)
# Called with every new message and notice.
listeners: "list[Callable[[Shown | Notice], None]]" = []


@dataclass(frozen=True)
class Place:
    """Where a node is.

    Attributes:
        node_type: Its type, "PatchSageAttention"; "" where that is not known.
        workflow: The id that the page gave its workflow; None where it has none.
    """

    node_type: str = ""
    workflow: str | None = None


def locate(node_id: str) -> Place:
    """The place of a node of the prompt that runs; known where ``locator`` was set."""
    try:
        return locator(node_id) if locator is not None else Place()
    except Exception:  # A later host may keep its prompts otherwise: no reason to stop a run.
        log.debug("the node %s could not be found", node_id, exc_info=True)
        return Place()


# Asks the host, which knows the prompt.
locator: Callable[[str], Place] | None = None


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
        busy: Something goes on that takes a while: measuring, compiling.
        warnings: What the user should look at.
        run: The number of the report's run that it is about.
        place: Where the node is.
        time: Unix time, seconds.
    """

    node_id: str
    line: Message
    lines: tuple[Message, ...]
    busy: bool = False
    warnings: tuple[Remark, ...] = ()
    run: int | None = None
    place: Place = field(default_factory=Place)
    time: float = field(default_factory=time.time)

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
            "said": said([self.line, *self.lines, *(one.text for one in self.warnings)]),
            "busy": self.busy,
            "warnings": [one.as_data() for one in self.warnings],
            "run": self.run,
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
    """

    kind: str
    text: Message
    severity: str = WARN
    time: float = field(default_factory=time.time)

    @property
    def id(self) -> str:
        """The same for the same cause, another one after a new start."""
        return f"{_started:.0f}:{self.kind}:{self.text}"

    def as_data(self) -> dict[str, Any]:
        """The notice as JSON-ready values; fields are only ever added."""
        facts = {"kind": self.kind, "severity": self.severity, "text": self.text, "time": self.time}
        return {"id": self.id, **facts, "said": said([self.text])}


def say(
    node_id: str | None,
    line: Message,
    lines: Iterable[Message] = (),
    *,
    busy: bool = False,
    warnings: Iterable[Remark] = (),
    run: int | None = None,
) -> None:
    """Shows a line on a node; the lines, where there is more to say, to who looks closer."""
    if node_id is None:
        return
    place = locate(node_id)
    shown = Shown(node_id, line, tuple(lines) or (line,), busy, tuple(warnings), run, place)
    with _lock:
        key = (place.workflow, node_id)
        _messages.pop(key, None)
        _messages[key] = shown
        while len(_messages) > KEPT_MESSAGES:
            del _messages[next(iter(_messages))]
    _tell(shown)


def notice(kind: str, text: Message, severity: str = WARN) -> None:
    """Tells the user something once for each cause."""
    new = Notice(kind, text, severity)
    with _lock:
        if any(one.id == new.id for one in _notices):
            return
        _notices.append(new)
    _tell(new)


def messages() -> list[dict[str, Any]]:
    """What each node said last, oldest first."""
    with _lock:
        return [one.as_data() for one in _messages.values()]


def notices() -> list[dict[str, Any]]:
    """What was told once, oldest first."""
    with _lock:
        return [one.as_data() for one in _notices]


def _tell(new: "Shown | Notice") -> None:
    for listener in list(listeners):
        try:
            listener(new)
        except Exception:  # Nobody hears it: no reason to stop a run.
            log.debug("a message was not delivered", exc_info=True)
