"""The rows of data/symptoms.json: how a symptom is recognised, and its causes with their conditions."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

from ...knowledge.facts import table
from ...knowledge.prose import known
from ..paste.event import Event
from ..paste.paste import Paste, flowing
from ..paste.prose import is_printed


@dataclass(frozen=True)
class Cause:
    """One cause of a symptom.

    Attributes:
        when: Under which conditions; see ``situation.fits``.
        cause: A sentence.
        fix: What to do.
        steps: The plan's steps that do it, by code.
        confidence: "high", "medium" or "low".
        otherwise: It is told where no other cause can be.
    """

    when: Mapping[str, Any]
    cause: str
    fix: str
    steps: tuple[str, ...] = ()
    confidence: str = "high"
    otherwise: bool = False


@dataclass(frozen=True)
class Match:
    """Where a symptom stands.

    Attributes:
        start: Where it begins.
        end: Where it ends.
        groups: What it is about, by name.
    """

    start: int
    end: int
    groups: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Symptom:
    """One row.

    Attributes:
        code: Stable, kebab-case.
        systems: Where it is known.
        words: One of these, in small letters, stands in it.
        expression: What it looks like; None where an event or the facts alone tell.
        event: The kind of event, with an expression for each field that matters.
        causes: Most likely first.
        sources: Where it was reported or is documented.
        question: What tells the causes apart, where several remain.
        all: Several causes may hold at once, and each is told.
        general: It says less than others might.
        topic: A general one is left out where a specific one of the same topic was found.
        hides: The codes that it explains: they are consequences.
        harmless: Nothing has to be done for it.
        covers: What it matches is no symptom of anything else.
        quiet: It is not told at all.
        last: It is told where nothing else is.
        sure: It is told only where the conditions of a cause are known to hold.
        said: A person says it; what a program prints is none.
    """

    code: str
    systems: tuple[str, ...]
    words: tuple[str, ...]
    expression: str | None
    event: Mapping[str, str] | None
    causes: tuple[Cause, ...]
    sources: tuple[str, ...]
    question: str = ""
    all: bool = False
    general: bool = False
    topic: str = ""
    hides: frozenset[str] = frozenset()
    harmless: bool = False
    covers: bool = False
    quiet: bool = False
    last: bool = False
    sure: bool = False
    said: bool = False

    def find(self, paste: Paste, happened: list[Event]) -> list[Match]:
        """Where it stands in a paste."""
        if self.event is not None:
            return [Match(one.start, one.end, one.groups) for one in happened if _is(one, self.event)]
        if self.expression is None:
            return [Match(0, 0)]
        # Most rows are of something else: their expressions are not worth the time to compile them.
        if not any(map(paste.has, self.words)):
            return []
        found = paste.matches(self.words, compiled(self.expression))
        if self.said:
            found = [one for one in found if not is_printed(paste, one[0], one[0] + len(one[1][0]))]
        return [
            Match(
                start, start + len(match[0]), {name: text or "" for name, text in match.groupdict().items()}
            )
            for start, match in found
        ]


def _is(event: Event, wanted: Mapping[str, str]) -> bool:
    """Whether an event is of the kind that a row is about, and each field as the row says."""
    if not _of_event(wanted["kind"]).fullmatch(event.kind):
        return False
    return all(_of_event(one).search(event.groups[name]) for name, one in wanted.items() if name != "kind")


@lru_cache(maxsize=1)
def symptoms() -> tuple[Symptom, ...]:
    """All that is known."""
    return tuple(map(_symptom, table("symptoms")["symptoms"]))


@cache
def compiled(expression: str) -> re.Pattern[str]:
    """A row's expression."""
    return flowing(expression, re.IGNORECASE | re.DOTALL)


@cache
def _of_event(expression: str) -> re.Pattern[str]:
    return re.compile(expression, re.IGNORECASE)


def _symptom(row: Mapping[str, Any]) -> Symptom:
    return Symptom(
        code=row["code"],
        systems=tuple(row["os"]),
        words=tuple(row.get("words", ())),
        expression=row.get("match"),
        event=row.get("event"),
        causes=tuple(_cause(row, one) for one in row.get("causes", [row] if "cause" in row else [])),
        sources=tuple(row["sources"]),
        question=row.get("question", ""),
        topic=row.get("topic", ""),
        hides=frozenset(row.get("hides", ())),
        **{
            name: row.get(name, False)
            for name in ("all", "general", "harmless", "covers", "quiet", "last", "sure", "said")
        },
    )


# Conditions of which a bound may be a number that a table holds: "<{blackwell_cuda}".
_BOUNDED = {"torch", "cuda", "triton", "sage", "python"}


def _bound(name: str, value: Any) -> Any:
    return value.format_map(known()) if name.rstrip("!") in _BOUNDED else value


def _cause(row: Mapping[str, Any], one: Mapping[str, Any]) -> Cause:
    return Cause(
        when={name: _bound(name, value) for name, value in one.get("when", {}).items()},
        cause=one["cause"],
        fix=one["fix"],
        steps=tuple(one.get("steps", ())),
        confidence=one.get("confidence", row.get("confidence", "high")),
        otherwise=one.get("otherwise", False),
    )
