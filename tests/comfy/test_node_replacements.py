"""Workflows saved with KJNodes' nodes, on a machine without KJNodes: ours take their place."""

import asyncio
from types import SimpleNamespace

import pytest
from support import host, workflows
from support.server import ServerError

SAGE, TORCH = "PathchSageAttentionKJ", "ModelPatchTorchSettings"
# The inputs that each node had in every version, and so has in every saved workflow. In newer versions the
# last six are names with nothing behind them and no input but the model.
COMPILE = {"model", "backend", "fullgraph", "mode", "dynamic"}
ALWAYS_THERE = {
    SAGE: {"model", "sage_attention"},
    TORCH: {"model", "enable_fp16_accumulation"},
    "TorchCompileModelAdvanced": COMPILE | {"compile_transformer_blocks_only"},
    "TorchCompileModelWanVideoV2": COMPILE | {"compile_transformer_blocks_only"},
    "TorchCompileModelFluxAdvancedV2": COMPILE,
    "PatchFlashAttentionKJ": {"model"},
    "LTX2MemoryEfficientSageAttentionPatch": {"model"},
    "WanVideoMemoryEfficientSageAttentionPatch": {"model"},
    "MiniMaxH3MemoryEfficientSageAttentionPatch": {"model"},
    "TorchCompileModelWanVideo": {"model"},
    "TorchCompileModelFluxAdvanced": {"model"},
    "TorchCompileModelQwenImage": {"model"},
    "TorchCompileModelHyVideo": {"model"},
    "TorchCompileCosmosModel": {"model"},
    "TorchCompileLTXModel": {"model"},
}
WITH_OPTIONS = [kind for kind, inputs in ALWAYS_THERE.items() if inputs >= COMPILE]
RETIRED = [kind for kind, inputs in ALWAYS_THERE.items() if inputs == {"model"} and "Compile" in kind]
ATTENTION = [kind for kind in ALWAYS_THERE if "Attention" in kind and kind != SAGE]
KERNELS = {
    "auto": "auto",
    "disabled": "off",
    "sageattn_qk_int8_pv_fp16_cuda": "sage2-int8-fp16",
    "sageattn_qk_int8_pv_fp16_triton": "sage2-int8-fp16-triton",
    "sageattn_qk_int8_pv_fp8_cuda": "sage2-int8-fp8",
    "sageattn_qk_int8_pv_fp8_cuda++": "sage2-int8-fp8-acc-fp32+fp16",
    "sageattn3": "sage3-fp4",
    "sageattn3_per_block_mean": "sage3-fp4-block-mean",
}
INSTALLED = '''
class Installed:
    """Stands for the node of the other pack."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"model": ("MODEL",), "sage_attention": ("STRING", {})}}

    RETURN_TYPES, FUNCTION, CATEGORY = ("MODEL",), "patch", "test"

    def patch(self, model, sage_attention):
        return (model,)


NODE_CLASS_MAPPINGS = {"PathchSageAttentionKJ": Installed}
'''


def saved(kind: str, **inputs: object) -> dict:
    """A node as the page exports it."""
    return {"class_type": kind, "inputs": inputs, "_meta": {"title": kind}}


def saved_compile(kind: str, **changed: object) -> dict:
    """One of KJNodes' compile nodes; `eager` keeps the test from waiting for inductor."""
    every = {"backend": "eager", "fullgraph": False, "mode": "default", "dynamic": False}
    every["compile_transformer_blocks_only"] = True
    inputs = {name: value for name, value in every.items() if name in ALWAYS_THERE[kind]}
    return saved(kind, **{**inputs, **changed})


def last_run(server) -> dict:
    return server.get("/sagekit/report")["runs"][-1]


@pytest.mark.parametrize(("mode", "kernel"), KERNELS.items())
def test_a_saved_sage_node_runs_as_ours_with_the_kernel_of_its_mode(replacing, mode, kernel):
    replacing.run(workflows.sampling("wan", saved(SAGE, sage_attention=mode, allow_compile=True)))
    run = last_run(replacing)
    assert (run["node_id"], run["kernel"]) == ("patch0", kernel)
    assert list(run["fallbacks"]) == ["off" if kernel == "off" else "device"]


def test_one_saved_before_it_had_allow_compile_runs_too(replacing):
    before = replacing.get("/sagekit/report")["runs"]
    expected = replacing.latent(workflows.sampling("wan"))
    assert replacing.latent(workflows.sampling("wan", saved(SAGE, sage_attention="auto"))) == expected
    assert replacing.get("/sagekit/report")["runs"] != before


def test_a_saved_node_for_fp16_accumulation_runs(replacing):
    expected = replacing.latent(workflows.sampling("wan"))
    patched = workflows.sampling("wan", saved(TORCH, enable_fp16_accumulation=True))
    assert replacing.latent(patched) == expected


@pytest.mark.parametrize("kind", ATTENTION)
def test_a_saved_node_for_one_kind_of_attention_runs_as_ours(replacing, kind):
    old = {"triton_kernels": True} if kind.startswith("LTX2") else {"allow_compile": False}
    replacing.run(workflows.sampling("wan", saved(kind, **old)))
    run = last_run(replacing)
    assert (run["node_id"], run["kernel"]) == ("patch0", "auto")
    assert run["quality"] == ("exact" if "Flash" in kind else "balanced")


