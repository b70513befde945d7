"""What is said has a code, and comes out of its room's catalogue."""

import ast
import importlib
import json
import pickle
import re
import string
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
from sagekit.knowledge import compiling
from sagekit.machine.message import Catalogue, Reasons, as_message, said
from sagekit.machine.reason import Reason

ROOT = Path(__file__).resolve().parents[2]
ROOMS = (
    "backup",
    "machine",
    "kernels",
    "check",
    "host",
    "core",
    "app",
    "doctor/causes",
    "doctor/commands",
    "doctor/plan",
    "doctor/rules",
    "kernels_check",
)
LANGUAGES = ("zh", "zh-TW", "ja", "ko")
FILES = sorted(file for room in ROOMS for file in (ROOT / room).rglob("*.py"))
IN_THE_MACHINERY = {ROOT / "machine" / "message.py", ROOT / "machine" / "reason.py"}


def catalogues() -> dict[str, Catalogue | Reasons]:
    """Those of every room, by room and name, "core.REASONS"."""
    found = {
        f"{room}.{name}": one
        for room in ROOMS
        for name, one in vars(importlib.import_module(f"sagekit.{room.replace('/', '.')}.catalogue")).items()
        if isinstance(one, (Catalogue, Reasons))
    }
    # Its sentences stand in a table, beside the errors that they answer.
    return {**found, "knowledge.FAULTS": compiling.catalogue()}


def placeholders(template: str | tuple[str, str]) -> set[str]:
    whole = template if isinstance(template, str) else " ".join(template)
    return {name for _, name, _, _ in string.Formatter().parse(whole) if name}


TEMPLATES = [(name, code, text) for name, one in catalogues().items() for code, text in one.templates.items()]
TRANSLATED = [one for one in TEMPLATES if not catalogues()[one[0]].english_only]
TEXT = Catalogue(
    {
        "made": "{count:,} of {share:.1%} in {names:or} {others:and} {plain} {bars:dot} {then:then}",
        "every": "{one:either}, {other:both}. {whole:sentences}",
        "inner": "{what}",
    }
)
SOME = REASONS = Reasons({"dtype": ("{dtypes:or}", "{dtype}")})


def test_a_message_is_its_english_text_and_keeps_code_and_values():
    inner = TEXT("inner", what="b")
    made = TEXT(
        "made",
        count=1140,
        share=0.25,
        names=("a", inner, "c"),
        others=("d", "e"),
        plain=("f", "g"),
        bars=("h", "i"),
        then=("j", "k"),
    )
    assert made == "1,140 of 25.0% in a, b or c d and e f, g h · i j; k"
    data = json.loads(json.dumps(made.as_data()))
    assert (data["text"], data["code"], data["values"]["count"]) == (made, "made", 1140)
    assert data["values"]["names"] == ["a", {"text": "b", "code": "inner", "values": {"what": "b"}}, "c"]


def test_one_name_or_none_needs_no_joint():
    assert TEXT.templates and SOME("dtype", dtypes=("a",), dtype="b").needed == "a"
    assert SOME("dtype", dtypes=(), dtype="b").needed == ""


def test_a_word_stands_between_all_and_sentences_follow_each_other():
    made = TEXT("every", one=("a", "b", "c"), other=("d", "e", "f"), whole=("G h.", "I j."))
    assert made == "a or b or c, d and e and f. G h. I j."


def test_a_reason_may_have_several_sentences():
    every = Reasons({"dtype-of": ("{dtype}", "none"), "dtype": ("one", "none")}, codes={"dtype-of": "dtype"})
    reason = every("dtype-of", dtype="float16")
    assert reason == Reason("dtype", "float16", "none")
    assert as_message(reason).code == "dtype-of" and as_message(every("dtype")).code == "dtype"


def test_a_value_that_is_missing_is_an_error_of_ours():
    with pytest.raises(KeyError):
        TEXT("inner")


def test_a_reason_of_a_catalogue_is_equal_to_the_plain_one_and_makes_a_message():
    reason = SOME("dtype", dtypes=("float16", "bfloat16"), dtype="float32")
    assert reason == Reason("dtype", "float16 or bfloat16", "float32") and len({reason}) == 1
    message = as_message(reason)
    assert message == str(reason) == "needs float16 or bfloat16, got float32"
    assert (message.code, message.values["dtype"]) == ("dtype", "float32")
    assert as_message(Reason("dtype", "float16", "float32")) is None


