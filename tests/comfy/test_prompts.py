"""Prompts as programs write them, in real servers: left out, too much, of another type."""

import json

import pytest
from support import workflows
from support.workflows import sage

NODES = ("PatchSageAttention", "PatchTorchCompile", "PatchFP16Accumulation")
# Nothing is compiled for these tests: the model is not sampled.
ALL_OF_TODAY = {
    "PatchSageAttention": sage("auto")["inputs"],
    "PatchTorchCompile": {
        "compile": "blocks",
        "dynamic": "auto",
        "backend": "eager",
        "mode": "default",
        "fullgraph": False,
        "cache": True,
    },
    "PatchFP16Accumulation": {"enabled": True},
}
INFINITE, NOT_A_NUMBER = float("inf"), float("nan")
DEEP = 1
for _ in range(200):
    DEEP = [DEEP]
STRANGE = {
    "a list": ["a", 1],
    "an object": {"a": {"b": 1}},
    "a number": 7,
    "infinity": INFINITE,
    "minus infinity": -INFINITE,
    "not a number": NOT_A_NUMBER,
    "true": True,
    "false": False,
    "null": None,
    "empty": "",
    "a list of infinity": [INFINITE],
    "deep": DEEP,
}
strange = pytest.mark.parametrize("value", STRANGE.values(), ids=STRANGE)


def node(kind: str, **inputs: object) -> dict:
    return {"class_type": kind, "inputs": inputs}


def patched(*patches: dict) -> dict:
    """The model loaded and patched, and not sampled."""
    workflow = workflows.sampling("wan", *patches)
    last = f"patch{len(patches) - 1}"
    kept = {name: one for name, one in workflow.items() if name == "model" or name.startswith("patch")}
    return kept | {
        "tell": node("DemoModelOptions", model=[last, 0], run=workflow["sampler"]["inputs"]["run"])
    }


def strictly(text: str) -> dict:
    """The JSON of a text, as a page reads it: it knows no NaN and no infinity."""

    def refuse(word: str):
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


def last_run(server) -> dict:
    strictly(server.text("/sagekit/status"))
    return strictly(server.text("/sagekit/report"))["runs"][-1]


@pytest.mark.parametrize("kind", NODES)
def test_a_node_with_only_its_model_runs(plain, kind):
    plain.run(patched(node(kind)))


def test_a_prompt_with_only_model_and_kernel_runs_with_all_else_as_the_page_has_it(plain):
    expected = plain.latent(workflows.sampling("wan", sage("sdpa-flash")))
    as_the_page_has_it = last_run(plain)
    assert (
        plain.latent(workflows.sampling("wan", node("PatchSageAttention", kernel="sdpa-flash"))) == expected
    )
    run = last_run(plain)
    for same in ("kernel", "quality", "fallbacks"):
        assert run[same] == as_the_page_has_it[same]


@pytest.mark.parametrize("kind", NODES)
def test_a_prompt_without_any_one_of_the_inputs_runs(plain, kind):
    for left_out in ALL_OF_TODAY[kind]:
        rest = {name: value for name, value in ALL_OF_TODAY[kind].items() if name != left_out}
        plain.run(patched(node(kind, **rest)))


@pytest.mark.parametrize("kind", NODES)
def test_an_input_that_only_a_later_version_knows_is_passed_over(plain, kind):
    plain.run(patched(node(kind, **ALL_OF_TODAY[kind], from_the_future=0.5)))


@pytest.mark.parametrize("kind", NODES)
def test_an_input_of_a_later_version_may_come_over_a_link(plain, kind):
    workflow = patched(node(kind, **ALL_OF_TODAY[kind], from_the_future=["other", 0]))
    workflow["other"] = workflows.sampling("wan")["positive"]
    plain.run(workflow)


def test_without_its_model_a_node_is_refused_by_name(plain):
    workflow = patched(node("PatchSageAttention", kernel="auto"))
    del workflow["patch0"]["inputs"]["model"]
    status, answer = plain.post(json.dumps({"prompt": workflow}))
    (error,) = strictly(answer)["node_errors"]["patch0"]["errors"]
    assert (status, error["type"], error["details"]) == (400, "required_input_missing", "model")


