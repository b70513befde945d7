"""The English texts are those of the nodes, and the host hands out every language."""

import json

import pytest
from support import base_directory, locales

LOCALES = base_directory.PACK / "locales"
LANGUAGES = sorted(folder.name for folder in LOCALES.iterdir())


def read(language: str, name: str) -> dict:
    return json.loads((LOCALES / language / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def ours(plain) -> dict:
    """Every node of this pack, as the host tells it."""
    module = f"custom_nodes.{base_directory.PACK_FOLDER}"
    known = plain.get("/object_info")
    return {name: node for name, node in known.items() if node["python_module"] == module}


def test_the_english_texts_are_those_of_the_nodes_word_for_word(ours):
    told = {
        name: {
            "display_name": node["display_name"],
            "description": node["description"],
            "inputs": {
                one: {"name": facts.get("display_name") or one, "tooltip": facts["tooltip"]}
                for one, (_, facts) in {
                    **node["input"]["required"],
                    **node["input"].get("optional", {}),
                }.items()
            },
            "outputs": {str(index): {"name": one} for index, one in enumerate(node["output_name"])},
        }
        for name, node in ours.items()
    }
    english = read("en", "nodeDefs")
    assert locales.followed(english, english) == told


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_host_hands_out_every_text(plain, language):
    handed_out = plain.get("/i18n")[language]
    assert handed_out["nodeDefs"].items() >= read(language, "nodeDefs").items()
    assert handed_out["commands"].items() >= read(language, "commands").items()
    assert handed_out["settings"].items() >= read(language, "settings").items()
    assert handed_out.items() >= read(language, "main").items()
