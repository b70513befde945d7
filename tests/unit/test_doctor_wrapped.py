"""A log that a mail, a chat or a terminal broke: its answer stays, or becomes unsure; never another one."""

import textwrap
from functools import lru_cache
from pathlib import Path

import pytest
from sagekit.doctor.causes.answer import explain
from sagekit.doctor.described import read_machine
from sagekit.doctor.paste.paste import flowing
from sagekit.doctor.plan.plan import make_plan
from support.doctor_cases import MISLEADING, RIGHT, Case, cases, judged

CASES = cases("explain")
# Broken at a hyphen in the name of a folder, where no expression looks for a break.
UNSURE = {("at hyphens", "046-flash-attn-sdist-long-path")}


def wrapped(text: str, width: int, prefix: str = "", *, hyphens: bool = False) -> str:
    """Broken between words, as a mail or a page breaks a line that is too long for it."""
    lines = []
    for line in text.split("\n"):
        long = textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=hyphens)
        lines += [prefix + part for part in (long if len(line) > width else [line])]
    return "\n".join(lines)


def cut(text: str, width: int, prefix: str = "") -> str:
    """Broken in the middle of words, as a terminal does."""
    return "\n".join(
        prefix + line[start : start + width]
        for line in text.split("\n")
        for start in range(0, max(1, len(line)), width)
    )


WHOLE = {
    **{
        f"words at {width}": lambda text, width=width: wrapped(text, width) for width in (72, 76, 80, 88, 100)
    },
    **{
        f"a mail at {width}": lambda text, width=width: wrapped(text, width, "> ")
        for width in (72, 76, 80, 88, 100)
    },
    "a mail in a mail": lambda text: wrapped(text, 72, "> > "),
    "a mail that was broken again": lambda text: wrapped(wrapped(text, 80), 76, "> "),
    "indented": lambda text: wrapped(text, 80, "    "),
    "at hyphens": lambda text: wrapped(text, 72, hyphens=True),
    "a terminal of 72": lambda text: cut(text, 72),
    "a terminal of 80": lambda text: cut(text, 80),
    "a terminal of 100, quoted": lambda text: cut(text, 100, "> "),
    "lines of Windows": lambda text: wrapped(text, 80).replace("\n", "\r\n"),
    "a colour for a line": lambda text: "\n".join(f"\x1b[31m{one}\x1b[0m" for one in text.split("\n")),
    "a colour for a word": lambda text: " ".join(f"\x1b[1;35m{one}\x1b[0m" for one in text.split(" ")),
}
PARTS = {
    "without its beginning": lambda text: text[len(text) // 3 :],
    "without its end": lambda text: text[: -(len(text) // 3)],
    "without both": lambda text: text[len(text) // 5 : -(len(text) // 5)],
    "both cut, in a mail": lambda text: wrapped(text[len(text) // 6 : -(len(text) // 6)], 76, "> "),
    "the last quarter": lambda text: text[-(len(text) // 4) :],
    "between points": lambda text: f"...{text[len(text) // 4 : -10]}...",
}


@lru_cache(maxsize=100)
def machine_in(folder: Path):
    file = folder / "machine.json"
    environment, around = read_machine(file) if file.exists() else (None, None)
    return environment, make_plan(environment, around) if environment else None


def answered(case: Case, text: str):
    environment, plan = machine_in(case.folder)
    answers = explain(text, plan, environment)
    said = "\n".join(part for one in answers for part in (one.cause, one.fix, *one.commands))
    sure = {one.code for one in answers if not one.general and not one.harmless}
    return judged(case.truth, said), sure


@pytest.mark.parametrize("form", WHOLE)
def test_what_only_broke_the_lines_changes_no_answer(form):
    verdicts = {case.name: answered(case, WHOLE[form](case.text)) for case in CASES}
    wrong = {name: verdict for name, (verdict, _) in verdicts.items() if verdict != RIGHT}
    unsure = {name for one, name in UNSURE if one == form}
    assert set(wrong) == unsure, wrong
    # Unsure, not sure of something else.
    assert not any(verdicts[name][1] for name in unsure)


@pytest.mark.parametrize("form", PARTS)
def test_what_was_cut_away_makes_nobody_sure_of_another_cause(form):
    for case in CASES:
        before = answered(case, case.text)[1]
        verdict, sure = answered(case, PARTS[form](case.text))
        assert verdict != MISLEADING, case.name
        assert verdict == RIGHT or sure <= before, (case.name, sure)


def test_an_expression_flows_over_breaks_and_stays_what_it_is_elsewhere():
    found = flowing(r"returned non-zero exit ?status [\w -]{1,9}(?<!- )x")
    assert found.search("returned\nnon-\nzero exit\nstatus 1 -x") and not found.search("returnednon-zero")
    # A class of letters, what is escaped and what has to stand before are left alone.
    assert found.pattern.endswith(r"[\w -]{1,9}(?<!- )x")
