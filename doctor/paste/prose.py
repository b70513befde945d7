"""Which lines of a paste a person wrote, and which a program printed."""

import re

from .paste import Paste

# How a line of a program begins: a frame, a clock, a name in brackets, a message of Python's, a bar, a list
# of values. What stands in brackets before the title of a report is a person's.
_PRINTED = re.compile(
    r"File \"|\[(?!(?:bug|issue|question|help|feature|solved)\b)|Traceback|\d{1,3}(?:\.\d)?%|\*\* |!!! "
    r"|###? Loading"
    r"|(?:warning|error|info)s?: |(?:Requested to load|loaded (?:completely|partially)|Using|Import times)\b"
    r"|(?:- )?\*\*[^*\n]{1,40}\*\*: |[A-Za-z]\w{2,40}(?:Error|Warning|Exception): |\d{1,4}(?:\.\d)? seconds"
    r"|(?:[A-Za-z]:)?[\\/][^\n ]{3,200}[>$#:]",
    re.IGNORECASE,
)


def is_printed(paste: Paste, start: int, end: int) -> bool:
    """Whether a program printed the line in which a place stands, and no person wrote it."""
    first, last = paste.start
    if first <= start and end <= last:
        return True
    line = paste.text.rfind("\n", 0, start) + 1
    return bool(_PRINTED.match(paste.text, line))
