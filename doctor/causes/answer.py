"""What an error message means: causes and fixes, the most specific first."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from ...knowledge.prose import known
from ...machine import Environment
from ...machine.message import said
from ..commands.terminal import Terminal
from ..paste.events import events
from ..paste.paste import Paste, decode, read, read_ends
from ..paste.raising import packs_on_the_way
from ..plan.plan import Plan
from .catalogue import WORDS
from .situation import Situation, fits, situation
from .symptom import Cause, Match, Symptom, symptoms

__all__ = ["Answer", "decode", "explain", "read_ends"]

# Of causes between which nothing decides, so many are told.
_MOST = 3


@dataclass(frozen=True)
class Answer:
    """What one error message means.

    Attributes:
        code: Stable, kebab-case.
        line: The line that was recognised.
        cause: A sentence; where several causes remain, each with its number.
        fix: What to do, in sentences that hold without a plan; with the same numbers.
        commands: Those of this machine's plan that do it, as they are to be typed.
        open_in: Where to type them, where that is not anywhere.
        confidence: How well it is supported: "high", "medium" or "low".
        sources: Where it was reported or is documented.
        general: It says less than others might: they come before it, and on the same line instead of it.
        question: What tells the remaining causes apart; "" where one remains.
        harmless: Nothing has to be done for it.
        note: That the log is from another machine than this one, and how that shows.
        parts: Where several causes remain, each with what to do, most likely first.
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
    question: str = ""
    harmless: bool = False
    note: str = ""
    parts: tuple[tuple[str, str], ...] = ()

    def as_data(self) -> dict[str, Any]:
        """Values for JSON; "said" has code and values of what is in no table."""
        parts = [{"cause": cause, "fix": fix} for cause, fix in self.parts]
        lists = {"commands": list(self.commands), "sources": list(self.sources), "parts": parts}
        return asdict(self) | lists | {"said": said([self.note])}


@dataclass(frozen=True)
class _Found:
    symptom: Symptom
    match: Match
    causes: tuple[Cause, ...]
    line: str


def explain(
    text: str, plan: Plan | None = None, environment: Environment | None = None, *, private: bool = False
) -> list[Answer]:
    """Every known cause of what a text says, most specific first; empty where it says nothing known.

    Args:
        text: A log, a traceback or one line.
        plan: This machine's, to name the very commands; None leaves them out.
        environment: This machine, for what the text does not tell; where they differ the text is right.
        private: Name no folder of this machine in the commands.
    """
    found = situation(read(text), environment)
    told = list(_told(found))
    if all(one.symptom.last for one in told):
        narrow = situation(read(text, narrow=True), environment)
        found, told = max((found, told), (narrow, list(_told(narrow))), key=_says)
    told.sort(key=lambda one: _order(one, found.paste))
    # The commands of a plan are this machine's.
    plan = None if found.elsewhere else plan
    terminal = (plan.for_others if private else plan.here) if plan else None
    return [_answer(one, found, plan, terminal) for one in _without_consequences(told, found.paste)]


def _order(one: _Found, paste: Paste) -> tuple[int, ...]:
    """What ended a run before what a start told; then the specific, of those what stands last.

    Kinds of failures come in the order of the table.
    """
    symptom = one.symptom
    rank = _ranks()[symptom.code] if symptom.last else 0
    return symptom.harmless, _of_the_start(one, paste), symptom.general, symptom.last, rank, -one.match.start


def _of_the_start(one: _Found, paste: Paste) -> bool:
    """Whether it stands among what ComfyUI told before its first picture; runs fail of other things."""
    return bool(one.match.end) and paste.start[0] <= one.match.start and one.match.end <= paste.start[1]


@cache
def _ranks() -> dict[str, int]:
    return {one.code: rank for rank, one in enumerate(symptoms())}


def _says(reading: tuple[Situation, list[_Found]]) -> int:
    """How much a reading of a paste tells: nothing, that there is something, or what it is."""
    _, told = reading
    return max((1 if one.symptom.last else 2 for one in told), default=0)


def _told(found: Situation) -> Iterator[_Found]:
    happened = events(found.paste)
    standing = {one.code: one.find(found.paste, happened) for one in symptoms() if _here(one, found)}
    covered = [
        (match.start, match.end) for one in symptoms() if one.covers for match in standing.get(one.code, ())
    ]
    for symptom in symptoms():
        matches = standing.get(symptom.code, [])
        if not symptom.covers:
            matches = [one for one in matches if not _is_covered(one, covered)]
        # The last of several is the one that the user sees.
        for match in reversed(matches):
            if causes := _causes(symptom, match, found):
                # Facts alone have no line.
                line = found.paste.line(match.start, match.end) if match.end else ""
                yield _Found(symptom, match, causes, line)
                break


def _here(symptom: Symptom, found: Situation) -> bool:
    return not found.facts.system or found.facts.system in symptom.systems


