"""The tables of wheels.json and symptoms.json."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).resolve().parent


@lru_cache(maxsize=2)
def table(name: str) -> dict[str, Any]:
    """The whole file of this name, "wheels" or "symptoms"."""
    rows: dict[str, Any] = json.loads((_FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return rows
