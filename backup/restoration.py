"""A backup read back: proven file by file, and made into a folder beside the environment."""

import os
import stat
import sys
from collections.abc import Iterator

from ..machine.user_error import UserError
from . import disk, manifest, shelf, tree
from .manifest import Manifest
from .place import VENV, Place
from .snapshot import Progress


def damage(folder: str, held: Manifest, progress: Progress) -> Iterator[str]:
    """What differs between a backup's files and its manifest, one sentence each; reads every byte."""
    files = os.path.join(folder, manifest.FILES)
    try:
        there = tree.scan(files)
    except FileNotFoundError:
        yield f"{manifest.FILES}: missing"
        return
    yield from (
        f"{path}: not in the manifest" for path in {**there.files, **there.links} if path not in held.files
    )
    yield from _differences(files, held, there, progress, "Reading the backup")


def _differences(
    files: str, held: Manifest, there: tree.Tree, progress: Progress, doing: str
) -> Iterator[str]:
    done, total = 0, held.size
    for path, (mark, digest) in held.files.items():
        done += mark[tree.SIZE]
        progress(doing, done, total)
        if path not in there.files:
            yield f"{path}: missing"
        elif there.files[path][tree.SIZE] != mark[tree.SIZE]:
            yield f"{path}: needs {mark[tree.SIZE]} bytes, got {there.files[path][tree.SIZE]}"
        elif disk.checksum(disk.join(files, path)) != digest:
            yield f"{path}: its content is another than when it was kept"


def fits(place: Place, held: Manifest) -> None:
    """Refuses a backup of another environment than the one it would replace."""
    if held.kind != place.kind:
        raise UserError(
            f"The backup {held.name} is one of a {held.kind} Python, and {disk.shown(place.folder)} is "
            f"{place.kind}. Nothing was changed."
        )
    # A venv's programs name its folder; an embedded Python may have been moved with ComfyUI.
    if held.kind == VENV and os.path.normcase(held.folder) != os.path.normcase(place.folder):
        raise UserError(
            f"The backup {held.name} is one of {disk.shown(held.folder)}, and a venv works only there: "
            f"got {disk.shown(place.folder)}. Nothing was changed."
        )


def prepare(place: Place, folder: str, held: Manifest, target: str, progress: Progress) -> None:
    """Makes the whole environment as it was in a new folder, and proves it by reading it again."""
    disk.needs_room(place.home, held.size, "the restored folder beside the old one")
    lost = not os.path.isdir(place.folder)
    owner = os.stat(os.path.dirname(place.folder) if lost else place.folder)
    mode = 0o755 if lost else stat.S_IMODE(owner.st_mode)
    os.mkdir(target, 0o700)
    for path in held.folders:
        os.mkdir(disk.join(target, path), 0o700)
    done, total = 0, held.size
    for path, (mark, digest) in held.files.items():
        _put_back(
            disk.join(os.path.join(folder, manifest.FILES), path), disk.join(target, path), digest, held, path
        )
        done += mark[tree.SIZE]
        progress("Copying", done, total)
    for path, (kind, link) in held.links.items():
        tree.make_link(disk.join(target, path), kind, link)
    disk.settle([disk.join(target, path) for path in held.files])
    _prove(target, held, progress)
    _dress(target, held, owner, mode)


def _put_back(source: str, target: str, digest: str, held: Manifest, path: str) -> None:
    try:
        got = disk.copy(source, target)[0]
    except FileNotFoundError:
        got = ""
    if got != digest:
        raise UserError(
            f"The backup {held.name} is damaged: {path} is {'another' if got else 'missing'}. "
            "The environment is as it was; use another backup."
        )


def _prove(target: str, held: Manifest, progress: Progress) -> None:
    there = tree.scan(target)
    wrong = next(_differences(target, held, there, progress, "Reading the copy"), None)
    links = {path: link for path, (_, link) in there.links.items()}
    if wrong is None and links != {path: link for path, (_, link) in held.links.items()}:
        wrong = "its links are others"
    if wrong is None and (there.files.keys(), there.folders.keys()) != (
        held.files.keys(),
        held.folders.keys(),
    ):
        wrong = "its files are others"
    if wrong is not None:
        raise UserError(
            f"The folder that was prepared is not as the backup {held.name} says: {wrong}. "
            "The disk may be failing; the environment is as it was."
        )


def _dress(target: str, held: Manifest, owner: os.stat_result, mode: int) -> None:
    """Gives files and folders their times, modes and owner; folders last, as one may be read-only."""
    give = _owner(owner)
    for path in (*held.links, *held.files, *held.folders, ""):
        there = disk.join(target, path) if path else target
        give(there)
        if path in held.files:
            mark = held.files[path][0]
            os.utime(there, ns=(mark[tree.CHANGED], mark[tree.CHANGED]))
            os.chmod(there, mark[tree.MODE])
    for path in reversed(held.folders):
        os.chmod(disk.join(target, path), held.folders[path])
    os.chmod(target, mode)


def _owner(owner: os.stat_result):
    if sys.platform != "win32" and os.geteuid() == 0 and (owner.st_uid, owner.st_gid) != (0, 0):
        return lambda path: os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
    return lambda path: None


def new_folder(place: Place, name: str) -> str:
    """Where a restored environment is prepared."""
    return os.path.join(place.home, shelf.RESTORING + name)
