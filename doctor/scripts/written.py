"""Files for the user to start: whole or not at all, and never over one that is not ours as we left it."""

import hashlib
import os
import tempfile
from pathlib import Path

from ...machine.user_error import UserError

_MARK = "Written by SageKit's kernel check; unchanged as long as its text has the SHA-256 "


def write(file: Path, text: str) -> None:
    """Writes a .bat or .sh; the last line carries the checksum of what stands before it."""
    windows = file.suffix.lower() in (".bat", ".cmd")
    if file.is_dir():
        raise UserError(f"{file} is a folder. Name a file in it; nothing was written.")
    if file.exists() and not _is_ours(file):
        raise UserError(
            f"{file} is there already and not as this check wrote it. Name another file; nothing was written."
        )
    line_end = "\r\n" if windows else "\n"
    body = text.rstrip("\n") + "\n"
    comment = "rem" if windows else "#"
    whole = f"{body}{comment} {_MARK}{_checksum(body)}\n".replace("\n", line_end)
    _put(file, whole.encode("utf-8"), 0o644 if windows else 0o755)


def _is_ours(file: Path) -> bool:
    try:
        text = file.read_bytes().decode("utf-8").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError):
        return False
    body, mark, checksum = text.rpartition(_MARK)
    body = body[: body.rfind("\n") + 1]
    return bool(mark) and checksum.strip() == _checksum(body)


def _checksum(body: str) -> str:
    return hashlib.sha256(body.encode("utf-8")).hexdigest()


def _put(file: Path, data: bytes, mode: int) -> None:
    unfinished = None
    try:
        handle, unfinished = tempfile.mkstemp(dir=file.absolute().parent, prefix=file.name)
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        os.chmod(unfinished, mode)
        os.replace(unfinished, file)
    except OSError as error:
        if unfinished is not None and os.path.exists(unfinished):
            os.unlink(unfinished)
        raise UserError(
            f"{file} cannot be written: {error.strerror or error}. Nothing was written."
        ) from None
