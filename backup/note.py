"""Small JSON files beside an environment, written whole or not at all."""

import json
import os
from typing import Any

RESTORE = "restore.json"


def read(file: str) -> Any:
    """The data, None where there is none or it is damaged."""
    try:
        with open(file, encoding="utf-8") as stream:
            return json.load(stream)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None


def write(file: str, data: Any) -> None:
    """Writes beside the file, makes the disk take it, and renames."""
    # One name, not a random one: what an interrupted call left is written over.
    unfinished = file + ".unfinished"
    with open(unfinished, "w", encoding="utf-8") as stream:
        json.dump(data, stream)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(unfinished, file)
