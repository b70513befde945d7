"""A pasted log as plain text: without colours, quotes and names of loggers, and where a word stands in it."""

import html
import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import BinaryIO

# Of the log of a long session: what did not load stands at its beginning, what went wrong last at its end.
BEGINNING, END = 500_000, 2_000_000
# An even number: a letter of UTF-16 has two bytes.
_READ = 4 * END
# Of a word that stands there very often: these many places at the beginning and at the end.
_FIRST, _LAST = 3, 5
# How much around a place can belong to it: the command of a compiler alone has some thousand letters.
BEFORE, AFTER = 2_500, 5_000
# Of a line that was put together again.
_LONGEST = 20_000

# Colours as terminals, files of logs and pages that lost the first letter of them have them.
_COLOURS = re.compile(
    r"(?:\x1b|\^\[|\u241b)\[[0-?]{0,40}[ -/]{0,8}[@-~]|\x1b\][^\x07\x1b]{0,400}(?:\x07|\x1b\\)"
    r"|\[\d{1,3}(?:;\d{1,3}){0,6}m"
)
_NOT_PRINTED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ufeff\u200b]")
_QUOTES = str.maketrans(
    {"\u2018": "'", "\u2019": "'", "\u201b": "'", "\u2032": "'", "\u201c": '"', "\u201d": '"'}
)
# What others put before a line: a quotation, a frame of pip's, a container, a clock, a logger.
_MARKS = re.compile(r"^(?:[>|\u2502\u00d7\u2570\u2500\u256d\u2192]{1,4}>? ){1,4}")
_QUOTATION = re.compile(r"^(?:> ?){1,8}")
_CONTAINER = re.compile(r"^[\w.-]{1,40} ?\| ")
_CLOCK = re.compile(
    r"^\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.,]?\d{0,9}Z?\]? ?(?:- )?"
    r"|^\d{1,5}\.\d{1,3} (?=\S)|^\[\d\d:\d\d:\d\d(?:\.\d{1,8})?\] "
    # torch's own: day, time, thread, file and line.
    r"|^[VIWEF]\d{4} \d\d:\d\d:\d\d\.\d{1,9} \d{1,8} [^\n\]]{3,160}:\d{1,6}\] ?(?:\[[\d/_]{1,12}\] ?)?"
)
_LOGGER = re.compile(r"^(?:\[?(?:INFO|WARNING|ERROR|DEBUG|STDERR|STDOUT|CRITICAL)\]?:? (?:\| )?){1,2}")
# What ComfyUI's start begins with, from the command that starts it on.
_STARTS = (
    "main.py",
    "[start] security scan",
    "comfyui startup time",
    "adding extra search path",
    "checkpoint files will always be loaded safely",
    "total vram ",
    "pytorch version: ",
)
# Where a line may have been broken: a space of an expression, or a hyphen in a word. What is escaped, what
# stands in a class of letters and what has to stand before is neither.
_BREAK = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\]){1,200}\]|\(\?<[=!](?:\\.|[^)\\]){1,80}\)| \?| (?![*+{])|(?<=\w)-(?=\w)",
    re.DOTALL,
)
_BROKEN = {" ": r"\s{1,3}", " ?": r"\s{0,3}", "-": r"-\s{0,2}"}
_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def flowing(expression: str, flags: int = 0) -> re.Pattern[str]:
    """An expression that finds what it says also where a terminal or a mail broke the line."""
    return re.compile(_BREAK.sub(lambda match: _BROKEN.get(match[0], match[0]), expression), flags)


