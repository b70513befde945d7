"""What is in a folder: its files, its folders, and its links, none of which is followed."""

import os
import stat
from dataclasses import dataclass, field

from . import disk

SYMLINK, SYMLINK_TO_FOLDER, JUNCTION = "symlink", "symlink-to-folder", "junction"
# Size, time of change, mode, time of the last change to any of them, and number on its disk.
Mark = tuple[int, int, int, int, int]
SIZE, CHANGED, MODE = range(3)


@dataclass
class Tree:
    """What is in a folder, by paths with slashes.

    Attributes:
        files: With what tells an unchanged one from another.
        folders: With their modes, each after the one it is in.
        links: Kind and target.
        left_out: Sockets and the like.
    """

    files: dict[str, Mark] = field(default_factory=dict)
    folders: dict[str, int] = field(default_factory=dict)
    links: dict[str, tuple[str, str]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    @property
    def size(self) -> int:
        return sum(mark[SIZE] for mark in self.files.values())


def scan(folder: str) -> Tree:
    """Reads a folder without opening any file in it."""
    found = Tree()
    waiting = [""]
    while waiting:
        inside = waiting.pop()
        try:
            with os.scandir(disk.join(folder, inside) if inside else folder) as entries:
                for entry in entries:
                    _add(found, f"{inside}/{entry.name}" if inside else entry.name, entry, waiting)
        except FileNotFoundError:
            # Gone since it was listed. The folder itself must be there.
            if not inside:
                raise
            found.folders.pop(inside, None)
    return found


def _add(found: Tree, relative: str, entry: os.DirEntry[str], waiting: list[str]) -> None:
    try:
        about = entry.stat(follow_symlinks=False)
        if stat.S_ISREG(about.st_mode):
            found.files[relative] = mark(about)
        elif disk.is_link(entry):
            found.links[relative] = _kind_of_link(entry, about), os.readlink(entry.path)
        elif stat.S_ISDIR(about.st_mode):
            found.folders[relative] = stat.S_IMODE(about.st_mode)
            waiting.append(relative)
        else:
            found.left_out.append(relative)
    except FileNotFoundError:
        # Gone since it was listed: the next look will not find it.
        return


def mark(about: os.stat_result) -> Mark:
    """What changes when a file does."""
    return (
        about.st_size,
        about.st_mtime_ns,
        stat.S_IMODE(about.st_mode),
        about.st_ctime_ns,
        about.st_ino,
    )


def _kind_of_link(entry: os.DirEntry[str], about: os.stat_result) -> str:
    if disk.is_junction(about):
        return JUNCTION
    # Windows keeps two kinds; the one that a link was made as is in its own attributes.
    of_folder = getattr(about, "st_file_attributes", 0) & getattr(stat, "FILE_ATTRIBUTE_DIRECTORY", 0x10)
    return SYMLINK_TO_FOLDER if of_folder else SYMLINK


def make_link(path: str, kind: str, target: str) -> None:
    """Makes a link as it was; its target need not be there."""
    if kind != JUNCTION:
        os.symlink(target, path, target_is_directory=kind == SYMLINK_TO_FOLDER)
        return
    import _winapi  # Windows alone has junctions, and Python only this way to make one.

    _winapi.CreateJunction(disk.shown(target), path)  # type: ignore[attr-defined]
