"""A machine that somebody described: what ``--json`` or ``--report`` printed there, or a short form by hand.

The short form names what is known and nothing else::

    {"system": "windows", "torch": "2.9.1+cu130", "gpus": {"NVIDIA GeForce RTX 4090": [8, 9]},
     "driver": "581.29", "packages": {"sageattention": "2.2.0+cu130torch2.9.0.post4"}}
"""

import re
from collections.abc import Mapping
from typing import Any

from . import json_file
from .driver import Driver, Gpu
from .environment import Environment
from .pack import Pack
from .package import InstalledFile, Package
from .python import Python
from .sought import Distribution, Sought
from .torch_build import CUDA, ROCM, XPU, Torch

# Begins the line of a report that holds its machine.
LINE = "machine: "
SYSTEMS = ("windows", "linux", "darwin")


class DescriptionError(ValueError):
    """A text that describes no machine; the message says what was needed and what came."""


def parse(text: str) -> dict[str, Any]:
    """The facts in a text: a JSON object, or the line of a report that holds one.

    Raises:
        DescriptionError: It holds no such object, or one without a machine in it.
    """
    reported = re.search(rf"^{LINE}(\{{.*\}})\s*$", text, re.MULTILINE)
    try:
        data = json_file.parse((reported[1] if reported else text).encode("utf-8", "replace"))
    except json_file.DamagedError as error:
        raise DescriptionError(
            f"a machine as --json or --report prints it is needed, this is no JSON ({error})"
        ) from None
    if isinstance(data, dict) and isinstance(data.get("environment"), dict):
        # The whole of --json: the surroundings stand beside the machine.
        data = {**data["environment"], "surroundings": data.get("surroundings") or {}}
    if not isinstance(data, dict) or data.get("system") not in SYSTEMS:
        got = data.get("system") if isinstance(data, dict) else type(data).__name__
        raise DescriptionError(f'"system" is needed, one of {", ".join(SYSTEMS)}; got {got!r:.60}')
    return data


def environment_of(data: Mapping[str, Any], sought: Sought) -> Environment:
    """The machine that the facts describe; what they leave out is unknown.

    Args:
        data: As ``parse`` returns them.
        sought: What is known of the packages.

    Raises:
        DescriptionError: A fact is of the wrong kind; the message names it.
    """
    torch = _torch(data)
    gpus = _gpus(data)
    driver = _text(data, "driver")
    known = {one.name: one for one in sought.distributions}
    packages = {
        name: _package(name, told, known.get(name)) for name, told in _mapping(data, "packages").items()
    }
    if torch is not None:
        packages.setdefault("torch", Package(torch.version, torch.build))
    return Environment(
        python=_python(data),
        system=data["system"],
        release=_text(data, "release") or "",
        wsl=bool(data.get("wsl")),
        torch=torch,
        driver=Driver(driver, tuple(gpu.name for gpu in gpus if gpu.capability)) if driver else None,
        gpus=gpus,
        packages=packages,
        sought=sought.names,
        comfyui=_text(data, "comfyui"),
        flags=_texts(data, "flags"),
        pack=Pack(),
        visible=_text(data, "visible"),
        unread=_texts(data, "unread"),
    )


def _python(data: Mapping[str, Any]) -> Python | None:
    told = _mapping(data, "python")
    if not told:
        return None
    headers = told.get("has_headers")
    return Python(
        version=_text(told, "version") or "",
        implementation=_text(told, "implementation") or "cpython",
        free_threaded=(_text(told, "tag") or "").endswith("t") or bool(told.get("free_threaded")),
        machine=_text(told, "machine") or "x86_64",
        executable=_text(told, "executable") or "",
        embedded=bool(told.get("embedded")),
        has_headers=None if headers is None else bool(headers),
    )


