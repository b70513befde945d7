"""What JSON of a user's disk has to be: each function returns its value as told, or raises.

What they raise is a ValueError with the reason in a few words.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

_T = TypeVar("_T")
# Most letters of a text and most entries of an object, where no smaller number is known.
LONGEST, MOST = 10_000, 100_000


def fields(value: object) -> Mapping[str, Any]:
    """An object, to be asked for fields by ``field``."""
    if not isinstance(value, dict):
        raise _other("an object", value)
    return value


def field(data: Mapping[str, Any], name: str) -> Any:
    """A field that must be there."""
    if name not in data:
        raise ValueError(f"{name} is missing")
    return data[name]


def table(value: object, each: Callable[[Any], _T], most: int = MOST) -> dict[str, _T]:
    """An object of so many values at most, each taken by a function of this module or one like them."""
    if not isinstance(value, dict):
        raise _other("an object", value)
    if len(value) > most:
        raise ValueError(f"{len(value):,} entries, where {most:,} are the most")
    return {_name(name): each(one) for name, one in value.items()}


def row(value: object, each: Callable[[Any], _T], most: int = MOST) -> list[_T]:
    """The same of a list."""
    if not isinstance(value, list):
        raise _other("a list", value)
    if len(value) > most:
        raise ValueError(f"{len(value):,} entries, where {most:,} are the most")
    return [each(one) for one in value]


def text(value: object, longest: int = LONGEST) -> str:
    if not isinstance(value, str):
        raise _other("a text", value)
    if len(value) > longest:
        raise ValueError(f"a text of {len(value):,} letters, where {longest:,} are the most")
    return value


def _name(value: str) -> str:
    """A name that a log may have in a line."""
    if not value.isprintable():
        raise ValueError("a name with letters that cannot be printed")
    return text(value)


def number(value: object, least: float = 0.0, most: float = 1e12) -> float:
    # To Python, true is a number.
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise _other("a number", value)
    if not math.isfinite(value) or not least <= value <= most:
        raise ValueError(f"a number cannot be {value!r:.40}")
    return float(value)


def whole(value: object, least: int = 0, most: int = 2**63) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _other("a whole number", value)
    if not least <= value <= most:
        raise ValueError(f"a number cannot be {value!r:.40}")
    return value


def _other(needed: str, value: object) -> ValueError:
    return ValueError(f"needs {needed}, got {type(value).__name__}")
