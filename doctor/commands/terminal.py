"""Where a person opens a terminal, and what each command is when it is typed there.

A command is made of facts: its arguments, paths in full. On this machine it is shown so. To a page or a forum
it is told relative to a folder that a person can find by what lies in it, so that it runs as it is copied and
names nobody; where there is no such form there is no command. Nothing is ever cut out of one.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import PurePath, PurePosixPath, PureWindowsPath

from ...machine import Environment
from ...machine.message import Message
from ...machine.surroundings import (
    CONDA,
    DESKTOP,
    EMBEDDED,
    PORTABLE,
    UNTOLD,
    VENV,
    Surroundings,
)
from .catalogue import TERMINAL
from .quoting import Command, NotTypedError, is_a_variable_to_cmd, is_plain_on_windows, shown
from .remove import REMOVE

# Folders that are the same on every machine.
_PUBLIC = ("/bin/", "/usr/bin/", "/usr/local/bin/", "/opt/conda/bin/")
ANYWHERE, ACTIVATED, DESKTOPS_OWN, THEIR_OWN = "anywhere", "activated", "desktop", "their-own"
PORTABLE_FOLDER, COMFYUI, BASE = "portable", "comfyui", "base"
VENV_FOLDER, CONDA_FOLDER, PYTHON_FOLDER = "venv", "conda", "python"
_FOLDERS = {
    PORTABLE_FOLDER: TERMINAL("folder-of-portable"),
    COMFYUI: TERMINAL("folder-of-comfyui"),
    BASE: TERMINAL("folder-of-base"),
    VENV_FOLDER: TERMINAL("folder-of-venv"),
    CONDA_FOLDER: TERMINAL("folder-of-conda"),
}
# Parts of a path that name nobody, whatever somebody is called.
_NOBODY = frozenset(
    {"bin", "scripts", "python.exe", "python", "python3", "venv", ".venv", "python_embeded", "comfyui"}
)


@dataclass(frozen=True)
class Told:
    """Commands as they are typed, or why there are none.

    Attributes:
        commands: Their arguments as seen from the terminal's folder; "~" is the home folder.
        lines: The same as text for the shell.
        missing: Why there are none.
    """

    commands: tuple[Command, ...] = ()
    lines: tuple[str, ...] = ()
    missing: str = ""


@dataclass(frozen=True)
class Terminal:
    """A terminal on one machine.

    Attributes:
        system: "windows", "linux" or "darwin"; it decides the shell.
        place: The code of the folder that it is opened in; "" where commands name their folders in full.
        folder: That folder, for this machine alone.
        program: The Python, in full.
        python: What is typed where its path is not known, "" for nothing.
        uv: The desktop application's, which its own terminal calls by the name of pip.
        home: The user's own folder.
        names: Of the user and the computer, which no command that is shown to others may have in it.
        host: "Kaggle" or "Colab".
    """

    system: str
    place: str = ""
    folder: str = ""
    program: str = ""
    python: str = ""
    uv: str = ""
    home: str = ""
    names: tuple[str, ...] = ()
    host: str = ""

    @property
    def open_in(self) -> str:
        """Where to open it, as a sentence that names no folder by its path."""
        if not self.place:
            return ""
        folder = self._folder()
        if self.host:
            return (
                TERMINAL("type-into-a-cell-there", folder=folder) if folder else TERMINAL("type-into-a-cell")
            )
        if self.place == ACTIVATED:
            return TERMINAL("activate-environment")
        if self.place == THEIR_OWN:
            return TERMINAL("open-where-python-is")
        if self.place == DESKTOPS_OWN:
            return TERMINAL("open-desktops-own")
        if folder is None:
            return TERMINAL("open-anywhere")
        if self.system == "windows":
            return TERMINAL("open-in-explorer", folder=folder)
        return TERMINAL("open-in-folder", folder=folder)

    def _folder(self) -> Message | None:
        """The folder in words; None where any will do, or none has a name."""
        if self.place == PYTHON_FOLDER:
            program = _path(self.program, self.system)
            name = f"bin/{program.name}" if program.parent.name == "bin" else program.name
            return TERMINAL("folder-of-python", program=name)
        return _FOLDERS.get(self.place)

    def tell(self, commands: Iterable[Command]) -> Told:
        """What to type for these commands; all of them or none, since a part of a step does harm."""
        told, lines = [], []
        for command in commands:
            try:
                told.append(self._seen(command))
                lines.append(shown(told[-1], self.system))
            except NotTypedError as reason:
                return Told(missing=reason.args[0] if reason.args else TERMINAL("not-to-be-typed"))
        return Told(tuple(told), tuple(lines))

    def _seen(self, command: Command) -> Command:
        command = self._with_python(command)
        if not self.place:
            if self.system == "windows" and any(map(is_a_variable_to_cmd, command)):
                raise NotTypedError(TERMINAL("not-to-be-typed"))
            return command
        if self.uv and command[:2] == (self.uv, "pip"):
            # Comfy-Org/desktop, src/shell/terminal.ts
            command = command[1:]
        takes_home = self.system != "windows" or REMOVE in command
        program, *arguments = command
        seen = (self._program(program), *(self._argument(one, takes_home) for one in arguments))
        if self.system == "windows" and not is_plain_on_windows(seen):
            raise NotTypedError(TERMINAL("names-a-folder"))
        return seen

    def _with_python(self, command: Command) -> Command:
        """The command with what stands for a Python of unknown path, as a program or as uv's --python."""
        unknown = [
            at
            for at, part in enumerate(command)
            if part in ("", "python") and (at == 0 or command[at - 1] == "--python")
        ]
        if unknown and not self.python:
            raise NotTypedError(TERMINAL("no-python-known"))
        return tuple(self.python if at in unknown else part for at, part in enumerate(command))

    def _program(self, program: str) -> str:
        if program.startswith((*_PUBLIC, ".\\")) or not _path(program, self.system).is_absolute():
            return program
        seen = self._inside(program) or self._beside(program)
        if seen is None:
            raise NotTypedError(TERMINAL("names-a-folder"))
        if self.system == "windows":
            return seen if seen.startswith("..") else f".\\{seen}"
        # A name without a slash would be looked for on PATH.
        return seen if "/" in seen and not seen.startswith("-") else f"./{seen}"

    def _argument(self, argument: str, takes_home: bool) -> str:
        if not _path(argument, self.system).is_absolute():
            return argument
        seen = self._inside(argument)
        if seen is None and takes_home:
            seen = self._from_home(argument)
        seen = seen or self._beside(argument)
        if seen is None:
            raise NotTypedError(TERMINAL("names-a-folder"))
        return f"./{seen}" if seen.startswith("-") else seen

    def _inside(self, argument: str) -> str | None:
        seen = _below(_path(argument, self.system), _path(self.folder, self.system)) if self.folder else None
        return str(seen) if seen is not None and self._names_nobody(seen) else None

    def _beside(self, argument: str) -> str | None:
        # An environment beside ComfyUI; what else lies there is nobody's business.
        path, owner = _path(argument, self.system), _path(self.folder, self.system).parent
        own = _home_of(_path(self.program, self.system))
        if self.place != COMFYUI or own.parent != owner or _below(path, own) is None:
            return None
        seen = path.relative_to(owner)
        return str(_path("..", self.system) / seen) if self._names_nobody(seen) else None

    def _from_home(self, argument: str) -> str | None:
        below = _below(_path(argument, self.system), _path(self.home, self.system)) if self.home else None
        # A program's own folder, .triton; any other is the user's, and its name may be private.
        if below is None or not below.parts or not below.parts[0].startswith("."):
            return None
        return str(_path("~", self.system) / below) if self._names_nobody(below) else None

    def _names_nobody(self, path: PurePath) -> bool:
        told = "/".join(part for part in path.parts if part.lower() not in _NOBODY)
        return not any(
            re.search(rf"(?<![^\W_]){re.escape(name)}(?![^\W_])", told, re.IGNORECASE) for name in self.names
        )