def test_numbers_as_text_count_as_the_numbers(plain):
    texts = sage("auto", start_percent="0.5", end_percent="1", exact_first_blocks="1", exact_last_blocks="1")
    plain.run(workflows.sampling("wan", texts, steps=4))
    as_texts = last_run(plain)["fallbacks"]
    numbers = sage("auto", start_percent=0.5, end_percent=1.0, exact_first_blocks=1, exact_last_blocks=1)
    plain.run(workflows.sampling("wan", numbers, steps=4))
    assert last_run(plain)["fallbacks"] == as_texts


@pytest.mark.parametrize(
    ("told", "on"), [("true", True), ("false", False), ("False", False), ("0", False), (1, True), (0, False)]
)
def test_a_yes_or_no_as_text_counts_as_what_it_says(plain, told, on):
    before = len(plain.log())
    plain.run(workflows.sampling("wan", node("PatchFP16Accumulation", enabled=told), steps=1))
    (message,) = [one for one in plain.get("/sagekit/report")["nodes"] if one["node_id"] == "patch0"][-1:]
    said = " ".join([message["text"], *plain.lines_of_the_pack(before)])
    assert ("off" in message["line"]) is not on, said


@strange
@pytest.mark.parametrize("name", ["kernel", "quality"])
def test_a_choice_of_any_type_runs_and_the_answers_stay_json(plain, name, value):
    plain.run(workflows.sampling("wan", node("PatchSageAttention", **{name: {"__value__": value}}), steps=1))
    run = last_run(plain)
    assert isinstance(run["kernel"], str) and isinstance(run["quality"], str)


@strange
def test_a_choice_of_the_compile_node_may_be_of_any_type(plain, value):
    for name in ("compile", "dynamic", "backend", "mode"):
        asked = {**ALL_OF_TODAY["PatchTorchCompile"], name: {"__value__": value}}
        plain.run(patched(node("PatchTorchCompile", **asked)))


@pytest.mark.parametrize("value", [INFINITE, -INFINITE, NOT_A_NUMBER, "1e999", {"__value__": INFINITE}])
@pytest.mark.parametrize("name", ["start_percent", "end_percent", "exact_first_blocks", "exact_last_blocks"])
def test_a_number_too_large_for_any_reader_runs_and_the_answers_stay_json(plain, name, value):
    plain.run(workflows.sampling("wan", sage("auto", **{name: value}), steps=1))
    last_run(plain)


def test_a_finite_number_out_of_range_is_refused_with_the_range(plain):
    status, answer = plain.post(json.dumps({"prompt": patched(sage("auto", end_percent=1.5))}))
    (error,) = strictly(answer)["node_errors"]["patch0"]["errors"]
    assert (status, error["message"]) == (400, "Value 1.5 bigger than max of 1.0")


@strange
def test_the_id_of_a_workflow_may_be_of_any_type(plain, value):
    plain.run(workflows.sampling("wan", sage("auto"), steps=1), extra_pnginfo={"workflow": {"id": value}})
    assert last_run(plain)["workflow"] == (value if isinstance(value, str) and value else None)
    report = strictly(plain.text("/sagekit/report"))
    assert any(one["node_id"] == "patch0" and one["workflow"] is None for one in report["nodes"])


@strange
def test_the_workflow_may_be_of_any_type(plain, value):
    plain.run(workflows.sampling("wan", sage("auto"), steps=1), extra_pnginfo={"workflow": value})
    assert last_run(plain)["workflow"] is None


@pytest.mark.parametrize(
    "value", [None, {}, {"workflow": "text"}, {"another": INFINITE}, "text", 7, INFINITE]
)
def test_what_goes_into_the_picture_may_be_of_any_type(plain, value):
    # The picture itself is the host's to write, and it takes objects alone.
    workflow = patched(sage("auto"), node("PatchFP16Accumulation"))
    plain.run(workflow, extra_pnginfo=value)
    strictly(plain.text("/sagekit/report"))
