"""What an error message means: causes and fixes, the most specific first."""

import re
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from .facts import table
from .plan import Plan
from .step import shown

# A log of a long session; what went wrong last stands at its end.
LONGEST = 500_000


@dataclass(frozen=True)
class Answer:
    """What one error message means.

    Attributes:
        code: Stable, kebab-case.
        line: The line that was recognised.
        cause: A sentence.
        fix: What to do, in sentences that hold without a plan.
        commands: Those of this machine's plan that do it, as they are to be typed.
        confidence: How well it is supported: "high", "medium" or "low".
        sources: Where it was reported or is documented.
        general: It says less than others might: they come before it, and on the same line instead of it.
    """

    code: str
    line: str
    cause: str
    fix: str
    commands: tuple[str, ...] = ()
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


def explain(text: str, plan: Plan | None = None) -> list[Answer]:
    """Every known cause of what a text says, most specific first; empty where it says nothing known.

    Args:
        text: A log, a traceback or one line.
        plan: This machine's, to name the very commands; None leaves them out.
    """
    text = text[-LONGEST:]
    found = []
    for symptom in _symptoms():
        # The last of several is the one that the user sees.
        matches = list(symptom.expression.finditer(text))
        if matches:
            found.append((symptom.facts, matches[-1]))
    found.sort(key=lambda one: (one[0].get("general", False), -one[1].start()))
    answers = [_answer(facts, _line(text, match), plan) for facts, match in found]
    told = {answer.line for answer in answers if not answer.general}
    return [answer for answer in answers if not (answer.general and answer.line in told)]


def decode(data: bytes) -> str:
    """A log file's text; PowerShell's ``>`` writes UTF-16, everything else here UTF-8."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    return data.decode("utf-8-sig", errors="replace")


@lru_cache(maxsize=1)
def _symptoms() -> tuple[_Symptom, ...]:
    flags = re.IGNORECASE | re.DOTALL
    return tuple(_Symptom(row, re.compile(row["match"], flags)) for row in table("symptoms")["symptoms"])


def _answer(facts: dict[str, Any], line: str, plan: Plan | None) -> Answer:
    steps = [step for step in plan.steps if step.code in facts["steps"]] if plan else []
    return Answer(
        code=facts["code"],
        line=line,
        cause=facts["cause"],
        fix=facts["fix"],
        commands=tuple(shown(command, plan.system) for step in steps for command in step.commands),
        confidence=facts["confidence"],
        sources=tuple(facts["sources"]),
        general=facts.get("general", False),
    )


def _line(text: str, match: re.Match[str]) -> str:
    """The whole line in which a match ends, cut where it is very long."""
    start = text.rfind("\n", 0, match.end()) + 1
    end = text.find("\n", match.end())
    return text[start : end if end >= 0 else len(text)].strip()[:300]
