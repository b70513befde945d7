"""Prompts that programs write with KJNodes' nodes, on a server without KJNodes: none ends in HTTP 500."""

import copy
import json

import pytest
from support import workflows

SAGE, TORCH, COMPILE = "PathchSageAttentionKJ", "ModelPatchTorchSettings", "TorchCompileModelAdvanced"
BLOCKS_ONLY = "compile_transformer_blocks_only"
EVERY = {
    SAGE: {"sage_attention": "auto"},
    TORCH: {"enable_fp16_accumulation": True},
    COMPILE: {
        "backend": "inductor",
        "fullgraph": False,
        "mode": "default",
        "dynamic": "false",
        BLOCKS_ONLY: True,
    },
    "TorchCompileModelWanVideo": {"backend": "inductor"},
    "PatchFlashAttentionKJ": {"allow_compile": False},
    "LTX2MemoryEfficientSageAttentionPatch": {"triton_kernels": True},
    "WanVideoMemoryEfficientSageAttentionPatch": {},
    "MiniMaxH3MemoryEfficientSageAttentionPatch": {},
}
# The host copies `_meta`, and what has no `copy` ends the request.
METAS = [None, "title", 5, True, [], {}, {"title": {"of": "a strange type"}}]
STRANGE = [None, {}, [], 5, 1e300, True, "from-the-future", ["nowhere", 0], ["model"], [["model", 0]]]


def prompt(*patches: dict) -> dict:
    """Nodes that patch a model and tell what became of it, without sampling."""
    workflow = workflows.sampling("wan", *patches)
    tell = {"class_type": "DemoModelOptions", "inputs": {"model": workflows.last_model(workflow)}}
    patched = {number: node for number, node in workflow.items() if number.startswith("patch")}
    return {"model": workflow["model"], **patched, "tell": tell}


def node(kind: str, **inputs: object) -> dict:
    """A node as a program writes it: without `_meta`."""
    return {"class_type": kind, "inputs": inputs}


def posted(server, asked: dict) -> tuple[int, dict | str]:
    status, answer = server.post(json.dumps({"prompt": asked}))
    return status, json.loads(answer) if status in (200, 400) else answer


def run_as(server, asked: dict) -> dict:
    """What the server makes of a prompt that it accepts."""
    status, answer = posted(server, asked)
    assert status == 200, answer
    number = answer["prompt_id"]
    for entry in _queue(server):
        if entry[1] == number:
            return entry[2]
    return server.get(f"/history/{number}")[number]["prompt"][2]


def _queue(server) -> list:
    queue = server.get("/queue")
    return [*queue["queue_running"], *queue["queue_pending"]]


@pytest.mark.parametrize("kind", EVERY)
def test_a_node_without_meta_is_replaced(replacing, kind):
    assert run_as(replacing, prompt(node(kind, **EVERY[kind])))["patch0"]["class_type"].startswith("Patch")


@pytest.mark.parametrize("meta", METAS, ids=repr)
def test_a_meta_of_any_type_stays_and_the_node_is_replaced(replacing, meta):
    made = run_as(replacing, prompt({**node(SAGE, sage_attention="auto"), "_meta": meta}))["patch0"]
    assert (made["class_type"], made["_meta"]) == ("PatchSageAttention", meta)


@pytest.mark.parametrize(
    ("kind", "left_out"), [(kind, name) for kind, inputs in EVERY.items() for name in inputs]
)
def test_an_input_that_is_left_out_is_ours_by_default(replacing, kind, left_out):
    inputs = {name: value for name, value in EVERY[kind].items() if name != left_out}
    made = run_as(replacing, prompt(node(kind, **inputs)))["patch0"]["inputs"]
    everything_left_out = run_as(replacing, prompt(node(kind)))["patch0"]["inputs"]
    ours = {"sage_attention": "kernel", "enable_fp16_accumulation": "enabled", BLOCKS_ONLY: "compile"}
    name = ours.get(left_out, left_out)
    assert made.get(name) == everything_left_out.get(name)


def test_fp16_accumulation_that_nobody_asked_for_stays_off_as_it_is_there(replacing):
    assert run_as(replacing, prompt(node(TORCH)))["patch0"]["inputs"]["enabled"] is False


@pytest.mark.parametrize("kind", EVERY)
def test_a_node_without_a_model_is_told_so(replacing, kind):
    asked = prompt(node(kind, **EVERY[kind]))
    del asked["patch0"]["inputs"]["model"]
    status, answer = posted(replacing, asked)
    assert status == 400
    (error,) = answer["node_errors"]["patch0"]["errors"]
    assert (error["type"], error["details"]) == ("required_input_missing", "model")


@pytest.mark.parametrize("value", STRANGE, ids=repr)
@pytest.mark.parametrize("kind", [SAGE, TORCH, COMPILE])
def test_a_value_of_any_type_is_answered(replacing, kind, value):
    for name in [*EVERY[kind], "model"]:
        asked = prompt(node(kind, **EVERY[kind]))
        asked["patch0"]["inputs"][name] = value
        asked["tell"]["inputs"]["model"] = ["patch0", 0]
        without = copy.deepcopy(asked)
        without["patch0"] = node("PatchSageAttention", model=value, **workflows.sage("auto")["inputs"])
        # Where the host itself fails on such a value, whatever the node is, it may.
        if name != "model" or posted(replacing, without)[0] != 500:
            assert posted(replacing, asked)[0] in (200, 400), name


