"""Writes what the documentation takes from the code and from measurements:  python dev.py docs

Everything under docs/reference, docs/benchmarks.md, the kernels in README.md and in the help page, and other
packs' names for them in the page come from here; a test fails where one is not what this would write.
"""

import ast
import importlib
import json
import re
import string
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from . import PACK, packages, say

REFERENCE = PACK / "docs" / "reference"
HELP = PACK / "web" / "docs" / "PatchSageAttention.md"
# Rooms whose code gives reasons.
ROOMS = ("app", "backup", "check", "core", "doctor", "host", "kernels", "kernels_check", "machine", "nodes")
# What makes a reason, by the names that files know it by.
REASONS = ("Reason", "REASONS", "REASONS_OF_THE_CHECK")
# Of the page, besides English.
LANGUAGES = ("zh", "zh-TW", "ja", "ko")
WRITTEN = "<!-- Written by `python dev.py docs`: change what it is made from. -->"
NAME = "sagekit"  # Whatever the checkout's own folder is called.
FOREIGN = PACK / "web" / "js" / "foreign_values.js"
_KERNELS_OF_OTHERS = re.compile(r'(^  "kernel": )\{.*?\}', re.S | re.M)
_MARKED = re.compile(r"(<!-- kernels: .*?-->\n)(.*?)(<!-- /kernels -->)", re.S)


def pages() -> dict[Path, str]:
    """Every file that is written, with its text."""
    readme = PACK / "README.md"
    return {
        PACK / "docs" / "benchmarks.md": benchmarks(),
        REFERENCE / "kernels.md": kernels(),
        REFERENCE / "messages.md": messages(),
        REFERENCE / "reasons.md": reasons(),
        REFERENCE / "symptoms.md": symptoms(),
        readme: _with_kernels(readme, kernels_by_gpu()),
        HELP: _with_kernels(HELP, kernels_with_gpus()),
        FOREIGN: _KERNELS_OF_OTHERS.sub(
            lambda found: found[1] + kernels_of_others(), FOREIGN.read_text(encoding="utf-8"), count=1
        ),
    }


def kernels_of_others() -> str:
    """The names that other packs have for kernels, each with ours, as the page's JavaScript."""
    foreign = pack("core.attention.foreign_names")
    names = {name: ours for name, ours in foreign.KJNODES.items() if name != ours}
    return json.dumps({"false": foreign.ours(False)} | names, indent=2).replace("\n", "\n  ")


def _with_kernels(page: Path, table: str) -> str:
    """The page as it is, with the table in its marked place."""
    return _MARKED.sub(lambda found: f"{found[1]}{table}\n{found[3]}", page.read_text(encoding="utf-8"))


def write() -> int:
    """Writes them and says which have changed."""
    for file, text in pages().items():
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8", newline="\n")
            say(f"wrote {file.relative_to(PACK)}")
    return 0


def benchmarks() -> str:
    """Every file of bench/results, in the order of their names."""
    files = sorted((PACK / "bench" / "results").glob("*.json"))
    parts = [_benchmark(json.loads(file.read_text(encoding="utf-8"))) for file in files]
    intro = (
        "Measurements, one section for each file of `bench/results`. Your GPU differs: the panel shows what "
        "was measured on it.\n\nSections: " + ", ".join(_link(part) for part in parts) + "."
    )
    return _page("Benchmarks", intro, *parts)


def _link(section: str) -> str:
    title = section.partition("\n")[0].removeprefix("## ")
    anchor = re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
    return f"[{title[0].lower() + title[1:]}](#{anchor})"


def _benchmark(result: dict[str, Any]) -> str:
    measured = f"Measured on: {result['gpu']}; {result['versions']}; {result['date']}."
    rows = [[_cell(cell) for cell in row] for row in result["rows"]]
    parts = [f"## {result['title']}", f"```\n{result['command']}\n```", *result["about"], measured]
    return "\n\n".join([*parts, _table(result["columns"], rows), *result["notes"]])


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return str(value) or "-"


def _table(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(map(_escaped, line)) + " |" for line in lines)


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|").replace("\n", "<br>")


