"""JSON files of a user's disk: read and written whole or not at all, and never believed blindly.

Anything may lie under the name of such a file: a pipe that never ends, a device, half a file, another
program's, one made to break whoever reads it. None of that stops, ends or slows a start.
"""

import contextlib
import json
import math
import os
import re
import stat
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import file_lock
from .catalogue import FILES
from .message import Message

# Bytes of the largest file of ours that is read at a start: 2,000 classes of calls of four GPUs are a tenth.
LARGEST = 8 << 20
# How deep values may lie in each other: ours lie in five.
DEEPEST = 32
# Digits of the longest whole number: a file's number on ReFS has 128 bits.
_LONGEST_NUMBER = 40
# What a writer leaves that is killed, and seconds after which none writes it any more.
_UNFINISHED = ".unfinished"
_ABANDONED = 3600.0


class DamagedError(ValueError):
    """What is in a file is not what was written there; says why."""


def read(file: Path, then: Message | str, largest: int = LARGEST) -> tuple[Any, Message | str]:
    """The data, None where there is none, and what a user should know of it ("" if nothing).

    Args:
        file: Where it is kept.
        then: What happens where it cannot be read, "the kernels are checked again".
        largest: Bytes.
    """
    try:
        data = load(file, largest)
        return data, "" if data is not None else damaged(file, ValueError("it is empty"), then)
    except FileNotFoundError:
        return None, ""
    except DamagedError as error:
        return None, damaged(file, error, then)
    except OSError as error:
        words = error.strerror or str(error)
        return None, FILES("file-unreadable", file=file.name, error=words, then=then)


def damaged(file: Path, error: Exception, then: Message | str) -> Message:
    """The remark on a file that is not as it was written."""
    return FILES("file-damaged", file=file.name, error=str(error)[:200], then=then)


def of_another_version(file: Path, then: Message | str) -> Message:
    """The remark on a file that another version of this pack has written."""
    return FILES("file-of-another-version", file=file.name, then=then)


def load(file: str | os.PathLike[str], largest: int = LARGEST) -> Any:
    """The data of a file.

    Raises:
        DamagedError: It is none of ours: no regular file, too large, no JSON, or JSON made to break a reader.
        OSError: It cannot be opened or read.
    """
    # A pipe is waited for when it is opened and a device may act, so it is looked at first.
    if not stat.S_ISREG(os.stat(file).st_mode):
        raise DamagedError("it is no regular file")
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    with open(os.open(file, flags), "rb") as stream:
        # It may be another one by now.
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise DamagedError("it is no regular file")
        text = stream.read(largest + 1)
    if len(text) > largest:
        raise DamagedError(f"it has more than {largest >> 20} MiB")
    return parse(text)


def parse(text: bytes) -> Any:
    """The value that JSON stands for; DamagedError for anything else, and for what has no place in ours."""
    if _depth(text) > DEEPEST:
        raise DamagedError("its values lie too deep in each other")
    try:
        return json.loads(
            text.decode("utf-8"), parse_int=_whole, parse_float=_number, parse_constant=_constant
        )
    except ValueError as error:  # Of the encoding, too.
        raise DamagedError(str(error)) from None


def _depth(text: bytes) -> int:
    """How deep the brackets go, up to just over what is allowed.

    Python's own limit is no help: a pack may have raised it past what the stack holds.
    """
    outside = text.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2]
    depth = deepest = 0
    for bracket in b"".join(outside).translate(None, _NO_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
        if deepest > DEEPEST:
            break
    return deepest


_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def _whole(digits: str) -> int:
    if len(digits) > _LONGEST_NUMBER:
        raise ValueError(f"a number of {len(digits):,} digits")
    return int(digits)


def _number(digits: str) -> float:
    if not math.isfinite(number := float(digits)):
        raise ValueError("a number without an end")
    return number


def _constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def write(file: Path, data: object) -> str:
    """Writes beside the file and renames; returns what went wrong in the system's words, "" if nothing."""
    unfinished = None
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, unfinished = tempfile.mkstemp(dir=file.parent, prefix=f"{file.name}.", suffix=_UNFINISHED)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(data, stream, indent=1, allow_nan=False)
        os.replace(unfinished, file)
    except (OSError, ValueError) as error:
        if unfinished is not None:
            with contextlib.suppress(OSError):
                os.unlink(unfinished)
        return (error.strerror if isinstance(error, OSError) else "") or str(error)
    _sweep(file)
    return ""


def change(file: Path, changed: Callable[[], object]) -> str:
    """Writes what another process may be writing as well, without losing what it wrote; returns as ``write``.

    Args:
        file: Where it is kept.
        changed: Reads the file and returns what is to be in it; called while nobody else does so.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return error.strerror or str(error)
    with file_lock.held(file.parent) as is_held:
        return write(file, changed()) if is_held else "another process has not stopped writing it"


def _sweep(file: Path) -> None:
    """Takes away what writers of this file left who were killed: what has its name and ours, and is old."""
    ours = re.compile(re.escape(file.name) + r"\.[a-z0-9_]{8}" + re.escape(_UNFINISHED))
    with contextlib.suppress(OSError), os.scandir(file.parent) as entries:
        for entry in entries:
            if not ours.fullmatch(entry.name):
                continue
            with contextlib.suppress(OSError):
                about = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(about.st_mode) and time.time() - about.st_mtime > _ABANDONED:
                    os.unlink(entry.path)
