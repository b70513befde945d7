"""Parts of packages that others ask for and that are not there: who asks whom for what."""

import re
from collections.abc import Iterator

from .event import ImportFailure
from .paste import Paste, flowing
from .raising import raiser

_NAME = flowing(r"cannot import name '(?P<name>\w{1,80})' from '(?P<module>[\w.]{1,120})'")
_ABSENT = flowing(r"No module named '?(?P<module>[A-Za-z_][\w.]{0,120})(?=['\s]|$)")


def imports(paste: Paste) -> Iterator[ImportFailure]:
    """Every import of Python's that found no such package, or no such part of it."""
    for place, match in paste.matches(("cannot import name",), _NAME):
        yield _failure(paste, place, place + len(match[0]), match["module"], match["name"])
    for place, match in paste.matches(("no module named",), _ABSENT):
        yield _failure(paste, place, place + len(match[0]), match["module"], "")


# A pack tells of itself that it goes on without something: in one line of its own, with its name before it.
_WITHOUT = re.compile(
    r"^(?:\[(?P<pack>[A-Za-z][\w.: -]{2,40}?)(?: (?:ERROR|WARNING|INFO))?\] "
    r"|Error loading module (?P<module>\w{2,60}): |(?P<nodes>[\w. -]{3,60}) nodes? not available )",
    re.IGNORECASE,
)


def _failure(paste: Paste, start: int, end: int, module: str, name: str) -> ImportFailure:
    package = module.split(".")[0]
    line = paste.text.rfind("\n", 0, start) + 1
    if own := _WITHOUT.match(paste.text[line:start]):
        asking = next(filter(None, own.groups()), "")
        return ImportFailure(start, end, package, module, name, asking, "without")
    absent = not name and module == package
    asking = raiser(paste, start)[0]
    return ImportFailure(
        start,
        end,
        package,
        module,
        name,
        asking if asking != package else "",
        "absent" if absent else "name",
    )
