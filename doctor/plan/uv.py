"""Commands for an environment that has no pip: uv does the same from outside, for the Python it is told."""

import re
from collections.abc import Iterable
from dataclasses import replace

from ...machine.message import Message
from ..commands.quoting import Command
from .catalogue import INSTALLER, sentences
from .step import Step

# What uv does not ask.
_PIPS_OWN = frozenset({"-y"})
# https://docs.astral.sh/uv/reference/cli/#uv-pip has no such command.
_NOT_UVS = frozenset({"download"})


def command(words: Command, uv: str) -> Command | None:
    """A command of pip's in uv's words; any other as it is, None where uv has none for it."""
    if "-m" not in words[:-2] or words[words.index("-m") + 1] != "pip":
        return words
    verb, *rest = words[words.index("-m") + 2 :]
    if verb in _NOT_UVS:
        return None
    return (uv, "pip", verb, "--python", words[0], *(one for one in rest if one not in _PIPS_OWN))


def steps(made: Iterable[Step], uv: str) -> tuple[Step, ...]:
    """The same steps: what is said of pip, each command and the way back in uv's words."""
    return tuple(
        replace(
            step,
            why=tuple(map(_uvs, step.why)),
            by_hand=_uvs(step.by_hand),
            undo_by_hand=_uvs(step.undo_by_hand),
            commands=_all(step.commands, uv),
            undo=_all(step.undo, uv),
        )
        for step in made
    )


def _uvs(text: str) -> str:
    """What is said of pip, said of uv; a sentence of a table of facts has no code."""
    if not isinstance(text, Message):
        return re.sub(r"\bpip\b", "uv", text)
    if text.code in INSTALLER.templates:
        return INSTALLER(text.code, **{**text.values, "installer": "uv"})
    parts = text.values["parts"] if text.code == "sentences" else ()
    told = [_uvs(one) for one in parts if isinstance(one, str)] if isinstance(parts, tuple) else []
    return sentences(*told) if told else text


def _all(commands: Iterable[Command], uv: str) -> tuple[Command, ...]:
    told = (command(one, uv) for one in commands)
    return tuple(one for one in told if one is not None)