def test_a_link_into_an_input_that_ours_does_not_have_is_dropped(replacing):
    # The host follows it to where it was; which of two nodes it takes first is chance.
    patches = [node(SAGE, sage_attention="auto") for _ in range(6)]
    asked = prompt(*patches)
    for number in range(1, 6):
        asked[f"patch{number}"] = {**asked[f"patch{number}"], "_meta": {}}
        asked[f"patch{number}"]["inputs"]["elsewhere"] = [f"patch{number - 1}", 0]
    made = run_as(replacing, asked)
    assert all("elsewhere" not in made[f"patch{number}"]["inputs"] for number in range(6))


@pytest.mark.parametrize(
    ("kind", "theirs", "value", "ours", "meant"),
    [
        (SAGE, "sage_attention", "sageattn_qk_int8_pv_fp8_cuda", "kernel", "sage2-int8-fp8"),
        (SAGE, "sage_attention", "disabled", "kernel", "off"),
        (SAGE, "sage_attention", False, "kernel", "off"),
        (SAGE, "sage_attention", "from-the-future", "kernel", "from-the-future"),
        (COMPILE, BLOCKS_ONLY, True, "compile", "blocks"),
        (COMPILE, BLOCKS_ONLY, False, "compile", "whole model"),
        (COMPILE, BLOCKS_ONLY, "false", "compile", "whole model"),
        (COMPILE, "dynamic", True, "dynamic", "true"),
        (COMPILE, "dynamic", "auto", "dynamic", "auto"),
        (COMPILE, "mode", "reduce-overhead", "mode", "reduce-overhead"),
        ("TorchCompileModelWanVideo", BLOCKS_ONLY, False, "compile", "whole model"),
        ("TorchCompileModelWanVideo", "dynamic", False, "dynamic", "false"),
        (TORCH, "enable_fp16_accumulation", True, "enabled", True),
        ("PatchFlashAttentionKJ", "allow_compile", True, "quality", "exact"),
    ],
)
def test_a_value_is_the_one_of_ours_that_means_the_same(replacing, kind, theirs, value, ours, meant):
    made = run_as(replacing, prompt(node(kind, **{**EVERY[kind], theirs: value})))
    assert made["patch0"]["inputs"][ours] == meant


def test_the_log_says_once_for_a_kind_of_node_what_runs_in_its_place(replacing):
    for _ in range(2):
        run_as(replacing, prompt(node(SAGE), node(SAGE)))
    said = [line for line in replacing.lines_of_the_pack() if f"{SAGE} is not installed" in line]
    assert len(said) == 1
    assert "PatchSageAttention runs in its place" in said[0]


@pytest.mark.parametrize("asked", [None, [], "text", 5, {"a": None}, {"a": []}, {"a": {"class_type": []}}])
def test_what_is_no_prompt_is_answered_as_by_the_host(replacing, asked):
    assert posted(replacing, asked)[0] in (400, 500)
    assert not [line for line in replacing.lines_of_the_pack() if "could not read a prompt" in line]


def test_a_host_without_node_replacement_is_not_touched(plain, host_folder):
    if (host_folder / "app" / "node_replace_manager.py").exists():
        pytest.skip("this host has node replacement")
    status, answer = posted(plain, prompt(node(SAGE, sage_attention="auto")))
    assert status == 400
    assert SAGE in json.dumps(answer)


@pytest.fixture
def prompts(attention, monkeypatch):
    """One that rewrites, in this process, beside a host that has no node but those of its own and ours."""
    import server
    from sagekit.app import prompts

    class Manager:
        def __init__(self):
            self.told = {}

        def get_replacement(self, kind):
            return self.told.get(kind)

    class Server:
        node_replace_manager = Manager()

    monkeypatch.setattr(server.PromptServer, "instance", Server(), raising=False)
    return prompts.Rewriter()


def test_other_nodes_stay_as_they_are(prompts):
    others = {
        "1": {"class_type": "ImageBatch", "inputs": {}, "_meta": 5},
        "2": {"class_type": "NotThere", "inputs": {"model": ["1", 0]}},
        "3": {"class_type": SAGE},
        "4": {"class_type": SAGE, "inputs": 5},
        "5": {"class_type": ["unhashable"], "inputs": {}},
        "6": None,
    }
    asked = copy.deepcopy(others)
    prompts.rewrite(asked)
    assert asked == others


def test_a_node_that_another_pack_claimed_first_is_left_to_it(prompts):
    import server
    from sagekit.app.replacements import REPLACEMENTS

    class Theirs:
        new_node_id = "SageOfAnotherPack"

    asked = {"1": node(SAGE, model=["0", 0])}
    server.PromptServer.instance.node_replace_manager.told = {SAGE: [Theirs()], REPLACEMENTS[1].old: []}
    prompts.rewrite(asked)
    assert asked == {"1": node(SAGE, model=["0", 0])}


def test_where_our_id_is_another_packs_the_node_gets_the_one_that_is_ours_alone(prompts, monkeypatch):
    from sagekit.app import ids

    monkeypatch.setattr(ids, "_taken_by", lambda node: "the_other_pack")
    asked = {"1": node(SAGE, model=["0", 0])}
    prompts.rewrite(asked)
    assert asked["1"]["class_type"] == "SageKitPatchSageAttention"


def test_an_error_of_ours_leaves_the_prompt_to_the_host_and_is_logged(attention, monkeypatch, caplog):
    import server
    from sagekit.app import routes as web_api

    handlers = []

    class Server:
        add_on_prompt_handler = handlers.append

    def fail(prompt):
        raise KeyError("changed")

    monkeypatch.setattr(server.PromptServer, "instance", Server(), raising=False)
    web_api.before_each_prompt(fail)
    body = {"prompt": {"1": node(SAGE)}}
    assert handlers[0](body) is body
    assert handlers[0](None) is None
    assert all("could not read a prompt" in record.getMessage() for record in caplog.records)