def kernels_by_gpu() -> str:
    """Which kernels have code for which generation of GPUs: a row for those that have it for the same."""
    gpus = pack("kernels.gpus").GENERATIONS
    alike: dict[tuple[str, ...], list[str]] = {}
    for one in _declared():
        row = tuple("yes" if _has_code(one, those) else "-" for those in gpus.values())
        alike.setdefault(row, []).append(f"`{one.name}`")
    return _table(["kernels", *gpus], [[", ".join(names), *row] for row, names in alike.items()])


def kernels_with_gpus() -> str:
    """Each kernel with the GPUs that it has code for, in words."""
    rows = [[f"`{one.name}`", one.title, _gpus(one)] for one in _declared()]
    return _table(["name", "what it computes", "GPUs"], rows)


def _gpus(backend: Any) -> str:
    """ "RTX 50, DGX Spark"; "T4, RTX 20 and newer" where it has code for most from one on."""
    every = pack("kernels.gpus").GENERATIONS
    names = [name for name, those in every.items() if _has_code(backend, those)]
    since = list(every)[list(every).index(names[0]) :]
    lacking = [name for name in since if name not in names]
    if len(lacking) > 1 or len(names) < 4:
        return ", ".join(names)
    return f"{names[0]} and newer" + "".join(f", not {name}" for name in lacking)


def _has_code(backend: Any, gpus: frozenset[tuple[int, int]]) -> bool:
    return backend.capabilities is None or bool(backend.capabilities & gpus)


def kernels() -> str:
    """Each kernel with everything that its file declares."""
    about = (
        "What each kernel takes, as its file under `kernels/families` declares it with nothing installed: "
        "a build may take less. The tolerance is the largest relative L2 error against float32 attention "
        "that still counts as working in the kernel check. What a kernel does not take runs on ComfyUI's own."
    )
    rows = [
        [
            f"`{one.name}`",
            one.title,
            str(one.kind),
            ", ".join(sorted(one.dtypes)),
            one.head_dims_text,
            ", ".join(sorted(one.masks)) or "none",
            "yes" if one.gqa else "no",
            f"{one.tolerance:g}",
        ]
        for one in _declared()
    ]
    columns = ["kernel", "what it is", "kind", "dtypes", "head_dim", "masks", "GQA", "tolerance"]
    gpus = "Which kernels have code for which GPUs. Whether one works on yours, the kernel check tells."
    return _page("Kernels", about, _table(columns, rows), "## GPUs", gpus, kernels_by_gpu())


@lru_cache(maxsize=1)
def _declared() -> tuple[Any, ...]:
    return pack("kernels.families").declare({})


def reasons() -> str:
    """Each code that a Reason of the code has, with its meaning and where it comes from."""
    about = (
        "Why a kernel, a package or a machine does not do. The codes never change; the sentence with them "
        'says what was needed and what came ("needs float16 or bfloat16, got float32"). A meaning stands '
        "beside those that the help page of Patch Sage Attention explains."
    )
    explained = meanings()
    rows = [
        [f"`{code}`", explained.get(code, "-"), ", ".join(sorted(where))]
        for code, where in sorted(codes(*REASONS).items())
    ]
    return _page("Reasons", about, _table(["code", "meaning", "given in"], rows))


def messages() -> str:
    """Each sentence that a room says by a code: in English, what is filled in, in which languages."""
    about = (
        "What logs, nodes, the panel and the command line say, by the code that stands for it. Values stand "
        "in braces, with the format of a number or the word that joins several. A reason has two halves, "
        "what is needed and what came. The page says each in the languages named with it, and in English in "
        "all others."
    )
    languages = {name: _texts_in(name) for name in LANGUAGES}
    parts = []
    for name, catalogue in _catalogues().items():
        rows = [
            [
                f"`{code}`",
                _cell(text if isinstance(text, str) else f"needs {text[0]}, got {text[1]}"),
                ", ".join(f"`{value}`" for value in _values(text)) or "-",
                ", ".join(language for language, said in languages.items() if code in said) or "-",
            ]
            for code, text in catalogue.templates.items()
        ]
        parts += [f"## {name}", _table(["code", "in English", "values", "languages"], rows)]
    return _page("Messages", about, *parts)


