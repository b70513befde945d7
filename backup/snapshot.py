"""One backup in the making: whole under its name at the end, or not there at all."""

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Set

from ..machine.message import Message
from ..machine.user_error import UserError
from . import disk, manifest, shelf, tree
from .catalogue import MESSAGES
from .manifest import Manifest
from .place import Place

# Looks at the folder until one finds what the last one found.
_LOOKS = 6
Progress = Callable[[Message, int, int], None]


def make(place: Place, store: str, name: str, progress: Progress) -> Manifest:
    """Copies what is new or changed since the last backup in that store, and links the rest to it."""
    disk.make_folder(store)
    last = shelf.last(place, store)
    unfinished = os.path.join(store, f"{shelf.UNFINISHED}{key(place)}_{name}")
    os.mkdir(unfinished, 0o700)
    try:
        os.mkdir(os.path.join(unfinished, manifest.FILES))
        made = Manifest(name, place.folder, place.kind, place.program, time.time())
        taken = _Snapshot(place, unfinished, store, last, made, progress)
        taken.fill()
        disk.settle(taken.copied())
        manifest.write(unfinished, made)
        os.rename(unfinished, os.path.join(store, name))
    except BaseException:
        disk.remove_if_possible(unfinished)
        raise
    return made


def key(place: Place) -> str:
    """Tells one environment's unfinished backup from another's in a store that both use."""
    return hashlib.sha256(os.path.normcase(place.folder).encode("utf-8", "surrogatepass")).hexdigest()[:8]


class _Snapshot:
    def __init__(
        self, place: Place, folder: str, store: str, last: Manifest | None, made: Manifest, progress: Progress
    ):
        self.source = place.folder
        self.files = os.path.join(folder, manifest.FILES)
        self.store = store
        self.made = made
        self.progress = progress
        self.last = last.files if last else {}
        self.last_files = os.path.join(store, last.name, manifest.FILES) if last else ""
        self.read: set[str] = set()

    def fill(self) -> None:
        """Takes files until the folder is, at one look, what has been taken of it."""
        for look in range(_LOOKS):
            found = tree.scan(self.source)
            todo = [path for path, mark in found.files.items() if self._taken(path) != mark]
            if not look:
                new = sum(found.files[path][tree.SIZE] for path in todo if not self._has(path, found))
                disk.needs_room(self.store, new, MESSAGES("room-of-a-backup"))
            self._drop(found)
            self._make_folders(found)
            # Sharing with the last backup reads nothing of the folder, so this very look still holds.
            if not self._take(found, todo):
                self.made.links = found.links
                self.made.copied = sum(self.made.files[path][0][tree.SIZE] for path in self._read())
                return
        file = disk.shown(disk.join(self.source, todo[0]))
        raise UserError(MESSAGES("file-keeps-changing", file=file))

    def copied(self) -> list[str]:
        """The files that are not shared with the last backup."""
        return [disk.join(self.files, path) for path in self._read()]

    def _read(self) -> Set[str]:
        return self.read & self.made.files.keys()

    def _taken(self, path: str) -> tree.Mark | None:
        return self.made.files[path][0] if path in self.made.files else None

    def _has(self, path: str, found: tree.Tree) -> bool:
        """Whether the last backup has a file as it is."""
        return path in self.last and self.last[path][0] == found.files[path]

    def _drop(self, found: tree.Tree) -> None:
        """Takes away what an earlier look found and this one does not."""
        for path in [path for path in self.made.files if path not in found.files]:
            disk.remove(disk.join(self.files, path))
            del self.made.files[path]
        for path in [path for path in reversed(self.made.folders) if path not in found.folders]:
            disk.remove(disk.join(self.files, path))

    def _make_folders(self, found: tree.Tree) -> None:
        for path in found.folders:
            if path not in self.made.folders:
                os.mkdir(disk.join(self.files, path))
        self.made.folders = found.folders

    def _take(self, found: tree.Tree, todo: list[str]) -> bool:
        """Takes these files; returns whether one of them had to be read."""
        total = sum(found.files[path][tree.SIZE] for path in todo)
        doing, done, read = MESSAGES("copying"), 0, False
        for path in todo:
            target, mark = disk.join(self.files, path), found.files[path]
            if path in self.made.files:
                disk.remove(target)
                del self.made.files[path]
            if self._has(path, found) and self._link(path, target, mark):
                self.made.files[path] = self.last[path]
            else:
                read = True
                digest = self._copy(path, target, mark)
                if digest is not None:
                    self.made.files[path] = mark, digest
            done += mark[tree.SIZE]
            self.progress(doing, done, total)
        return read

    def _link(self, path: str, target: str, mark: tree.Mark) -> bool:
        """Shares the last backup's file, where it still has the size and the disk can share."""
        before = disk.join(self.last_files, path)
        with contextlib.suppress(OSError):
            if os.lstat(before).st_size == mark[tree.SIZE]:
                os.link(before, target)
                return True
        return False

    def _copy(self, path: str, target: str, mark: tree.Mark) -> str | None:
        """Copies a file; None where it changed or went meanwhile, for the next look."""
        try:
            digest, before, after = disk.copy(disk.join(self.source, path), target)
        except FileNotFoundError:
            if os.path.lexists(disk.join(self.source, path)):
                raise
            return None
        # What Windows lists of a file and what its handle says differ in kind; there the next look tells.
        as_listed = os.name == "nt" or tree.mark(before) == mark
        if tree.mark(before) != tree.mark(after) or not as_listed:
            disk.remove(target)
            return None
        self.read.add(path)
        return digest
