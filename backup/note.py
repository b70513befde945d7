"""Small JSON files beside an environment, written whole or not at all."""

import contextlib
import json
import os
from typing import Any

from ..machine import json_file

RESTORE = "restore.json"


def read(file: str) -> Any:
    """The data, None where there is none or it is damaged."""
    try:
        return json_file.load(file)
    except (FileNotFoundError, NotADirectoryError, json_file.DamagedError):
        return None


def write(file: str, data: Any) -> None:
    """Writes beside the file, makes the disk take it, and renames."""
    # One name, not a random one: what an interrupted call left is written over.
    unfinished = file + ".unfinished"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(unfinished)
    with open(unfinished, "x", encoding="utf-8") as stream:
        json.dump(data, stream)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(unfinished, file)
