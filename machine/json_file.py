"""JSON files that are read whole or not at all, and written whole or not at all."""

import json
import os
import tempfile
from pathlib import Path


def read(file: Path, keeps: str) -> tuple[object, str]:
    """The data, None where there is none, and what a user should know of it ("" if nothing).

    Args:
        file: Where it is kept.
        keeps: What happens where it can not be read, "the kernels are checked again".
    """
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        return data, "" if data is not None else f"{file.name} is empty; {keeps}"
    except FileNotFoundError:
        return None, ""
    except (OSError, ValueError) as error:
        return None, f"{file.name} can not be read ({error}); {keeps}"


def write(file: Path, data: object) -> str:
    """Writes beside the file and renames; returns what went wrong in the system's words, "" if nothing."""
    unfinished = None
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, unfinished = tempfile.mkstemp(dir=file.parent, prefix=file.name)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(data, stream, indent=1)
        os.replace(unfinished, file)
        return ""
    except OSError as error:
        if unfinished is not None and os.path.exists(unfinished):
            os.unlink(unfinished)
        return error.strerror or str(error)
