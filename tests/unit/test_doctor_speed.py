"""The doctor's reading of a log takes time in proportion to the log, however often a word stands in it."""

import ast
import importlib.util
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from sagekit.doctor.causes import situation
from sagekit.doctor.causes import symptom as knowledge
from sagekit.doctor.causes.answer import explain
from sagekit.doctor.paste import building, importing, loading, paste, raising, told
from sagekit.knowledge.facts import table

try:
    from re import _parser as parser
except ImportError:  # Python 3.10
    import sre_parse as parser

# What is looked through at once around a word.
LONGEST_GAP = paste.BEFORE + paste.AFTER
WORDS = sorted({word for one in knowledge.symptoms() for word in one.words})
ROOT = Path(paste.__file__).resolve().parents[2]
BENCH = ROOT / "bench" / "explain.py"


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


def conditions(value) -> Iterator[str]:
    """Every expression of a table that is looked for in what an event or a row found, however deep."""
    if isinstance(value, list):
        for one in value:
            yield from conditions(one)
    elif isinstance(value, dict):
        for name, one in value.items():
            if name in ("event", "match") and isinstance(one, dict):
                yield from one.values()
            elif name in ("gpu", "gpu!", "compiling_match") and isinstance(one, str):
                yield one
            else:
                yield from conditions(one)


MODULES = (building, importing, loading, raising, told, paste, situation)
ALL = [
    *((one.code, knowledge.compiled(one.expression)) for one in knowledge.symptoms() if one.expression),
    *((module.__name__, one) for module in MODULES for one in expressions(module)),
    *(("symptoms.json", re.compile(one)) for one in conditions(table("symptoms"))),
]
READING = [
    *sorted((ROOT / "doctor" / "paste").glob("*.py")),
    *sorted((ROOT / "doctor" / "causes").glob("*.py")),
]


def written(path: Path) -> Iterator[str]:
    """The expressions that a file gives to re or to flowing where it uses them, as text."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name = ast.unparse(node.func)
            if name == "flowing" or re.fullmatch(
                r"re\.(compile|search|match|fullmatch|findall|split|sub)", name
            ):
                yield node.args[0].value


def has_no_bound(expression: str) -> bool:
    """Whether something may go on for ever, one kind of letter by itself aside, which takes one look each."""
    parsed = parser.parse(expression)
    alone = len(parsed) == 1 and all(most == 1 for _, most in repeats(parsed))
    return not alone and any(most > LONGEST_GAP for most, _ in repeats(parsed))


@pytest.mark.parametrize(("name", "expression"), ALL, ids=lambda one: getattr(one, "pattern", one)[:60])
def test_no_gap_of_an_expression_is_unbounded_and_none_is_within_a_long_one(name, expression):
    for most, around in repeats(parser.parse(expression.pattern, expression.flags)):
        assert most <= LONGEST_GAP and around <= 60, f"{name}: {expression.pattern}"


def test_there_are_expressions_of_the_table_and_of_every_module_to_look_at():
    assert sum(name == "symptoms.json" for name, _ in ALL) > 80
    assert {module.__name__ for module in MODULES} <= {name for name, _ in ALL} | {situation.__name__}
    assert {path.stem for path in READING} >= {module.__name__.rpartition(".")[2] for module in MODULES}


@pytest.mark.parametrize("path", READING, ids=lambda one: one.stem)
def test_no_expression_is_written_in_a_function_without_a_bound(path):
    # Versions of a known place: "(>=|<)([\d.]+)" of a bound that the table holds.
    known = {r"(>=|<)([\d.]+)"}
    assert [one for one in written(path) if one not in known and has_no_bound(one)] == []


def test_an_expression_in_a_function_is_seen():
    assert has_no_bound("AssertionError: .*core") and has_no_bound(r"[a-z]+ x")
    assert not has_no_bound(r"\d+") and not has_no_bound("a{1,9}")
    assert sum(len(list(written(path))) for path in READING) > 40


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
    words = bench().literals()
    assert set(WORDS) < set(words)
    text = "\n".join(" ".join(words[number:] + words[:number]) for number in range(0, len(words), 3))
    text = (text + "\n") * (2_500_000 // len(text) + 1)
    started = time.process_time()
    explain(text[: paste.BEGINNING + paste.END])
    assert time.process_time() - started < 8


def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_explain", BENCH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_benchmark_runs_and_looks_at_each_word_alone():
    run = subprocess.run(
        [sys.executable, str(BENCH), "--mib", "0.005", "--words"], capture_output=True, text=True, check=False
    )
    rows = [json.loads(line) for line in run.stdout.splitlines()]
    # 1 is a machine that is busy: the times themselves are looked at above.
    assert run.returncode in (0, 1) and not run.stderr
    assert sum(row["log"].startswith("word ") for row in rows) == 5 and len(rows) > 12


def test_each_row_has_words_and_each_word_is_of_a_row():
    with_match = [row for row in table("symptoms")["symptoms"] if "match" in row]
    assert all(row["words"] for row in with_match) and len(WORDS) > 150