def in_full(environment: Environment, around: Surroundings) -> Terminal:
    """This machine's own terminal, commands with their folders; as for others where Python's is unknown."""
    known = environment.python is not None and environment.python.executable
    return Terminal(environment.system, host=around.host) if known else for_others(environment, around)


def for_others(environment: Environment, around: Surroundings) -> Terminal:
    """A terminal in a folder found without a path: the portable's, ComfyUI's, or Python's own."""
    system = environment.system
    program = (environment.python.executable if environment.python else "") or ""
    base = Terminal(system, ANYWHERE, program=program, home=around.home, names=around.names, host=around.host)
    if program.startswith(_PUBLIC):
        return base
    if not program:
        place, python = _by_kind(around)
        return replace(base, place=place, python=python, program="python.exe")
    needed = [(program,), *([(around.uv_alone, "pip")] if around.uv_alone else [])]
    for place, folder in _folders(_path(program, system), around, system):
        terminal = replace(base, place=place, folder=str(folder))
        if place == DESKTOPS_OWN:
            terminal = replace(terminal, uv=around.uv_alone)
        if not terminal.tell(needed).missing:
            return terminal
    return base


def _by_kind(around: Surroundings) -> tuple[str, str]:
    """Where Python is, as its kind alone tells, and how it is started there."""
    if around.kind == PORTABLE:
        return PORTABLE_FOLDER, ".\\python_embeded\\python.exe"
    if around.kind == EMBEDDED:
        return PYTHON_FOLDER, ".\\python.exe"
    if around.host:
        return ANYWHERE, "python"
    if around.kind == UNTOLD:
        return THEIR_OWN, "python"
    return (ACTIVATED, "python") if around.kind in (VENV, CONDA, DESKTOP) else (ANYWHERE, "")


def _folders(program: PurePath, around: Surroundings, system: str) -> Iterable[tuple[str, PurePath]]:
    """Where a terminal may be opened, the folder that is easiest to find first."""
    home = _home_of(program)
    if around.kind == PORTABLE:
        yield PORTABLE_FOLDER, home.parent
    if around.comfyui:
        yield COMFYUI, _path(around.comfyui, system)
    if around.base and around.base != around.comfyui:
        yield BASE, _path(around.base, system)
    if around.kind == DESKTOP and around.base:
        # It opens there, and has a uv that no command can name from outside.
        yield DESKTOPS_OWN, _path(around.base, system)
    yield {VENV: VENV_FOLDER, DESKTOP: VENV_FOLDER, CONDA: CONDA_FOLDER}.get(around.kind, PYTHON_FOLDER), home


def _home_of(program: PurePath) -> PurePath:
    """The folder of a Python's environment."""
    return program.parent.parent if program.parent.name.lower() in ("bin", "scripts") else program.parent


def _path(text: str, system: str) -> PurePath:
    return PureWindowsPath(text) if system == "windows" else PurePosixPath(text)


def _below(path: PurePath, folder: PurePath) -> PurePath | None:
    try:
        return path.relative_to(folder)
    except ValueError:
        return None