def _torch(data: Mapping[str, Any]) -> Torch | None:
    """From "2.9.1+cu130", or from the object that ``Environment.as_data`` makes."""
    told = data.get("torch")
    if not told:
        return None
    if isinstance(told, str):
        version, _, build = told.partition("+")
        kind, stated = "", {name: _text(data, name) for name in (CUDA, ROCM, XPU)}
    else:
        told = _mapping(data, "torch")
        version, build, kind = (_text(told, name) or "" for name in ("version", "build", "kind"))
        stated = {name: _text(told, name) for name in (CUDA, ROCM, XPU)}
    by_build = {
        CUDA: (match := re.fullmatch(r"cu(\d\d)(\d)", build)) and f"{match[1]}.{match[2]}",
        ROCM: (match := re.fullmatch(r"rocm([\d.]+).*", build)) and match[1],
        XPU: "unknown" if build.startswith(XPU) else None,
    }
    found = {name: stated[name] or by_build[name] for name in stated}
    if kind in found and not any(found.values()):
        found[kind] = "unknown"
    return Torch(version, build, found[CUDA], found[ROCM], found[XPU])


def _gpus(data: Mapping[str, Any]) -> tuple[Gpu, ...]:
    told = data.get("gpus") or ()
    if isinstance(told, Mapping):
        told = [{"name": name, "capability": capability} for name, capability in told.items()]
    if not isinstance(told, list | tuple) or not all(isinstance(one, Mapping) for one in told):
        raise DescriptionError(f'"gpus" maps names to capabilities such as [8, 9]; got {told!r:.60}')
    return tuple(
        Gpu(index, _text(one, "name") or "", _capability(one), _number(one, "memory_mib"))
        for index, one in enumerate(told)
    )


def _capability(told: Mapping[str, Any]) -> tuple[int, int] | None:
    value = told.get("capability")
    if value is None:
        return None
    parts = value.split(".") if isinstance(value, str) else value
    try:
        major, minor = (int(part) for part in parts)
    except (TypeError, ValueError):
        raise DescriptionError(f'a capability is "8.9" or [8, 9]; got {value!r:.60}') from None
    return major, minor


def _package(name: str, told: Any, known: Distribution | None) -> Package:
    if isinstance(told, str):
        told = {"version": told}
    if not isinstance(told, Mapping):
        raise DescriptionError(f'"packages" maps names to versions; got {told!r:.60} for {name!r:.60}')
    version, _, build = (_text(told, "version") or "").partition("+")
    modules = frozenset(_texts(told, "modules"))
    if "modules" not in told and known is not None:
        # A description by hand names a version and no files.
        modules = dict(known.usual_modules).get(_first_number(version), modules)
    # --json tells of the files no more than one hash.
    files = _texts(told, "files") if isinstance(told.get("files"), list) else ()
    return Package(
        version=version,
        build=build or _text(told, "build") or "",
        modules=modules,
        head_dim_limit=_number(told, "head_dim_limit"),
        files=tuple(InstalledFile(file, 1, 1) for file in files),
        in_user_site=bool(told.get("in_user_site")),
        copies=_texts(told, "copies"),
    )


def _first_number(version: str) -> int:
    return int(match[0]) if (match := re.match(r"\d+", version)) else -1


def _text(data: Mapping[str, Any], name: str) -> str | None:
    value = data.get(name)
    if value is not None and not isinstance(value, str):
        raise DescriptionError(f'"{name}" is a text; got {value!r:.60}')
    return value


def _texts(data: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = data.get(name) or ()
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
        raise DescriptionError(f'"{name}" is a list of texts; got {value!r:.60}')
    return tuple(value)


def _mapping(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = data.get(name) or {}
    if not isinstance(value, Mapping):
        raise DescriptionError(f'"{name}" is an object; got {value!r:.60}')
    return value


def _number(data: Mapping[str, Any], name: str) -> int | None:
    value = data.get(name)
    if value is not None and not isinstance(value, int):
        raise DescriptionError(f'"{name}" is a whole number; got {value!r:.60}')
    return value
