"""Where an environment is, and where what is kept of it lies: beside it, never inside it."""

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..machine.user_error import UserError
from . import disk, note
from .catalogue import MESSAGES

EMBEDDED, VENV = "embedded", "venv"
INSIDE = ("", "python_embeded", "../python_embeded", ".venv", "venv")
_STORES, _LOCK = "places.json", "lock"


@dataclass(frozen=True)
class Place:
    """One environment.

    Attributes:
        folder: The folder that is kept and swapped, without links in its path.
        kind: EMBEDDED or VENV.
        program: Its Python, relative to the folder, with slashes.
    """

    folder: str
    kind: str
    program: str

    @property
    def home(self) -> str:
        """The folder beside it: its own backups, what a restore prepares and what it replaced."""
        return home_of(self.folder)

    def stores(self, also: Path | None = None) -> list[str]:
        """Every folder with backups of it: the home, what was named before, and what is named now."""
        data = note.read(os.path.join(self.home, _STORES))
        named = data.get("places") if isinstance(data, dict) else None
        known = [one for one in named if isinstance(one, str)] if isinstance(named, list) else []
        asked = [disk.reach(also)] if also is not None else []
        return list(dict.fromkeys([self.home, *known, *asked]))

    def store(self, to: Path | None) -> str:
        """The folder that a new backup goes to; it is remembered."""
        if to is None:
            return self.home
        store = disk.reach(os.path.realpath(to))
        if is_within(store, self.folder):
            raise UserError(MESSAGES("store-inside", folder=disk.shown(store)))
        places = [one for one in self.stores() if one not in (self.home, store)]
        disk.make_folder(store)
        note.write(os.path.join(self.home, _STORES), {"places": [*places, store]})
        return store

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps a second backup or restore of this environment out; the system frees it with the process."""
        disk.make_folder(self.home)
        # Only this user reads a copy of files that may have been private.
        os.chmod(self.home, 0o700)
        file = os.path.join(self.home, _LOCK)
        handle = os.open(file, os.O_RDWR | os.O_CREAT | getattr(os, "O_NONBLOCK", 0), 0o600)
        try:
            if not _lock(handle):
                raise UserError(MESSAGES("another-call-runs", folder=disk.shown(self.folder)))
            yield
        finally:
            os.close(handle)


def _lock(handle: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def find(named: Path) -> Place:
    """The environment that a folder or a program in it stands for."""
    named = Path(os.path.abspath(named))
    if named.is_file():
        named = named.parent.parent if named.parent.name in ("bin", "Scripts") else named.parent
    for inside in INSIDE:
        place = _at(named / inside if inside else named)
        if place is not None:
            return place
    if gone := _swapped_out(named):
        return gone
    raise UserError(MESSAGES("no-environment-to-keep", named=str(named)))


def _at(folder: Path) -> Place | None:
    kind_of = _kind(folder)
    return kind_of and Place(disk.reach(os.path.realpath(folder)), *kind_of)


def _kind(folder: Path) -> tuple[str, str] | None:
    if (folder / "pyvenv.cfg").is_file():
        for program in ("Scripts/python.exe", "bin/python", "bin/python3"):
            if os.path.lexists(folder / program):
                return VENV, program
    if (folder / "python.exe").is_file() and any(folder.glob("python*._pth")):
        return EMBEDDED, "python.exe"
    return None


def _swapped_out(folder: Path) -> Place | None:
    """An environment whose restore was interrupted between its two renames: the note beside it says so."""
    if os.path.lexists(folder):
        return None
    target = disk.reach(os.path.join(os.path.realpath(folder.parent), folder.name))
    data = note.read(os.path.join(home_of(target), note.RESTORE))
    old = data.get("old") if isinstance(data, dict) else None
    if not isinstance(old, str) or os.path.basename(old) != old:
        return None
    kind_of = _kind(Path(home_of(target)) / old)
    return kind_of and Place(target, *kind_of)


def home_of(folder: str) -> str:
    """Beside an environment, where a rename is enough to put it back."""
    return folder + "_backups"


def is_within(path: str, folder: str) -> bool:
    """Whether a path is a folder or lies in it."""
    path, folder = os.path.normcase(path), os.path.normcase(folder)
    return path == folder or path.startswith(folder.rstrip("\\/") + os.sep)
