"""What the doctor takes to read a long log, as nearly all lines are, and as the worst can be.

    python bench/explain.py [--mib 100] [--words]

Each log is a file of that size, read as ``kernels_check --explain FILE`` reads it. The worst: every word that
the rules and the code look for, over and over; one word alone, without a line's end; lines as wide as a
terminal; frames and quotation marks that never end; colours. With --words each word alone, at the size that
is looked through, and the slowest five. Budget: 5 s a log. Needs neither torch nor ComfyUI.
"""

import argparse
import ast
import importlib
import importlib.util
import io
import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

PACK = Path(__file__).resolve().parent.parent
BUDGET = 5.0
NAME = "sagekit"


def load(module: str):
    """A module of the pack."""
    if NAME not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            NAME, PACK / "__init__.py", submodule_search_locations=[str(PACK)]
        )
        sys.modules[NAME] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[NAME])
    return importlib.import_module(f"{NAME}.{module}")


def literals() -> list[str]:
    """Every word that a rule or the code looks for in a log, in small letters."""
    rows = load("doctor.causes.symptom").symptoms()
    found = {word for one in rows for word in one.words}
    for cause in (cause for one in rows for cause in one.causes):
        found |= {word for name in ("says", "unless") for word in cause.when.get(name, "").split("|")}
    return sorted(found | set(_in_code()) - {""})


def _in_code() -> Iterator[str]:
    """The words in the code that reads a log; an expression's letters stand in its rows' words as well."""
    for file in sorted((PACK / "doctor" / "paste").glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            text = node.value if isinstance(node, ast.Constant) else None
            if isinstance(text, str) and re.fullmatch(r"[a-z0-9 _.:'!`=/*\[{-]{3,40}", text):
                yield text


def logs(words: list[str]) -> dict[str, str]:
    """What stands in each log over and over."""
    return {
        "a session": "got prompt\n100%|####| 20/20 [01:02<00:00, 3.11s/it]\nPrompt executed in 75.03 s\n",
        "every word of the rules": "\n".join(
            " ".join(words[number:] + words[:number]) for number in range(0, len(words), 7)
        ),
        "AssertionError": "AssertionError: " + "x" * 12_000 + "\n",
        "AssertionError alone": "AssertionError: ",
        "one word without a line's end": "torch",
        "commands": "Command '['/usr/bin/gcc', '/tmp/cuda_utils.c', '-O3'\n",
        "lines as wide as a terminal": "y" * 120 + "\n",
        "colours": "\x1b[31mred\x1b[0m [1;35m",
        "open brackets": "[" * 99 + "\x1b[" * 99,
        "frames": 'File "/a/site-packages/b.py", line 3, in c\n',
        "frames without an end": 'File "/a\n',
        "quotation marks": "> " * 60 + "\n",
        "exceptions": "KeyError: 3\n",
    }


def seconds(text: str) -> float:
    """Reading a file of these bytes and answering it."""
    symptoms = load("doctor.causes.answer")
    stream = io.BytesIO(text.encode())
    begin = time.perf_counter()
    symptoms.explain(symptoms.decode(symptoms.read_ends(stream)))
    return time.perf_counter() - begin


def main() -> int:
    """Prints the times as JSON; 1 where one is over the budget."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mib", type=float, default=100)
    parser.add_argument("--words", action="store_true")
    options = parser.parse_args()
    words, size = literals(), int(options.mib * 2**20)
    taken = {name: seconds(text * (size // len(text) + 1)) for name, text in logs(words).items()}
    if options.words:
        paste = load("doctor.paste.paste")
        size = min(size, paste.BEGINNING + paste.END)
        each = {word: seconds(f"{word} " * (size // (len(word) + 1))) for word in words}
        taken |= {f"word {word}": each[word] for word in sorted(each, key=each.__getitem__)[-5:]}
    for name, one in taken.items():
        sys.stdout.write(json.dumps({"log": name, "s": round(one, 2)}) + "\n")
    return int(max(taken.values()) > BUDGET)


if __name__ == "__main__":
    sys.exit(main())
