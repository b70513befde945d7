"""One process at a time in a folder; the system ends the lock with the process, however it ends."""

import contextlib
import errno
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

# Seconds that another process is waited for, which writes for milliseconds, and between two tries.
PATIENCE, PAUSE = 5.0, 0.005
# Windows locks files alone; elsewhere the folder itself is locked, and nothing more lies in it.
NAME = "lock"


@contextlib.contextmanager
def held(folder: Path, patience: float = PATIENCE) -> Iterator[bool]:
    """Whether this process may write in the folder now: not where another did not stop in time.

    Where the file system knows no locks, as some networks' do, it may.
    """
    try:
        handle = _open(folder)
    except OSError:
        # Whatever is wrong with the folder, writing says it in better words.
        yield True
        return
    try:
        yield _taken(handle, patience)
    finally:
        os.close(handle)


def _open(folder: Path) -> int:
    if sys.platform == "win32":
        return os.open(folder / NAME, os.O_RDWR | os.O_CREAT)
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY)


def _taken(handle: int, patience: float) -> bool:
    end = time.monotonic() + patience
    while True:
        try:
            _lock(handle)
            return True
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
                return True
        if time.monotonic() > end:
            return False
        time.sleep(PAUSE)


def _lock(handle: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