def test_code_and_values_survive_a_copy_and_a_process():
    @dataclass
    class Holder:
        text: str

    message = TEXT("inner", what="b")
    for copied in (pickle.loads(pickle.dumps(message)), asdict(Holder(message))["text"]):
        assert (copied, copied.code, copied.values) == (message, "inner", {"what": "b"})


def test_what_is_said_is_told_once_and_what_has_no_code_not_at_all():
    one, reason = TEXT("inner", what="b"), SOME("dtype", dtypes=("a",), dtype="b")
    found = said(["plain", one, TEXT("inner", what="b"), reason, Reason("x", "y", "z")])
    assert [(each["code"], each["text"]) for each in found] == [("inner", "b"), ("dtype", "needs a, got b")]


def test_a_code_says_one_thing_in_all_rooms():
    assert len(TEMPLATES) > 50
    counted = Counter(code for _, code, _ in TEMPLATES)
    assert [code for code, count in counted.items() if count > 1] == []
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code) for code in counted)


def calls_of_catalogues(tree: ast.AST):
    """Every call that makes a message or a reason, and the name that it goes by."""
    names = {name.partition(".")[2] for name in catalogues()} | {"REASONS_OF_THE_CHECK"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
            yield node


def templates_of(path: Path, name: str) -> dict:
    """The templates of the catalogue that a file knows by a name: its own room's, or that of the check."""
    room = next(one for one in ROOMS if path.is_relative_to(ROOT / one))
    return catalogues()["check.REASONS" if name == "REASONS_OF_THE_CHECK" else f"{room}.{name}"].templates


def is_a_sentence(node: ast.AST) -> bool:
    """Whether words are written there that belong into a catalogue."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str) and " " in node.value
    if isinstance(node, ast.JoinedStr):
        written = (one.value for one in node.values if isinstance(one, ast.Constant))
        return any(re.search(r"[A-Za-z]{2}", text) for text in written)
    if isinstance(node, (ast.IfExp, ast.BoolOp, ast.Tuple, ast.BinOp)):
        return any(map(is_a_sentence, ast.iter_child_nodes(node)))
    return False


def faults(path: Path, source: str) -> list[str]:
    """What in a file makes a reason or a message otherwise than its catalogue means it."""
    found = []
    for node in ast.walk(ast.parse(source)):
        name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
        if name in ("Reason", "Message") and path not in IN_THE_MACHINERY:
            found.append(f"{node.lineno}: {name} without a catalogue")
    for call in calls_of_catalogues(ast.parse(source)):
        found += [f"{call.lineno}: {one}" for one in _faults_of(path, call)]
    return found


def _faults_of(path: Path, call: ast.Call) -> list[str]:
    templates = templates_of(path, call.func.id)
    first = call.args[0] if call.args else None
    codes = [one for one in _codes(first) if one is not None]
    named = [one.arg for one in call.keywords]
    wrong = [f"no text for {code}" for code in codes if code not in templates]
    if None not in named:
        for code in codes:
            if code in templates and set(named) != placeholders(templates[code]):
                wrong.append(f"{code} has {sorted(placeholders(templates[code]))}, is given {sorted(named)}")
    wrong += [f"a sentence in {one.arg}" for one in call.keywords if is_a_sentence(one.value)]
    return wrong


def _codes(node: ast.AST | None) -> list[str | None]:
    if isinstance(node, ast.Constant):
        return [node.value]
    if isinstance(node, ast.IfExp):
        return _codes(node.body) + _codes(node.orelse)
    return [None]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_sentence_reaches_a_reason_or_a_message_but_through_a_catalogue(path):
    assert faults(path, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ('Reason("dtype", "float16", "float32")', "without a catalogue"),
        ('REASONS("grid")', "no text for grid"),
        ('REASONS("dtype", dtypes=())', "dtype has"),
        ('WORDS("module-of", package=f"the package {x}", module=y)', "a sentence in package"),
        ('WORDS("module-of", package="a b" if x else "c", module=y)', "a sentence in package"),
    ],
)
def test_the_check_of_the_files_finds_what_it_is_there_for(source, fault):
    (found,) = faults(ROOT / "kernels" / "backend.py", source)
    assert fault in found


def test_every_sentence_of_a_catalogue_is_said_somewhere():
    written = "\n".join(file.read_text(encoding="utf-8") for file in FILES)
    asked = set(re.findall(r'\(\s*"([a-z0-9-]+)"', written))
    for file in FILES:
        for call in calls_of_catalogues(ast.parse(file.read_text(encoding="utf-8"))):
            asked.update(_codes(call.args[0]))
    said_by_their_rows = {code for name, code, _ in TEMPLATES if name == "knowledge.FAULTS"}
    of_verdicts = {"wrong", "refused", "crashed", "timed-out"}
    assert {code for _, code, _ in TEMPLATES} - asked - said_by_their_rows - of_verdicts == set()


def sentences(source: str) -> list[str]:
    """What a file writes itself in three words or more, where it is no text about the code."""
    tree = ast.parse(source)
    about = {id(one.value) for one in ast.walk(tree) if isinstance(one, ast.Expr)}
    written = (one for one in ast.walk(tree) if isinstance(one, ast.Constant) and id(one) not in about)
    return [
        one.value
        for one in written
        if isinstance(one.value, str) and len(re.findall(r"[A-Za-z]{2,}", one.value)) > 2 and " " in one.value
    ]


WITHOUT_SENTENCES = [
    file
    for file in FILES
    if file.relative_to(ROOT).parts[0] in ("app", "backup", "doctor", "kernels_check")
    and "catalogue" not in (file.stem, file.parent.name)
    and file.name != "sources.py"
]


@pytest.mark.parametrize("path", WITHOUT_SENTENCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_said_there_that_is_in_no_catalogue(path):
    said = sentences(path.read_text(encoding="utf-8"))
    assert [one for one in said if not one.startswith(("import ", "from kernels import "))] == []


def test_a_sentence_is_found_wherever_it_is_written():
    source = '"""Of the code alone."""\nsay(f"{x} is not here at all")\ntext = ["Take it away.", "--flag", y]'
    assert sentences(source) == ["Take it away.", " is not here at all"]


def fields(template: str | tuple[str, str]) -> Counter[tuple[str, str]]:
    """The placeholders of a template with their formats, and how often they stand there."""
    whole = template if isinstance(template, str) else " ".join(template)
    return Counter((name, form) for _, name, form, _ in string.Formatter().parse(whole) if name)


def texts(language: str) -> dict[str, str]:
    """The sentences of a language by code, as the page has them from the host."""
    file = ROOT / "locales" / language / "main.json"
    return json.loads(file.read_text(encoding="utf-8"))["sagekitMessages"]


def sample(form: str) -> object:
    """A value that a placeholder of this format may have."""
    if form in ("or", "and", "dot", "then", "sentences", "either", "both"):
        return ("first", "second")
    return 1140.25 if form else "value"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_code_has_a_text_in_every_language_and_no_text_is_left_over(language):
    assert list(texts(language)) == [code for _, code, _ in TRANSLATED]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_text_has_the_placeholders_of_the_english_one_and_is_translated(language):
    found = texts(language)
    for _, code, template in TRANSLATED:
        assert fields(found[code]) == fields(template), code
        assert found[code] == found[code].strip() != "", code
        words = re.sub(r"\{[^}]*\}", "", template if isinstance(template, str) else "a reason")
        if re.search(r"[a-z]{2}", words):
            assert re.search("[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]", found[code]) or code in SAME, code


# Names, and what is written with a sign.
SAME = {
    "an-amd-gpu",
    "own-calls",
    "from-to",
    "python-here",
    "cpython",
    "install-runtime-with-conda",
    "torch-here",
    "a-mac",
    "an-nvidia-gpu",
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_code_can_be_said_in_every_language(language):
    every = Catalogue(texts(language))
    for code, template in every.templates.items():
        values = {name: sample(form) for name, form in fields(template)}
        said = every(code, **values)
        assert "{" not in said, code
        for value in values.values():
            assert all(one in said for one in value) if isinstance(value, tuple) else True, code


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_a_user_types_or_looks_for_is_not_translated(language):
    found = texts(language)
    for _, code, template in TRANSLATED:
        whole = template if isinstance(template, str) else " ".join(template)
        literals = re.findall(r"--[a-z][a-z0-9-]+|\b[a-z]+(?:_[a-z0-9]+)+\b|\b[A-Z]{2,}(?:_[A-Z]+)+\b", whole)
        names = {one for one in literals if "{" + one not in whole}
        assert {one for one in names if one not in found[code]} == set(), code
