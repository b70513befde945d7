"""Why compiling failed, in one line for a node: the table of symptoms knows the errors."""

import re
from functools import lru_cache
from typing import NamedTuple

from ..machine.message import Catalogue, Message
from .facts import table


class Fault(NamedTuple):
    """Why compiling failed.

    Attributes:
        text: The cause and the fix in one line.
        curable: Whether the user can mend it while ComfyUI runs and this model is loaded; then it is worth
            another try in the next run.
    """

    text: Message
    curable: bool = False


@lru_cache(maxsize=1)
def catalogue() -> Catalogue:
    """The lines of all faults."""
    faults = table("symptoms")["compiling"]["faults"]
    return Catalogue({f"compile-{name}": row["text"] for name, row in faults.items()})


def fault(name: str) -> Fault:
    """The fault of this name."""
    row = table("symptoms")["compiling"]["faults"][name]
    return Fault(catalogue()(f"compile-{name}"), row["curable"])


def fault_in(text: str) -> Fault | None:
    """What an error says; None where no row knows it.

    An error of a tool quotes the command line it was started with: no row takes the name of a compiler alone.
    """
    return next((fault(name) for name, expression in _rows() if expression.search(text)), None)


@lru_cache(maxsize=1)
def _rows() -> list[tuple[str, re.Pattern[str]]]:
    # Of an error that is known to be of compiling, less has to be said than in a log of anything.
    return [
        (row["compiling"], re.compile(row.get("compiling_match", row["match"]), re.IGNORECASE))
        for row in table("symptoms")["symptoms"]
        if "compiling" in row
    ]
