"""What an error message means: causes and fixes, the most specific first."""

import html
import re
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, BinaryIO

from .facts import table
from .plan import Plan
from .terminal import Terminal

# Of the log of a long session: what did not load stands at its beginning, what went wrong last at its end.
BEGINNING, END = 500_000, 2_000_000
# An even number: a letter of UTF-16 has two bytes.
_READ = 4 * END
# Colours as terminals, files of logs and pages that lost the first letter of them have them.
_COLOURS = re.compile(
    r"(?:\x1b|\^\[|\u241b)\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\[\d{1,3}(?:;\d{1,3})*m"
)
_NOT_PRINTED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ufeff]")
_QUOTES = str.maketrans(dict.fromkeys("\u2018\u2019\u201b\u2032", "'"))


@dataclass(frozen=True)
class Answer:
    """What one error message means.

    Attributes:
        code: Stable, kebab-case.
        line: The line that was recognised.
        cause: A sentence.
        fix: What to do, in sentences that hold without a plan.
        commands: Those of this machine's plan that do it, as they are to be typed.
        open_in: Where to type them, where that is not anywhere.
        confidence: How well it is supported: "high", "medium" or "low".
        sources: Where it was reported or is documented.
        general: It says less than others might: they come before it, and on the same line instead of it.
    """

    code: str
    line: str
    cause: str
    fix: str
    commands: tuple[str, ...] = ()
    open_in: str = ""
    confidence: str = "high"
    sources: tuple[str, ...] = ()
    general: bool = False

    def as_data(self) -> dict[str, Any]:
        """Values for JSON."""
        return asdict(self) | {"commands": list(self.commands), "sources": list(self.sources)}


@dataclass(frozen=True)
class _Symptom:
    facts: dict[str, Any]
    expression: re.Pattern[str]


def explain(text: str, plan: Plan | None = None, *, private: bool = False) -> list[Answer]:
    """Every known cause of what a text says, most specific first; empty where it says nothing known.

    Args:
        text: A log, a traceback or one line.
        plan: This machine's, to name the very commands; None leaves them out.
        private: Name no folder of this machine in them.
    """
    text = _plain(text)
    terminal = (plan.for_others if private else plan.here) if plan else None
    found = []
    for symptom in _symptoms():
        # The last of several is the one that the user sees.
        matches = list(symptom.expression.finditer(text))
        if matches:
            found.append((symptom.facts, matches[-1]))
    found.sort(key=lambda one: (one[0].get("general", False), -one[1].start()))
    answers = [_answer(facts, _line(text, match), plan, terminal) for facts, match in found]
    told = "\n".join(answer.line for answer in answers if not answer.general)
    return [answer for answer in answers if not (answer.general and answer.line in told)]


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


def _plain(text: str) -> str:
    """The text as it was printed: without colours, with plain quotes, each line of its own."""
    if len(text) > BEGINNING + END:
        text = f"{text[:BEGINNING]}\n{text[-END:]}"
    text = _COLOURS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return html.unescape(_NOT_PRINTED.sub("", text)).translate(_QUOTES)


@lru_cache(maxsize=1)
def _symptoms() -> tuple[_Symptom, ...]:
    return tuple(_Symptom(row, _compiled(row["match"])) for row in table("symptoms")["symptoms"])


def _compiled(expression: str) -> re.Pattern[str]:
    # A terminal may have broken the line where there is a space.
    return re.compile(re.sub(r" (?![?*+{)])", r"\\s+", expression), re.IGNORECASE | re.DOTALL)


def _answer(facts: dict[str, Any], line: str, plan: Plan | None, terminal: Terminal | None) -> Answer:
    steps = [step for step in plan.steps if step.code in facts["steps"]] if plan else []
    lines = terminal.tell(command for step in steps for command in step.commands).lines if terminal else ()
    return Answer(
        code=facts["code"],
        line=line,
        cause=facts["cause"],
        fix=facts["fix"],
        commands=lines,
        open_in=terminal.open_in if lines else "",
        confidence=facts["confidence"],
        sources=tuple(facts["sources"]),
        general=facts.get("general", False),
    )


def _line(text: str, match: re.Match[str]) -> str:
    """The whole line in which a match ends, cut where it is very long; both where it was broken in two."""
    broken = match[0].count("\n") == 1
    start = text.rfind("\n", 0, match.start() if broken else match.end()) + 1
    end = text.find("\n", match.end())
    return " ".join(text[start : end if end >= 0 else len(text)].split())[:300]
