"""Texts of others as a log may have them."""

import re

# What moves a terminal's cursor, colours it or sets its title.
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_])")


def words(error: BaseException) -> str:
    """What an error says, after its type; whoever raised it may have written what raises another."""
    try:
        said = str(error)
    except BaseException as another:
        said = f"(its words cannot be had: {type(another).__name__})"
    return f"{type(error).__name__}: {said}"


def printable(text: str, longest: int = 500) -> str:
    """One line of so many letters at most: no new lines, and nothing that acts on a terminal."""
    line = " ".join((_ANSI.sub("", text) if "\x1b" in text else text).split())
    if not line.isprintable():
        line = "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in line)
    return line if len(line) <= longest else f"{line[: longest - 3]}..."
