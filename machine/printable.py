"""Texts of others as a log may have them."""

import re

# What moves a terminal's cursor, colours it or sets its title.
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_])")


def printable(text: str, longest: int = 500) -> str:
    """One line of so many letters at most: no new lines, and nothing that acts on a terminal."""
    line = " ".join((_ANSI.sub("", text) if "\x1b" in text else text).split())
    if not line.isprintable():
        line = "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in line)
    return line if len(line) <= longest else f"{line[: longest - 3]}..."
