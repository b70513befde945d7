"""The example workflows: complete, readable, and accepted by the host once the model files are there."""

import itertools
import json
import struct
import urllib.request
from pathlib import Path

import pytest
from support import base_directory, host
from support.page import Page
from support.server import ServerError

FOLDER = base_directory.PACK / "example_workflows"
EXAMPLES = sorted(file.stem for file in FOLDER.glob("*.json"))
NOTES = {"MarkdownNote", "Note"}
OURS = {"PatchSageAttention", "PatchTorchCompile", "PatchFP16Accumulation"}
WIDGETS = {"INT", "FLOAT", "STRING", "BOOLEAN", "COMBO", "COMFY_DYNAMICCOMBO_V3"}
TITLE_HEIGHT = 30
LARGEST_THUMBNAIL = 60_000

each_example = pytest.mark.parametrize("name", EXAMPLES)


def example(name: str) -> dict:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def working_nodes(name: str) -> list[dict]:
    return [node for node in example(name)["nodes"] if node["type"] not in NOTES]


def models(name: str) -> list[dict]:
    """What the page offers to download for a workflow."""
    return [model for node in working_nodes(name) for model in node["properties"].get("models", [])]


def as_prompt(name: str, known: dict) -> dict:
    """The workflow in the API format, by the inputs that the host declares."""
    links = {link[0]: [str(link[1]), link[2]] for link in example(name)["links"]}
    prompt = {}
    for node in working_nodes(name):
        declared = known[node["type"]]["input"]
        linked = {one["name"]: links[one["link"]] for one in node["inputs"] if one["link"]}
        values = iter(node["widgets_values"])
        inputs = {}
        for input_name, (kind, *options) in {**declared["required"], **declared.get("optional", {})}.items():
            facts = options[0] if options else {}
            if isinstance(kind, list) or kind in WIDGETS:
                inputs[input_name] = next(values, facts.get("default"))
                if facts.get("control_after_generate"):
                    next(values, None)
        assert not list(values), f"{node['type']} has more values than widgets"
        prompt[str(node["id"])] = {"class_type": node["type"], "inputs": {**inputs, **linked}}
    return prompt


@pytest.fixture(scope="module")
def served(start, tmp_path_factory):
    """A server with an empty file for every model of the examples."""
    base = tmp_path_factory.mktemp("base")
    for name in EXAMPLES:
        for model in models(name):
            _file(base, model).parent.mkdir(parents=True, exist_ok=True)
            _file(base, model).touch()
    with start(base=base) as running:
        yield running


def _file(base: Path, model: dict) -> Path:
    return base / "models" / model["directory"] / model["name"]


def _empty_queue(server) -> None:
    """What was accepted need not run: its model files are empty."""
    for path, body in (("/queue", {"clear": True}), ("/interrupt", {})):
        request = urllib.request.Request(
            server.url + path,
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        urllib.request.urlopen(request, timeout=30).close()


@each_example
def test_the_host_has_every_node_of_it(served, name):
    known = served.get("/object_info")
    assert {node["type"] for node in working_nodes(name)} <= set(known)


@each_example
def test_the_host_accepts_it_with_the_model_files_in_place(served, name):
    served.queue(as_prompt(name, served.get("/object_info")))
    _empty_queue(served)


@each_example
def test_the_host_refuses_it_when_one_model_file_is_missing(served, name):
    missing = models(name)[0]
    _file(served.base, missing).unlink()
    try:
        with pytest.raises(ServerError, match=missing["name"]):
            served.queue(as_prompt(name, served.get("/object_info")))
    finally:
        _file(served.base, missing).touch()


@each_example
def test_the_host_lists_it_and_serves_it_with_its_thumbnail(served, name):
    assert name in served.get("/workflow_templates")[base_directory.PACK_FOLDER]
    place = f"{served.url}/api/workflow_templates/{base_directory.PACK_FOLDER}/{name}".replace(" ", "%20")
    with urllib.request.urlopen(f"{place}.jpg", timeout=30) as answer:
        assert answer.headers["Content-Type"] == "image/jpeg"
    with urllib.request.urlopen(f"{place}.json", timeout=30) as answer:
        assert json.load(answer) == example(name)


@pytest.fixture(scope="module")
def page_of_newest(host_folder):
    if host_folder != host.find().folder:
        pytest.skip("the page comes from a package of its own, the same for every host here")


@each_example
def test_the_page_opens_it_without_complaint_and_sends_the_same_prompt(page_of_newest, browser, served, name):
    page = Page(browser, served.url)
    page.browser_page.evaluate("workflow => window.app.loadGraphData(workflow)", example(name))
    page.wait_for("app.graph.nodes.some(node => node.type === 'PatchSageAttention')")
    page.browser_page.wait_for_timeout(1000)
    complaints = page.complaints()
    with page.browser_page.expect_response("**/prompt") as sent:
        page.press_run()
    answer, prompt = sent.value.json(), sent.value.request.post_data_json["prompt"]
    status = sent.value.status
    page.close()
    _empty_queue(served)
    assert (complaints, status, answer["node_errors"]) == ([], 200, {})
    expected = as_prompt(name, served.get("/object_info"))
    assert {number: _of_workflow(node) for number, node in prompt.items()} == expected


def _of_workflow(node: dict) -> dict:
    """A node of the page's prompt, without what a choice brings along: the host needs no value for that."""
    inputs = {name: value for name, value in node["inputs"].items() if "." not in name}
    return {"class_type": node["class_type"], "inputs": inputs}


@each_example
def test_it_has_a_node_of_ours_and_one_that_saves(name):
    types = [node["type"] for node in working_nodes(name)]
    assert OURS & set(types)
    assert len([kind for kind in types if kind.startswith("Save")]) == 1


@each_example
def test_no_node_lies_on_another(name):
    boxes = [
        (x, y - TITLE_HEIGHT, x + width, y + height)
        for (x, y), (width, height) in ((node["pos"], node["size"]) for node in example(name)["nodes"])
    ]
    for one, other in itertools.combinations(boxes, 2):
        apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
        assert apart, f"{one} and {other}"


@each_example
def test_its_links_agree_with_the_slots_of_its_nodes(name):
    nodes = {node["id"]: node for node in example(name)["nodes"]}
    for number, origin, output, target, slot, kind in example(name)["links"]:
        assert number in nodes[origin]["outputs"][output]["links"]
        assert nodes[origin]["outputs"][output]["type"] == kind
        assert nodes[target]["inputs"][slot]["link"] == number
    given = [one["link"] for node in nodes.values() for one in node["inputs"] if one["link"]]
    assert sorted(given) == sorted(link[0] for link in example(name)["links"])


@each_example
def test_every_model_file_it_names_can_be_downloaded_by_the_page(name):
    named = {
        value
        for node in working_nodes(name)
        for value in node["widgets_values"]
        if str(value).endswith(".safetensors")
    }
    assert {model["name"] for model in models(name)} == named
    for model in models(name):
        assert model["url"].startswith("https://huggingface.co/")
        assert model["url"].endswith(f"/{model['name']}")


@each_example
def test_its_thumbnail_is_a_small_picture(name):
    data = (FOLDER / f"{name}.jpg").read_bytes()
    assert len(data) < LARGEST_THUMBNAIL
    assert _jpeg_width(data) == 640


def _jpeg_width(data: bytes) -> int:
    """The width that the frame header of a JPEG file tells."""
    position = 2
    while data[position + 1] not in (0xC0, 0xC2):
        position += 2 + struct.unpack(">H", data[position + 2 : position + 4])[0]
    return struct.unpack(">H", data[position + 7 : position + 9])[0]
