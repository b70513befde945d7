"""The machine of somebody else: what its report told, as if the doctor stood before it."""

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from ..kernels.families import sought
from ..machine import Environment, described
from ..machine.described import LINE, DescriptionError
from ..machine.surroundings import EMBEDDED, PORTABLE, SYSTEM, UNTOLD, Surroundings
from ..machine.user_error import UserError

# A report is a few KiB. What is larger is a log, or something else that was named by mistake.
_LARGEST = 4 * 2**20
# What names no folder and no person, so that a report can hold it.
_TOLD = (
    "kind",
    "host",
    "pip",
    "ensurepip",
    "managed",
    "packages_writable",
    "long_paths",
    "compiler",
    "headers",
)


def read_machine(file: Path) -> tuple[Environment, Surroundings]:
    """The machine in a file that ``--json`` or ``--report`` printed, or that was written by hand.

    Raises:
        UserError: The file cannot be read, or describes no machine.
    """
    try:
        if not file.is_file() or file.stat().st_size > _LARGEST:
            raise UserError(f"A file of at most {_LARGEST // 2**20} MiB is needed, {file} is none.")
        text = file.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror or error}.") from None
    try:
        data = described.parse(text)
        environment = described.environment_of(data, sought())
        around = _surroundings(data.get("surroundings") or {}, environment)
        return _without_a_part_of_a_path(environment), around
    except DescriptionError as error:
        raise UserError(f"{file} describes no machine: {error}.") from None


def surroundings_data(around: Surroundings) -> dict[str, Any]:
    """What is around a Python as values for JSON, with no path, user name or host name among them."""
    runtime = {name: version and list(version) for name, version in around.runtime.items()}
    told = {name: getattr(around, name) for name in _TOLD}
    return told | {"uv": "uv" if around.uv else "", "runtime": runtime}


def machine_line(environment: Environment, around: Surroundings) -> str:
    """The machine in one line, for a report: ``--machine`` reads it back."""
    data = environment.as_data() | {"surroundings": surroundings_data(around)}
    return LINE + json.dumps(data, separators=(",", ":"))


def _surroundings(told: Any, environment: Environment) -> Surroundings:
    if not isinstance(told, Mapping):
        raise DescriptionError(f'"surroundings" is an object; got {told!r:.60}')
    known: dict[str, Any] = {}
    for field in fields(Surroundings):
        value = told.get(field.name)
        if value is None or isinstance(field.default, tuple):
            continue  # Names and options of this machine alone.
        if field.name == "runtime":
            value = _versions(value)
        elif not isinstance(value, _kinds(field.name)):
            raise DescriptionError(f'"{field.name}" of the surroundings is of another kind: {value!r:.60}')
        known[field.name] = value
    if "kind" not in known:
        known["kind"] = _kind(environment)
    return Surroundings(**known)


def _without_a_part_of_a_path(environment: Environment) -> Environment:
    """A report tells the last parts of where Python is, which as a command would start another one."""
    python = environment.python
    path = PureWindowsPath if environment.system == "windows" else PurePosixPath
    if python is None or path(python.executable).is_absolute():
        return environment
    return replace(environment, python=replace(python, executable=""))


def _kinds(name: str) -> tuple[type, ...]:
    if name in ("not_ascii", "variables"):
        return (dict,)
    empty = getattr(Surroundings(), name)
    return (str,) if isinstance(empty, str) else (bool,)


def _versions(told: Any) -> dict[str, tuple[int, ...] | None]:
    """The files of the Visual C++ runtime: name to version, None where it is not there."""
    try:
        return {str(name): tuple(map(int, version)) if version else None for name, version in told.items()}
    except (AttributeError, TypeError, ValueError):
        raise DescriptionError(
            f'"runtime" maps files to versions such as [14, 44]; got {told!r:.60}'
        ) from None


def _kind(environment: Environment) -> str:
    python = environment.python
    if python is None or not python.embedded:
        return SYSTEM if python and python.executable else UNTOLD
    return PORTABLE if "python_embeded" in python.executable.lower() else EMBEDDED
