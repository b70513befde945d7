"""One thing to do: the commands, why, and the commands that undo it."""

from dataclasses import dataclass
from typing import Any

from ..commands.quoting import Command
from ..commands.terminal import Terminal
from .wheel import Wheel


@dataclass(frozen=True)
class Change:
    """A package that a step changes.

    Attributes:
        name: As pip knows it.
        before: Its full version now, None where it is not installed.
        after: What is asked of pip, "triton-windows>=3.7,<3.8" or a wheel's file name; None removes it.
    """

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Step:
    """One thing to do.

    Attributes:
        code: Stable, kebab-case.
        title: What it does, as an order.
        why: Sentences.
        commands: What to run, each as a list of arguments; none where a person must do it.
        undo: What to run to go back, in this order; none where there is nothing to undo.
        by_hand: What a person must do, where no command can.
        undo_by_hand: The same for going back.
        changes: The packages that it changes.
        wheel: The file that it installs.
        sources: Where this is documented or was reported.
    """

    code: str
    title: str
    why: tuple[str, ...] = ()
    commands: tuple[Command, ...] = ()
    undo: tuple[Command, ...] = ()
    by_hand: str = ""
    undo_by_hand: str = ""
    changes: tuple[Change, ...] = ()
    wheel: Wheel | None = None
    sources: tuple[str, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """What it says in sentences."""
        return (self.title, *self.why, self.by_hand, self.undo_by_hand)

    def as_data(self, terminal: Terminal) -> dict[str, Any]:
        """Values for JSON, with the commands as they are typed into a terminal."""
        told, back = terminal.tell(self.commands), terminal.tell(self.undo)
        return {
            "code": self.code,
            "title": self.title,
            "why": list(self.why),
            "commands": [list(command) for command in told.commands],
            "shown": list(told.lines),
            "missing": told.missing,
            "undo": [list(command) for command in back.commands],
            "undo_shown": list(back.lines),
            "undo_missing": back.missing,
            "by_hand": self.by_hand,
            "undo_by_hand": self.undo_by_hand,
            "changes": [vars(change) for change in self.changes],
            "wheel": self.wheel and self.wheel.as_data(),
            "sources": list(self.sources),
        }