def _is_covered(match: Match, covered: list[tuple[int, int]]) -> bool:
    return any(start <= match.start and match.end <= end for start, end in covered)


def _causes(symptom: Symptom, match: Match, found: Situation) -> tuple[Cause, ...]:
    """Those that hold, else those that may; what is known not to fit drops out."""
    by_answer = defaultdict(list)
    for one in symptom.causes:
        by_answer["otherwise" if one.otherwise else fits(one.when, found, match.groups)].append(one)
    if sure := by_answer[True]:
        return tuple(sure if symptom.all else sure[:1])
    if symptom.sure:
        return ()
    otherwise = [one for one in by_answer["otherwise"] if fits(one.when, found, match.groups)]
    # Where several may hold at once, one that nothing speaks for is no answer.
    open_ones = [] if symptom.all else by_answer[None][:_MOST]
    return tuple(open_ones or otherwise[:1])


def _without_consequences(told: list[_Found], paste: Paste) -> list[_Found]:
    specific = [one for one in told if not one.symptom.general and not one.symptom.harmless]
    topics = {one.symptom.topic for one in told if not one.symptom.general} - {""}
    hidden = {code for one in told for code in one.symptom.hides}
    lines = "\n".join(one.line for one in specific)
    known = [one for one in told if not (one.symptom.last or one.symptom.quiet or one.symptom.harmless)]
    in_a_run = any(not _of_the_start(one, paste) for one in known)

    def remains(one: _Found) -> bool:
        symptom = one.symptom
        if symptom.quiet or symptom.code in hidden:
            return False
        # What a start told does not explain what a run ended with.
        if symptom.last and (in_a_run or (known and _of_the_start(one, paste))):
            return False
        return not symptom.general or (symptom.topic not in topics and not (one.line and one.line in lines))

    left = [one for one in told if remains(one)]
    # Of general answers to one line the first says it all.
    seen: set[str] = set()
    kept = []
    for one in left:
        key = one.symptom.topic or one.line if one.symptom.general else ""
        if not key or key not in seen:
            kept.append(one)
        seen.add(key)
    return kept


# What a sentence says of what the log does not name.
_UNNAMED = {
    "package": WORDS("unnamed-package"),
    "module": WORDS("unnamed-module"),
    "stage": WORDS("unnamed-stage"),
    "target": WORDS("unnamed-target"),
    "program": WORDS("unnamed-program"),
    "file": WORDS("unnamed-file"),
    "what": WORDS("unnamed-what"),
    "lib": WORDS("unnamed-lib"),
    "name": WORDS("unnamed-name"),
    "asking": WORDS("unnamed-asking"),
    "function": WORDS("unnamed-function"),
    # Whose files stand in the traceback.
    "pack": WORDS("unnamed-pack"),
    "packs": WORDS("unnamed-packs"),
}


class _Names(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return _UNNAMED.get(name, WORDS("something"))


def _answer(one: _Found, found: Situation, plan: Plan | None, terminal: Terminal | None) -> Answer:
    # Alternatives of one expression number what they name.
    found_names = {name.rstrip("23"): text for name, text in one.match.groups.items() if text}
    if pack := _pack(one, found):
        found_names["pack"] = pack
    names = _Names(known() | found_names)
    causes = [(cause.cause.format_map(names), cause.fix.format_map(names)) for cause in one.causes]
    asked = one.symptom.question if len(causes) > 1 and not one.symptom.all else ""
    codes = {code for cause in one.causes for code in cause.steps}
    steps = [step for step in plan.steps if step.code in codes] if plan else []
    lines = terminal.tell(command for step in steps for command in step.commands).lines if terminal else ()
    return Answer(
        code=one.symptom.code,
        line=one.line,
        cause=_numbered([cause for cause, _ in causes], alternatives=not one.symptom.all),
        fix=" ".join(filter(None, (_numbered([fix for _, fix in causes]), asked))),
        commands=lines,
        open_in=terminal.open_in if terminal and lines else "",
        confidence=one.causes[0].confidence if len(causes) == 1 else "medium",
        sources=one.symptom.sources,
        general=one.symptom.general,
        question=asked,
        harmless=one.symptom.harmless,
        note=found.elsewhere,
        parts=tuple(causes) if len(causes) > 1 and not one.symptom.all else (),
    )


def _pack(one: _Found, found: Situation) -> str:
    """The node pack whose file stands nearest to an error, where a sentence names it."""
    wanted = any("{pack}" in cause.cause + cause.fix for cause in one.causes)
    return next(iter(packs_on_the_way(found.paste, one.match.start)), "") if wanted else ""


def _numbered(texts: list[str], *, alternatives: bool = False) -> str:
    """Several sentences with their numbers; one alone, or the same every time, as it is."""
    if len(set(texts)) == 1:
        return texts[0]
    every = tuple(WORDS("numbered", number=number, text=text) for number, text in enumerate(texts, 1))
    return WORDS("one-of-these", causes=every) if alternatives else WORDS("several", texts=every)
