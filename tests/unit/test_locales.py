"""The texts of the page in every language: complete, with the same placeholders, and translated."""

import json
import re
from pathlib import Path

import pytest
from support import locales

LOCALES = Path(__file__).resolve().parents[2] / "locales"
TRANSLATED = ("zh", "zh-TW", "ja", "ko")
# What the server says is written in English in the catalogues of the rooms: see test_messages.py.
SAID = "sagekitMessages"
FILES = sorted(file.name for file in (LOCALES / "en").glob("*.json"))
PLACEHOLDER = re.compile(r"\{\w+\}")
# What a user types or reads elsewhere in these letters: flags, names with a dot, slash or underscore, and the
# choices that a tooltip explains, each before its colon.
LITERAL = re.compile(
    r"--[a-z-]*[a-z]|\b\w+[./_]\w+\b|(?:(?<=\. )|^)[a-z][a-z -]*(?=:)|\b[a-z]{3,9}(?= allows)"
)
# Names of products and of nodes, and units.
SAME_EVERYWHERE = {
    "SageKit",
    "Patch Sage Attention",
    "Patch Torch Compile",
    "Patch FP16 Accumulation",
    "GPU",
    "CUDA",
    "Python",
    "ms",
    "{gib} GiB",
    "{value} ms",
    "{factor}x",
}

each_file = pytest.mark.parametrize("file", FILES)
each_language = pytest.mark.parametrize("language", TRANSLATED)


def texts(language: str, file: str) -> dict[str, str]:
    """Every text of a file by its path of keys, as the page shows it: with links to other texts followed."""
    found = json.loads((LOCALES / language / file).read_text(encoding="utf-8"))
    found.pop(SAID, None)
    return dict(_walk(locales.followed(found, found), ""))


def _walk(value, path: str):
    if isinstance(value, str):
        yield path, value
        return
    for key, inner in value.items():
        yield from _walk(inner, f"{path}/{key}")


def placeholders(text: str) -> list[str]:
    return sorted(PLACEHOLDER.findall(text))


def literals(text: str) -> set[str]:
    return set(LITERAL.findall(text))


def test_every_language_has_the_same_files():
    for language in TRANSLATED:
        assert sorted(file.name for file in (LOCALES / language).iterdir()) == FILES
    assert {"commands.json", "main.json", "nodeDefs.json", "settings.json"} == set(FILES)


@each_language
@each_file
def test_a_translation_has_the_same_texts_in_the_same_order(language, file):
    assert list(texts(language, file)) == list(texts("en", file))


@each_language
@each_file
def test_a_translation_has_the_same_placeholders(language, file):
    translated = texts(language, file)
    for path, text in texts("en", file).items():
        assert placeholders(translated[path]) == placeholders(text), path


@pytest.mark.parametrize("language", ("en", *TRANSLATED))
@each_file
def test_no_text_is_empty_or_has_a_space_at_its_ends(language, file):
    for path, text in texts(language, file).items():
        assert text and text == text.strip(), path


@each_language
@each_file
def test_every_text_but_names_and_units_is_translated(language, file):
    translated = texts(language, file)
    same = {text for path, text in texts("en", file).items() if translated[path] == text}
    assert same <= SAME_EVERYWHERE


@each_language
@each_file
def test_names_and_units_are_the_same_in_every_language(language, file):
    translated = texts(language, file)
    for path, text in texts("en", file).items():
        if path.endswith("/display_name"):
            # Searches and guides go by the English name; what it means stands behind it.
            assert translated[path].startswith(text.removesuffix(" (SageKit)")) and translated[path] != text
        else:
            assert text not in SAME_EVERYWHERE or translated[path] == text, path


@each_language
def test_what_a_user_types_stays_as_it_is(language):
    translated = texts(language, "nodeDefs.json")
    for path, text in texts("en", "nodeDefs.json").items():
        if path.endswith("/name"):
            continue
        for literal in literals(text):
            assert literal in translated[path], f"{path}: {literal}"


def test_the_search_for_what_a_user_types_finds_flags_names_and_choices():
    tooltip = "auto: the fastest, even under --use-sage-attention. whole model: torch.compile in sagekit/tc."
    found = {"auto", "--use-sage-attention", "whole model", "torch.compile", "sagekit/tc"}
    assert literals(tooltip) == found
    assert literals("exact allows rounding only") == {"exact"}


@pytest.mark.parametrize("language", ("en", *TRANSLATED))
def test_a_node_has_the_same_texts_under_both_of_its_ids(language):
    found = texts(language, "nodeDefs.json")
    plain = {path: text for path, text in found.items() if not path.startswith("/SageKit")}
    own = {f"/SageKit{path[1:]}": text for path, text in plain.items()}
    for path in own:
        if path.endswith("/display_name"):
            own[path] += " (SageKit)"
    assert found == {**plain, **own}