@dataclass(frozen=True)
class Paste:
    """What was pasted, ready to be looked through.

    Attributes:
        text: Its lines, with one space where there were several.
    """

    text: str
    _places: dict[str, tuple[int, ...]] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def lower(self) -> str:
        """The text in small letters on one line; every letter at its place."""
        return self.text.translate(_LOWER).replace("\n", " ")

    @cached_property
    def start(self) -> tuple[int, int]:
        """From where to where ComfyUI tells of its start, before its first picture; nowhere without one."""
        # A report has its error before the log, a person tells before it what is wrong.
        report = max(0, self.lower.find("## logs"))
        end = self.lower.find("got prompt", report)
        first = [place for word in _STARTS if (place := self.lower.find(word, report, max(end, 0))) >= 0]
        return min(first, default=report), end

    def has(self, word: str) -> bool:
        """Whether a word, in small letters, stands anywhere."""
        return bool(self.places(word))

    def places(self, word: str) -> tuple[int, ...]:
        """Where a word, in small letters, stands: of many places the first and the last."""
        if word not in self._places:
            self._places[word] = tuple(sorted({*self._first(word), *self._last(word)}))
        return self._places[word]

    def windows(self, word: str, before: int = BEFORE, after: int = AFTER) -> list[tuple[int, str]]:
        """What stands around each of these places, with where it begins; what overlaps is one."""
        found: list[list[int]] = []
        for place in self.places(word):
            start, end = max(0, place - before), place + len(word) + after
            if found and start <= found[-1][1]:
                found[-1][1] = end
            else:
                found.append([start, end])
        return [(start, self.text[start:end]) for start, end in found]

    def matches(self, words: tuple[str, ...], expression: re.Pattern[str]) -> list[tuple[int, re.Match[str]]]:
        """What an expression finds around words of which it needs one: where it begins, and the match."""
        found: dict[int, re.Match[str]] = {}
        for word in words:
            for start, window in self.windows(word):
                for match in expression.finditer(window):
                    found[start + match.start()] = match
        return sorted(found.items())

    def line(self, start: int, end: int) -> str:
        """The line in which something ends, cut where it is very long; both where it was broken in two."""
        broken = self.text.count("\n", start, end) == 1
        first = self.text.rfind("\n", 0, start if broken else end) + 1
        last = self.text.find("\n", end)
        return " ".join(self.text[first : last if last >= 0 else len(self.text)].split())[:300]

    def _first(self, word: str) -> list[int]:
        found: list[int] = []
        place = self.lower.find(word)
        while place >= 0 and len(found) < _FIRST:
            found.append(place)
            place = self.lower.find(word, place + len(word))
        return found

    def _last(self, word: str) -> list[int]:
        found: list[int] = []
        place = self.lower.rfind(word)
        while place >= 0 and len(found) < _LAST:
            found.append(place)
            place = self.lower.rfind(word, 0, place)
        return found


def read(text: str, *, narrow: bool = False) -> Paste:
    """A paste from what somebody sent: the beginning and the end of it where it is very long.

    Args:
        text: What was sent.
        narrow: Take its longest line for the width of a terminal, even where no other line is as long.
    """
    if len(text) > BEGINNING + END:
        text = f"{text[:BEGINNING]}\n{text[-END:]}"
    text = _COLOURS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    text = html.unescape(_NOT_PRINTED.sub("", text)).translate(_QUOTES)
    lines = _unwrapped(_unquoted(text.split("\n")), 1 if narrow else 3)
    return Paste("\n".join(map(_bare, lines)))


def decode(data: bytes) -> str:
    """A log file's text; PowerShell's ``>`` writes UTF-16, almost everything else UTF-8."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    # Without its mark it is known by the zeros of plain letters, as in what is appended with >>.
    if data[1:200:2].count(0) > len(data[:200]) // 4 > data[:200:2].count(0):
        return data.decode("utf-16-le", errors="replace")
    # The expressions are plain letters, which every code page of Windows has at the same place.
    return data.decode("utf-8-sig", errors="replace")


def read_ends(stream: BinaryIO) -> bytes:
    """What stands at the beginning and at the end of a log, however long it is."""
    beginning, end = stream.read(_READ), b""
    while more := stream.read(_READ):
        end = (end + more)[-_READ:]
    return beginning + end


def _bare(line: str) -> str:
    """A line without what others put before it."""
    line = " ".join(line.split())
    for prefix in (_MARKS, _CONTAINER, _CLOCK, _LOGGER):
        line = prefix.sub("", line)
    return line


def _unquoted(lines: list[str]) -> list[str]:
    """The lines without the marks of a quotation that most of them begin with; what was broken stays so."""
    quoted = sum(line.startswith(">") for line in lines)
    if quoted * 5 < sum(map(bool, lines)) * 4:
        return lines
    return [_QUOTATION.sub("", line) for line in lines]


def _unwrapped(lines: list[str], least: int) -> list[str]:
    """The lines that a terminal broke at its width, in the middle of words, in one again."""
    width = max(map(len, lines), default=0)
    full = sum(len(line) == width for line in lines)
    if not 60 <= width <= 300 or full < least:
        return lines
    joined: list[str] = []
    goes_on = False
    for line in lines:
        if goes_on:
            joined[-1] += line
        else:
            joined.append(line)
        goes_on = len(line) == width and not line.endswith(" ") and len(joined[-1]) < _LONGEST
    return joined
