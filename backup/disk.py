"""What is asked of the disk: long paths, free space, copies with their hash, folders taken away."""

import contextlib
import hashlib
import os
import shutil
import stat

from ..machine.message import Message
from ..machine.user_error import UserError
from .catalogue import MESSAGES

_CHUNK = 1 << 20
# Room for folders, the manifest, and what the system itself needs while we write.
_SPARE = 64 << 20
# So many files are written out one by one within about a second.
_FEW = 100


def reach(path: str | os.PathLike[str]) -> str:
    """A path that Windows also takes beyond 260 letters; a backup's folder makes each one longer."""
    path = os.path.abspath(path)
    if os.name != "nt" or path.startswith("\\\\?\\"):
        return path
    return "\\\\?\\UNC\\" + path[2:] if path.startswith("\\\\") else "\\\\?\\" + path


def shown(path: str) -> str:
    """A path as a person types it."""
    if path.startswith("\\\\?\\UNC\\"):
        return "\\\\" + path[8:]
    return path.removeprefix("\\\\?\\")


def join(folder: str, relative: str) -> str:
    """A file of a tree, by its path with slashes."""
    return os.path.join(folder, relative.replace("/", os.sep) if os.sep != "/" else relative)


def make_folder(folder: str) -> None:
    """Makes a folder and those above it."""
    try:
        os.makedirs(folder, exist_ok=True)
    except FileExistsError:
        raise UserError(MESSAGES("file-in-the-way", folder=shown(folder))) from None


def needs_room(folder: str, size: int, what: Message) -> None:
    """Refuses what would not fit, before anything is written."""
    free = shutil.disk_usage(folder).free
    if free < size + _SPARE:
        needed, got = amount(size + _SPARE), amount(free)
        raise UserError(MESSAGES("disk-too-full", what=what, needed=needed, folder=shown(folder), free=got))


def amount(size: float) -> str:
    """Bytes for a person."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}" if unit != "bytes" else f"{size:.0f} bytes"
        size /= 1000
    return f"{size:.1f} GB"


def copy(source: str, target: str) -> tuple[str, os.stat_result, os.stat_result]:
    """Copies a file's bytes into a new file; returns their SHA-256, and the source before and after."""
    digest = hashlib.sha256()
    with open(source, "rb", buffering=0) as read:
        before = os.fstat(read.fileno())
        with open(target, "xb", buffering=0) as write:
            while chunk := read.read(_CHUNK):
                digest.update(chunk)
                rest = memoryview(chunk)
                # An unbuffered write may take a part only, as on a disk that is nearly full.
                while rest:
                    rest = rest[write.write(rest) :]
        return digest.hexdigest(), before, os.fstat(read.fileno())


def checksum(file: str) -> str:
    """The SHA-256 of a file."""
    digest = hashlib.sha256()
    with open(file, "rb", buffering=0) as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def is_link(entry: os.DirEntry[str] | str) -> bool:
    """Whether it is a symbolic link or a junction: what nothing here ever follows."""
    about = os.lstat(entry) if isinstance(entry, str) else entry.stat(follow_symlinks=False)
    # Python before 3.12 takes a junction for a folder.
    return stat.S_ISLNK(about.st_mode) or is_junction(about)


def is_junction(about: os.stat_result) -> bool:
    return getattr(about, "st_reparse_tag", 0) == getattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", -1)


def remove(path: str) -> None:
    """Takes a file or a whole folder away, read-only ones too; links are removed, not followed."""
    if not os.path.lexists(path):
        return
    if is_link(path) or not os.path.isdir(path):
        _unlink(path)
        return
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        os.chmod(path, 0o700)
    with os.scandir(path) as entries:
        inside = list(entries)
    for entry in inside:
        if not is_link(entry) and entry.is_dir(follow_symlinks=False):
            remove(entry.path)
        else:
            _unlink(entry.path)
    os.rmdir(path)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except PermissionError:
        if os.name != "nt":
            raise
        # A read-only file; a link's own target must keep its attributes.
        if is_link(path):
            os.rmdir(path)
            return
        os.chmod(path, stat.S_IWRITE)
        os.unlink(path)


def remove_if_possible(path: str) -> None:
    """Tidies up after a failure, whose own words matter more; the next call does the rest."""
    with contextlib.suppress(OSError):
        remove(path)


def settle(files: list[str]) -> None:
    """Has the system write out new files; many only where Python can ask for all at once."""
    if len(files) > _FEW:
        if hasattr(os, "sync"):
            os.sync()
        return
    # One by one: sync would also wait for whatever every other program has yet to write.
    for file in files:
        with open(file, "r+b", buffering=0) as stream:
            os.fsync(stream.fileno())