@pytest.mark.parametrize("kind", WITH_OPTIONS)
def test_a_saved_compile_node_runs_to_its_end(replacing, kind):
    replacing.run(workflows.sampling("wan", saved_compile(kind), steps=1))


@pytest.mark.parametrize("kind", RETIRED)
def test_a_retired_compile_node_is_accepted_with_its_old_inputs_and_with_none(replacing, kind):
    for old in ({}, {"backend": "inductor", "fullgraph": False, "mode": "default", "dynamic": True}):
        replacing.run(_patched_and_not_sampled(saved(kind, **old)))


def _patched_and_not_sampled(patch: dict) -> dict:
    workflow = workflows.sampling("wan", patch)
    tell = {"class_type": "DemoModelOptions", "inputs": {"model": workflows.last_model(workflow)}}
    return {"model": workflow["model"], "patch0": workflow["patch0"], "tell": tell}


@pytest.mark.parametrize(
    ("blocks_only", "what"), [(True, "2 blocks compiled"), (False, "the model compiled")]
)
def test_a_compile_node_compiles_what_it_was_asked_to(replacing, blocks_only, what):
    # No other test asks for this `dynamic`, so that something is left to compile, and to tell.
    asked = {"compile_transformer_blocks_only": blocks_only, "dynamic": True}
    node = saved_compile("TorchCompileModelWanVideoV2", **asked)
    before = len(replacing.log())
    replacing.run(workflows.sampling("wan", node, steps=1))
    assert what in " ".join(replacing.lines_of_the_pack(before))


def test_every_node_is_offered_once_with_all_that_ours_needs_and_nothing_it_may_lack(replacing):
    offered = replacing.get("/node_replacements")
    needed = {}
    for node in ("PatchSageAttention", "PatchTorchCompile", "PatchFP16Accumulation"):
        inputs = replacing.get(f"/object_info/{node}")[node]["input"]
        needed[node] = {*inputs["required"], *inputs.get("optional", ())}
    ours = {old: each[0] for old, each in offered.items() if each[0]["new_node_id"] in needed}
    assert set(ours) == set(ALWAYS_THERE)
    for old, one in ours.items():
        assert len(offered[old]) == 1
        assert {given["new_id"] for given in one["input_mapping"]} >= needed[one["new_node_id"]]
        assert {given["old_id"] for given in one["input_mapping"] if "old_id" in given} <= ALWAYS_THERE[old]


def test_a_node_that_is_installed_is_left_alone(start, replacing, tmp_path_factory):
    base = tmp_path_factory.mktemp("base")
    (base / "custom_nodes").mkdir()
    (base / "custom_nodes" / "installed.py").write_text(INSTALLED, encoding="utf-8")
    with start(base=base) as server:
        server.run(workflows.sampling("wan", saved(SAGE, sage_attention="auto")))
        assert server.get("/sagekit/report")["runs"] == []


def test_a_host_without_node_replacement_says_as_ever_that_the_node_is_missing(plain, host_folder):
    if (host_folder / "app" / "node_replace_manager.py").exists():
        pytest.skip(f"ComfyUI {host.version(host_folder)} has node replacement")
    with pytest.raises(ServerError, match=SAGE):
        plain.queue(workflows.sampling("wan", saved(SAGE, sage_attention="auto")))
    assert "PatchSageAttention" in plain.get("/object_info/PatchSageAttention")
    assert not [line for line in plain.lines_of_the_pack() if "replace" in line]


@pytest.fixture
def replacements(attention):
    """The module, in this process."""
    from sagekit.app import replacements

    return replacements


def _with_api(monkeypatch, replacements, register) -> None:
    """Gives the host an API for node replacement that is `register`."""
    api = SimpleNamespace(node_replacement=SimpleNamespace(register=register))
    monkeypatch.setattr(replacements.io, "NodeReplace", SimpleNamespace, raising=False)
    monkeypatch.setattr(replacements.latest, "ComfyAPI", lambda: api)


def test_each_node_is_told_to_the_host(monkeypatch, replacements):
    told = []

    async def register(replacement):
        told.append(replacement.old_node_id)

    _with_api(monkeypatch, replacements, register)
    asyncio.run(replacements.register())
    assert sorted(told) == sorted(ALWAYS_THERE)


def test_a_host_that_does_not_know_the_word_is_told_nothing_and_nothing_is_logged(
    monkeypatch, replacements, caplog
):
    monkeypatch.delattr(replacements.io, "NodeReplace", raising=False)
    asyncio.run(replacements.register())
    assert caplog.records == []


def test_an_error_of_the_host_is_one_warning_and_goes_no_further(monkeypatch, replacements, caplog):
    async def register(replacement):
        raise KeyError("changed")

    _with_api(monkeypatch, replacements, register)
    asyncio.run(replacements.register())
    (record,) = caplog.records
    assert "KeyError: 'changed'" in record.getMessage()
