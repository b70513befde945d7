"""The doctor's reading of a log takes time in proportion to the log, however often a word stands in it."""

import re
import time
from collections.abc import Iterator
from types import ModuleType

import pytest
from sagekit.doctor.causes import situation
from sagekit.doctor.causes import symptom as knowledge
from sagekit.doctor.causes.answer import explain
from sagekit.doctor.paste import building, loading, paste, raising, told
from sagekit.knowledge.facts import table

try:
    from re import _parser as parser
except ImportError:  # Python 3.10
    import sre_parse as parser

# What is looked through at once around a word.
LONGEST_GAP = paste.BEFORE + paste.AFTER
WORDS = sorted({word for one in knowledge.symptoms() for word in one.words})


def repeats(parsed, inside: int = 1) -> Iterator[tuple[int, int]]:
    """Each repetition's greatest count, and that of all around it together."""
    for operation, value in parsed:
        name = str(operation)
        if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            _, most, body = value
            yield int(most), inside
            yield from repeats(body, inside * max(1, int(most)))
        elif name == "SUBPATTERN":
            yield from repeats(value[-1], inside)
        elif name == "BRANCH":
            for branch in value[1]:
                yield from repeats(branch, inside)
        elif name in ("ASSERT", "ASSERT_NOT"):
            yield from repeats(value[1], inside)


def expressions(module: ModuleType) -> Iterator[re.Pattern]:
    """Every compiled expression at the top of a module, in tuples and tables too."""

    def within(value) -> Iterator[re.Pattern]:
        if isinstance(value, re.Pattern):
            yield value
        elif isinstance(value, (tuple, list)):
            for one in value:
                yield from within(one)

    for value in vars(module).values():
        yield from within(value)


MODULES = (building, loading, raising, told, paste, situation)
ALL = [
    *((one.code, knowledge.compiled(one.expression)) for one in knowledge.symptoms() if one.expression),
    *(
        (module.__name__, one)
        for module in (building, loading, raising, told, paste, situation)
        for one in expressions(module)
    ),
]


@pytest.mark.parametrize(("name", "expression"), ALL, ids=lambda one: getattr(one, "pattern", one)[:60])
def test_no_gap_of_an_expression_is_unbounded_and_none_is_within_a_long_one(name, expression):
    for most, around in repeats(parser.parse(expression.pattern, expression.flags)):
        assert most <= LONGEST_GAP and around <= 60, f"{name}: {expression.pattern}"


def test_a_gap_without_a_bound_is_seen():
    assert any(most > LONGEST_GAP for most, _ in repeats(parser.parse("AssertionError: .*?core")))
    assert any(around > 60 for _, around in repeats(parser.parse("(a{1,90}b{1,5}){1,99}")))


@pytest.mark.parametrize(
    "line",
    [
        "AssertionError: something that no row knows\n",
        "Command '['/usr/bin/gcc', '-O3'\n",
        "torch",
        "pip-build-env",
        "a" * 200 + "\n",
        "(" * 50 + "\x1b[" * 50,
        "1" * 500,
        "'triton'" * 10,
        " " * 100 + "\n",
    ],
    ids=lambda line: line.strip()[:20] or "spaces",
)
def test_twice_as_much_of_a_line_takes_no_more_than_thrice_the_time(line):
    def seconds(size: int) -> float:
        text = line * (size // len(line))
        started = time.process_time()
        explain(text)
        return time.process_time() - started

    seconds(100_000)
    short = min(seconds(600_000) for _ in range(2))
    assert min(seconds(1_200_000) for _ in range(2)) < 3 * short + 0.2


def test_all_words_of_all_rows_over_and_over_are_read_in_seconds():
    text = "\n".join(" ".join(WORDS[number:] + WORDS[:number]) for number in range(len(WORDS)))
    text = (text + "\n") * (2_500_000 // len(text) + 1)
    started = time.process_time()
    explain(text[: paste.BEGINNING + paste.END])
    assert time.process_time() - started < 8


def test_each_row_has_words_and_each_word_is_of_a_row():
    with_match = [row for row in table("symptoms")["symptoms"] if "match" in row]
    assert all(row["words"] for row in with_match) and len(WORDS) > 150