def _catalogues() -> dict[str, Any]:
    """Those of every room, and the errors of compiling, whose sentences stand in a table of facts."""
    made = pack("machine.message")
    found = {
        f"{room}: {name}": one
        for room in _rooms_with_a_catalogue()
        for name, one in vars(pack(f"{room.replace('/', '.')}.catalogue")).items()
        if isinstance(one, made.Catalogue | made.Reasons)
    }
    return {**found, "knowledge: FAULTS": pack("knowledge.compiling").catalogue()}


def _rooms_with_a_catalogue() -> Iterator[str]:
    """ "core", "doctor/rules"."""
    for room in ROOMS:
        for found in sorted((PACK / room).rglob("catalogue*")):
            if found.is_dir() or found.suffix == ".py":
                yield found.parent.relative_to(PACK).as_posix()


def _values(template: str | tuple[str, str]) -> list[str]:
    whole = template if isinstance(template, str) else " ".join(template)
    return list(dict.fromkeys(name for _, name, _, _ in string.Formatter().parse(whole) if name))


def _texts_in(language: str) -> dict[str, str]:
    """What the page says in a language, by code."""
    file = PACK / "locales" / language / "main.json"
    said: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))["sagekitMessages"]
    return said


def meanings() -> dict[str, str]:
    """By code, from the help page's own table."""
    rows = re.findall(r"^\| ([^|]*`[^|]+) \| ([^|]+) \|$", HELP.read_text(encoding="utf-8"), re.M)
    return {code: meaning for names, meaning in rows for code in re.findall(r"`([a-z-]+)`", names)}


def codes(*names: str) -> dict[str, set[str]]:
    """The codes, as written in the code, of every value that is made under these names; by code the files."""
    trees = {file: ast.parse(file.read_text(encoding="utf-8")) for file in sources()}
    constants = {name: text for tree in trees.values() for name, text in _constants(tree)}
    # A reason with several sentences has one code.
    reasons_of = {
        said: code for one in _catalogues().values() for said, code in getattr(one, "codes", {}).items()
    }
    found: dict[str, set[str]] = {}
    for file, tree in trees.items():
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and _called(call) in names and call.args:
                for code in _texts(call.args[0], constants):
                    told = reasons_of.get(code, code)
                    found.setdefault(told, set()).add(f"`{file.relative_to(PACK).as_posix()}`")
    return found


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _constants(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """The names that a module gives to texts, alone or several at once."""
    for node in tree.body:
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name | ast.Tuple):
            continue
        target, value = node.targets[0], node.value
        pairs = [(target, value)]
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            pairs = list(zip(target.elts, value.elts, strict=False))
        for name, text in pairs:
            if isinstance(name, ast.Name) and isinstance(text, ast.Constant) and isinstance(text.value, str):
                yield name.id, text.value


def _texts(value: ast.expr, constants: dict[str, str]) -> list[str]:
    if isinstance(value, ast.IfExp):
        return [*_texts(value.body, constants), *_texts(value.orelse, constants)]
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return [value.value]
    return [constants[value.id]] if isinstance(value, ast.Name) and value.id in constants else []


def sources() -> Iterator[Path]:
    """The pack's own code, without tests and benchmarks."""
    for room in ROOMS:
        yield from sorted((PACK / room).rglob("*.py"))


def symptoms() -> str:
    """Each symptom that the doctor knows by its words, with its causes and sources."""
    every = json.loads((PACK / "knowledge" / "symptoms.json").read_text(encoding="utf-8"))["symptoms"]
    about = (
        f"The {len(every)} symptoms that `kernels_check --explain` and the panel know by their words, each "
        "with the causes that it may have; which of them fit, the log's own facts decide. A failure that "
        "none of them names is named by its kind."
    )
    rows = []
    for row in every:
        causes = "<br>".join(one["cause"] for one in row.get("causes") or [row])
        rows.append([f"`{row['code']}`", row["group"], causes, ", ".join(row["sources"])])
    return _page("Symptoms", about, _table(["code", "group", "causes", "sources"], rows))


def _page(title: str, *parts: str) -> str:
    return "\n\n".join([WRITTEN, f"# {title}", *parts]) + "\n"


def pack(module: str) -> ModuleType:
    """A module of the pack."""
    packages.load(NAME, PACK)
    return importlib.import_module(f"{NAME}.{module}")


if __name__ == "__main__":
    sys.exit(write())
