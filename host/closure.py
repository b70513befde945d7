"""What a function of another pack holds in its closure."""

from collections.abc import Iterator
from typing import Any


def held_by(function: Any) -> Iterator[Any]:
    """The values in a function's closure; none of whatever has no closure.

    A cell is empty while its variable has not been set yet or after it was deleted, and reading it raises.
    """
    for cell in getattr(function, "__closure__", None) or ():
        try:
            value = cell.cell_contents
        except ValueError:
            continue
        yield value
