"""One thing to do: the commands, why, and the commands that undo it."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..environment import Environment
from .wheel import Wheel

Command = tuple[str, ...]

# What cmd.exe takes for itself outside double quotes.
_SPECIAL_TO_CMD = frozenset(" \t&|<>()^;,=!%'`~*?[]{}+$#")


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

    def as_data(self, system: str, tell: Callable[[str], str] = str) -> dict[str, Any]:
        """Values for JSON.

        Args:
            system: Whose command line the text is quoted for.
            tell: Turns each part of a command, and each text, into what may be shown.
        """
        told = [tuple(map(tell, command)) for command in self.commands]
        back = [tuple(map(tell, command)) for command in self.undo]
        return {
            "code": self.code,
            "title": self.title,
            "why": list(self.why),
            "commands": [list(command) for command in told],
            "shown": [shown(command, system) for command in told],
            "undo": [list(command) for command in back],
            "undo_shown": [shown(command, system) for command in back],
            "by_hand": tell(self.by_hand),
            "undo_by_hand": tell(self.undo_by_hand),
            "changes": [vars(change) for change in self.changes],
            "wheel": self.wheel and self.wheel.as_data(),
            "sources": list(self.sources),
        }


def shown(command: Command, system: str) -> str:
    """A command as a person types it, into cmd.exe on Windows, else into a shell."""
    program, *arguments = command
    return " ".join([_program(program, system), *(_argument(one, system) for one in arguments)])


def _program(program: str, system: str) -> str:
    # A name without a folder may be one of cmd.exe's own words, which quotes would hide.
    if "/" not in program and "\\" not in program:
        return program
    if system != "windows" and set(program) & set('$`\\"!'):
        return shlex.quote(program)
    return f'"{program}"'


def _argument(argument: str, system: str) -> str:
    if system != "windows":
        return shlex.quote(argument)
    if '"' in argument or "\n" in argument:
        raise ValueError(f"cmd.exe can not be handed {argument!r}")
    return f'"{argument}"' if not argument or set(argument) & _SPECIAL_TO_CMD else argument


def pip(environment: Environment, *arguments: str) -> Command:
    """A command of the pip that belongs to this very Python."""
    python = environment.python
    program = (python.executable if python else "") or "python"
    # The stock launch files start the embeddable Python with -s: what pip finds must be what ComfyUI finds.
    isolated = ("-s",) if python is not None and python.embedded else ()
    return (program, *isolated, "-m", "pip", *arguments)
