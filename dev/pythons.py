"""The Pythons that a ComfyUI may belong to, most certain first."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from . import desktop, packages
from .installer import python_in

host = packages.support("host")


def of(folder: Path) -> list[Path]:
    """Those that are there: inside and beside ComfyUI, its desktop program's, the active one, this one."""
    there = (python for python in _candidates(folder) if python.exists())
    # By the path as it is written: the python of an environment is a link to the one it was made from.
    return list(dict.fromkeys(map(Path.absolute, there)))


def _candidates(folder: Path) -> Iterator[Path]:
    for place in (folder, folder.parent):
        yield from (python_in(place / name) for name in (".venv", "venv"))
    # The portable's; some packs of it are spelled the other way.
    for name in ("python_embeded", "python_embedded"):
        yield folder.parent / name / "python.exe"
    if base := desktop.base_of(folder):
        yield python_in(base / ".venv")
    yield from active()
    # This one: where the pack is installed, or of an environment whose Python was called by its path.
    if host.holds_this_pack(folder) or sys.prefix != sys.base_prefix:
        yield Path(sys.executable)


def active() -> Iterator[Path]:
    """The environment that the user's shell is in."""
    if venv := os.environ.get("VIRTUAL_ENV"):
        yield python_in(Path(venv))
    if conda := os.environ.get("CONDA_PREFIX"):
        # On Windows its python.exe lies in the folder itself.
        yield Path(conda) / ("python.exe" if os.name == "nt" else "bin/python")
