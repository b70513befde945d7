"""Kernels of the Hugging Face Hub, where the local cache holds them: read from files alone.

Nothing is downloaded, and neither `kernels` nor `huggingface_hub` is imported.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import json_file
from .package import COMPILED, InstalledFile, Package, identity

# A repository's folder is "kernels--..." since the Hub knows kernels as a type of their own, "models--..."
# before; kernels/_versions.py of 0.17 looks into both.
_LAYOUTS = ("kernels", "models")
_UNKNOWN = "unknown"


@dataclass(frozen=True)
class HubKernel(Package):
    """A download of a repository. Its version is the kernel's own, its build the commit.

    Attributes:
        folder: The snapshot it lies in; never shown to others.
        archs: What its builds were compiled for, "8.0", "9.0a", as they spell it; () where they do not say.
        depends: Repositories of further kernels that it loads.
    """

    folder: str = ""
    archs: tuple[str, ...] = ()
    depends: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """It has a build with all its files; one that was broken off has none."""
        return bool(self.modules)


def cache_folder() -> str:
    """The folder that `kernels` downloads to: its own variable (hf_hub.py), else huggingface_hub's cache.

    The order is that of huggingface_hub/constants.py.
    """
    told = os.environ.get
    home = told("HF_HOME") or os.path.join(told("XDG_CACHE_HOME") or "~/.cache", "huggingface")
    named = told("HF_HUB_CACHE") or told("HUGGINGFACE_HUB_CACHE") or os.path.join(home, "hub")
    return os.path.abspath(told("KERNELS_CACHE") or os.path.expanduser(os.path.expandvars(named)))


def read_hub(cache: str, repositories: Iterable[str]) -> dict[str, Package]:
    """The download of each repository under its name, of several the last that is whole; none without one.

    Args:
        cache: As ``cache_folder``.
        repositories: "owner/name": keys among the packages, since no distribution's name has a slash.
    """
    found: dict[str, Package] = {}
    for name in repositories:
        folder = name.replace("/", "--")
        downloads = [one for layout in _LAYOUTS for one in _downloads(Path(cache) / f"{layout}--{folder}")]
        if downloads:
            found[name] = max(downloads, key=lambda one: (one[1].is_whole, one[0]))[1]
    return found


def _downloads(repository: Path) -> Iterator[tuple[int, HubKernel]]:
    """Every revision that was downloaded, with when; one that is not whole stands for a broken folder."""
    names = _listed(repository / "snapshots")
    for name in names:
        snapshot = repository / "snapshots" / name
        yield identity(repository / "snapshots", name).mtime_ns, _read(snapshot)
    if not names and os.path.lexists(repository):
        yield 0, HubKernel(_UNKNOWN)


def _read(snapshot: Path) -> HubKernel:
    files, modules, told = [], set(), []
    for build in _listed(snapshot / "build"):
        own = [identity(snapshot, name) for name in _files(snapshot, build)]
        files += own
        compiled = {match["module"] for file in own if (match := COMPILED.match(Path(file.name).name))}
        if compiled and all(file.size >= 0 for file in own) and _has_code(own):
            modules |= compiled
            told.append(_metadata(snapshot / "build" / build / "metadata.json"))
    return HubKernel(
        version=next((str(one["version"]) for one in told if "version" in one), _UNKNOWN),
        build=snapshot.name[:12],
        modules=frozenset(modules),
        files=tuple(files),
        folder=str(snapshot),
        archs=tuple(sorted({arch for one in told for arch in _archs(one)})),
        depends=tuple(sorted({name for one in told for name in _depends(one)})),
    )


def _files(snapshot: Path, build: str) -> list[str]:
    """Python files, compiled modules and metadata of one build, relative to the snapshot.

    What Python leaves beside them when it imports them is not among them.
    """
    found = []
    for folder, _, names in os.walk(snapshot / "build" / build):
        within = Path(folder).relative_to(snapshot).as_posix()
        wanted = (name for name in names if name.endswith((".py", ".json")) or COMPILED.match(name))
        found += [f"{within}/{name}" for name in wanted]
    return sorted(found)


def _has_code(files: list[InstalledFile]) -> bool:
    return any(file.name.endswith("/__init__.py") for file in files)


def _metadata(file: Path) -> dict[str, Any]:
    """What a build says of itself; {} where it says nothing that can be read."""
    try:
        told = json_file.load(file)
    except (OSError, json_file.DamagedError):
        return {}
    return told if isinstance(told, dict) else {}


def _archs(told: dict[str, Any]) -> list[str]:
    backend = told.get("backend")
    archs = backend.get("archs") if isinstance(backend, dict) else None
    return [str(arch) for arch in archs] if isinstance(archs, list) else []


def _depends(told: dict[str, Any]) -> list[str]:
    depends = told.get("kernel-depends")
    names = depends if isinstance(depends, list) else []
    return [str(one.get("repo-id", one) if isinstance(one, dict) else one) for one in names]


def _listed(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:  # It does not exist, is no folder, or may not be read.
        return []
