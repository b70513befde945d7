"""The page's words: every key that is used is there, in every language that is there."""

import json
import re

import pytest
from support import base_directory

LOCALES = base_directory.PACK / "locales"
SCRIPTS = base_directory.PACK / "web" / "js"
FILES = ("main.json", "settings.json", "commands.json")
LANGUAGES = sorted(folder.name for folder in LOCALES.iterdir() if (folder / "main.json").exists())
OTHERS = [name for name in LANGUAGES if name != "en"]
PLACEHOLDER = re.compile(r"\{(\w+)\}")


def words(language: str, file: str = "main.json") -> dict:
    path = LOCALES / language / file
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    # Its English is in the catalogues of the rooms: see test_messages.py.
    found.pop("sagekitMessages", None)
    return found


def flat(tree: dict, before: str = "") -> dict[str, str]:
    found = {}
    for key, value in tree.items():
        found |= flat(value, f"{before}{key}.") if isinstance(value, dict) else {before + key: value}
    return found


def test_every_word_that_a_script_asks_for_is_in_the_english_table_and_every_word_there_is_asked_for():
    source = "\n".join(file.read_text(encoding="utf-8") for file in SCRIPTS.rglob("*.js"))
    table = set(words("en")["sagekit"])
    asked = set(re.findall(r"""\bsay\(\s*"(\w+)\"""", source))
    assert asked
    assert asked - table == set()
    # A key may also stand in a table of the script's own.
    strings = set(re.findall(r'"(\w+)"', source))
    assert table - strings == set()


def test_settings_and_command_are_in_the_tables_under_the_names_that_the_host_asks_for():
    source = (SCRIPTS / "sagekit.js").read_text(encoding="utf-8")
    for name, entry in words("en", "settings.json").items():
        assert set(entry) == {"name", "tooltip"}, name
        assert f'"{entry["name"]}"' in source
        assert f'"{entry["tooltip"]}"' in source
    for entry in words("en", "commands.json").values():
        assert f'"{entry["label"]}"' in source
    assert set(words("en", "settings.json")) == {"SageKit_Toasts", "SageKit_NodeLine"}
    assert set(words("en", "commands.json")) == {"SageKit_OpenPanel", "SageKit_UseOwnNodes"}


@pytest.mark.parametrize("language", OTHERS)
@pytest.mark.parametrize("file", FILES)
def test_every_language_has_the_same_keys_and_placeholders_as_english(language, file):
    ours, english = flat(words(language, file)), flat(words("en", file))
    assert set(ours) == set(english)
    for key, text in ours.items():
        assert text.strip(), key
        assert sorted(PLACEHOLDER.findall(text)) == sorted(PLACEHOLDER.findall(english[key])), key


@pytest.mark.parametrize("language", OTHERS)
def test_the_panel_speaks_the_language_that_is_set(panel, language, tmp_path):
    panel.page.set("Comfy.Locale", language)
    expected = words(language)["sagekit"]
    panel.body.get_by_role("button", name=expected["copyReport"]).wait_for()
    headings = panel.body.locator("h3").all_inner_texts()
    assert headings == [
        expected[key] for key in ("speed", "plan", "explain", "kernels", "machine", "times", "runs")
    ]
    panel.page.screenshot(tmp_path / f"{language}.png")


def test_a_language_without_a_table_gets_english(panel):
    panel.page.set("Comfy.Locale", "fr")
    panel.page.browser_page.wait_for_timeout(500)
    assert panel.body.locator("h3").first.inner_text() == words("en")["sagekit"]["speed"]
