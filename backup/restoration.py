"""A backup read back: proven file by file, and made into a folder beside the environment."""

import os
import stat
import sys
from collections.abc import Callable, Iterator

from ..machine.message import Message
from ..machine.user_error import UserError
from . import disk, manifest, shelf, tree
from .catalogue import MESSAGES
from .manifest import Manifest
from .place import VENV, Place
from .snapshot import Progress


def damage(folder: str, held: Manifest, progress: Progress) -> Iterator[Message]:
    """What differs between a backup's files and its manifest, one sentence each; reads every byte."""
    files = os.path.join(folder, manifest.FILES)
    try:
        there = tree.scan(files)
    except FileNotFoundError:
        yield MESSAGES("file-missing", path=manifest.FILES)
        return
    added = (path for path in {**there.files, **there.links} if path not in held.files)
    yield from (MESSAGES("not-in-manifest", path=path) for path in added)
    yield from _differences(files, held, there, progress, MESSAGES("reading-the-backup"))


def _differences(
    files: str, held: Manifest, there: tree.Tree, progress: Progress, doing: Message
) -> Iterator[Message]:
    done, total = 0, held.size
    for path, (mark, digest) in held.files.items():
        done += mark[tree.SIZE]
        progress(doing, done, total)
        if path not in there.files:
            yield MESSAGES("file-missing", path=path)
        elif there.files[path][tree.SIZE] != mark[tree.SIZE]:
            needed, came = mark[tree.SIZE], there.files[path][tree.SIZE]
            yield MESSAGES("file-of-another-size", path=path, needed=needed, came=came)
        elif disk.checksum(disk.join(files, path)) != digest:
            yield MESSAGES("file-of-another-content", path=path)


def fits(place: Place, held: Manifest) -> None:
    """Refuses a backup of another environment than the one it would replace."""
    if held.kind != place.kind:
        raise UserError(
            MESSAGES(
                "backup-of-another-kind",
                name=held.name,
                kind=held.kind,
                folder=disk.shown(place.folder),
                other=place.kind,
            )
        )
    # A venv's programs name its folder; an embedded Python may have been moved with ComfyUI.
    if held.kind == VENV and os.path.normcase(held.folder) != os.path.normcase(place.folder):
        folder, other = disk.shown(held.folder), disk.shown(place.folder)
        raise UserError(MESSAGES("backup-of-another-folder", name=held.name, folder=folder, other=other))


def prepare(place: Place, folder: str, held: Manifest, target: str, progress: Progress) -> None:
    """Makes the whole environment as it was in a new folder, and proves it by reading it again."""
    disk.needs_room(place.home, held.size, MESSAGES("room-of-a-restore"))
    lost = not os.path.isdir(place.folder)
    owner = os.stat(os.path.dirname(place.folder) if lost else place.folder)
    mode = 0o755 if lost else stat.S_IMODE(owner.st_mode)
    os.mkdir(target, 0o700)
    for path in held.folders:
        os.mkdir(disk.join(target, path), 0o700)
    doing, done, total = MESSAGES("copying"), 0, held.size
    for path, (mark, digest) in held.files.items():
        _put_back(
            disk.join(os.path.join(folder, manifest.FILES), path), disk.join(target, path), digest, held, path
        )
        done += mark[tree.SIZE]
        progress(doing, done, total)
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
            MESSAGES("backup-file-is-another" if got else "backup-file-is-missing", name=held.name, path=path)
        )


def _prove(target: str, held: Manifest, progress: Progress) -> None:
    there = tree.scan(target)
    wrong = next(_differences(target, held, there, progress, MESSAGES("reading-the-copy")), None)
    links = {path: link for path, (_, link) in there.links.items()}
    if wrong is None and links != {path: link for path, (_, link) in held.links.items()}:
        wrong = MESSAGES("links-are-others")
    same = set(there.files) == set(held.files) and set(there.folders) == set(held.folders)
    if wrong is None and not same:
        wrong = MESSAGES("files-are-others")
    if wrong is not None:
        raise UserError(MESSAGES("prepared-folder-differs", name=held.name, what=wrong))


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


def _owner(owner: os.stat_result) -> Callable[[str], None]:
    if sys.platform != "win32" and os.geteuid() == 0 and (owner.st_uid, owner.st_gid) != (0, 0):
        return lambda path: os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
    return lambda path: None


def new_folder(place: Place, name: str) -> str:
    """Where a restored environment is prepared."""
    return os.path.join(place.home, shelf.RESTORING + name)
