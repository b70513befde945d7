"""One backup in the making: whole under its name at the end, or not there at all."""

import contextlib
import hashlib
import os
import time
from collections.abc import Callable

from ..trouble import DoctorError
from . import disk, manifest, shelf, tree
from .manifest import Manifest
from .place import Place

# Looks at the folder until one finds what the last one found.
_LOOKS = 6
Progress = Callable[[str, int, int], None]


def make(place: Place, store: str, name: str, progress: Progress) -> Manifest:
    """Copies what is new or changed since the last backup in that store, and links the rest to it."""
    disk.make_folder(store)
    last = shelf.last(place, store)
    unfinished = os.path.join(store, f"{shelf.UNFINISHED}{key(place)}_{name}")
    os.mkdir(unfinished, 0o700)
    try:
        os.mkdir(os.path.join(unfinished, manifest.FILES))
        made = Manifest(name, place.folder, place.kind, place.program, time.time())
        _Snapshot(place, unfinished, store, last, made, progress).fill()
        disk.settle()
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

    def fill(self) -> None:
        """Takes files until the folder is, at one look, what has been taken of it."""
        for look in range(_LOOKS):
            found = tree.scan(self.source)
            todo = [path for path, mark in found.files.items() if self._taken(path) != mark]
            gone = [path for path in self.made.files if path not in found.files]
            if not todo and not gone and look:
                self.made.folders, self.made.links = found.folders, found.links
                self._drop_folders()
                return
            if not look:
                new = sum(found.files[path][tree.SIZE] for path in todo if self._known(path, found) is None)
                disk.needs_room(self.store, new, "this backup")
            for path in gone:
                disk.remove(disk.join(self.files, path))
                del self.made.files[path]
            self._take(found, todo)
        raise DoctorError(
            f"{disk.shown(disk.join(self.source, (todo or gone)[0]))} changes while it is read. "
            "Close ComfyUI and whatever installs packages, then start the backup again; nothing was kept."
        )

    def _taken(self, path: str) -> tree.Mark | None:
        return self.made.files[path][0] if path in self.made.files else None

    def _known(self, path: str, found: tree.Tree) -> str | None:
        """The SHA-256 of a file that the last backup has as it is."""
        mark, digest = self.last.get(path, (None, None))
        return digest if mark == found.files[path] else None

    def _take(self, found: tree.Tree, todo: list[str]) -> None:
        for path in found.folders:
            folder = disk.join(self.files, path)
            if not os.path.isdir(folder):
                disk.remove(folder)
                os.mkdir(folder)
        total = sum(found.files[path][tree.SIZE] for path in todo)
        done = 0
        for path in todo:
            target = disk.join(self.files, path)
            if path in self.made.files:
                disk.remove(target)
                del self.made.files[path]
            done += found.files[path][tree.SIZE]
            digest = self._known(path, found)
            if digest is None or not self._link(path, target, found.files[path]):
                digest = self._copy(path, target, found.files[path])
            if digest is not None:
                self.made.files[path] = found.files[path], digest
            self.progress("Copying", done, total)

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
        self.made.copied += after.st_size
        return digest

    def _drop_folders(self) -> None:
        """Takes away the folders that went while files were taken."""
        kept = tree.scan(self.files)
        for path in reversed(kept.folders):
            if path not in self.made.folders:
                disk.remove(disk.join(self.files, path))
