"""A patched model under the host's own compile wrapper, in every order of patched and plain."""

import weakref

import pytest
import torch
from sagekit.kernels_check.reference import relative_error
from sagekit.patches.attention import report
from sagekit.patches.attention.host import graph
from sagekit.patches.attention.settings import Settings
from support.sampling import STEPS, numbers_blocks, sample

BLOCKS = ["diffusion_model.blocks.0", "diffusion_model.blocks.1"]


@pytest.fixture
def compiled(attention):
    """compiled(model, **options): the model with the host's wrapper, as its own node sets it."""
    from comfy_api import torch_helpers
    from comfy_extras import nodes_torch_compile as nodes

    guards = getattr(nodes, "skip_torch_compile_dict", None)

    def compile_model(model, backend="eager", **options):
        wrapped = model.clone()
        # These backends trace and guard as inductor does, and need no C compiler.
        filters = {"guard_filter_fn": guards} if guards else {}
        torch_helpers.set_torch_compile_wrapper(model=wrapped, backend=backend, options=filters, **options)
        return wrapped

    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    yield compile_model
    torch._dynamo.reset()


def graphs() -> int:
    return torch._dynamo.utils.counters["stats"]["unique_graphs"]


@pytest.mark.parametrize(
    "order",
    [
        ("plain", "right", "rough", "plain"),
        ("right", "plain", "right"),
        ("rough", "right", "off", "plain"),
    ],
    ids=" ".join,
)
def test_compiled_is_as_uncompiled_whatever_was_compiled_before(wan, patch_model, compiled, order):
    plain = sample(wan)
    rough = sample(patch_model(wan, Settings("rough")))
    assert relative_error(rough, plain) > 0.005
    for kernel in order:
        model = wan if kernel == "plain" else patch_model(wan, Settings(kernel))
        report._runs.clear()
        latent = sample(compiled(model))
        right = rough if kernel == "rough" else plain
        assert relative_error(latent, right) < 0.001, kernel
        if kernel in ("right", "rough"):
            (run,) = report.runs()
            assert run["kernels"] == {kernel: 4 * STEPS} and run["fallbacks"] == {}


def test_a_block_is_one_graph_and_another_kernel_compiles_nothing(wan, patch_model, compiled):
    plain, seen = sample(wan), []
    # fullgraph: a graph break would be an error.
    options = {"backend": "aot_eager", "fullgraph": True, "keys": BLOCKS}
    for kernel in ("right", "rough", "off", "wrong", "right"):
        report._runs.clear()
        latent = sample(compiled(patch_model(wan, Settings(kernel)), **options))
        seen.append(graphs())
        rough = relative_error(latent, plain)
        assert rough > 0.005 if kernel == "rough" else rough < 0.001, kernel
        (run,) = report.runs()
        assert run["kernels"] == ({kernel: 4 * STEPS} if kernel in ("right", "rough") else {})
    assert sum(torch._dynamo.utils.counters["graph_break"].values()) == 0
    assert seen == seen[:1] * 5, "every kernel after the first runs in the graphs of the first"


def test_a_kernel_that_turns_bad_in_a_graph_is_kept_out_without_another_compile(
    wan, patch_model, compiled, caplog
):
    plain = sample(wan)
    options = {"backend": "aot_eager", "fullgraph": True, "keys": BLOCKS}
    model = compiled(patch_model(wan, Settings("turning")), **options)
    latent = sample(model)
    before = graphs()
    assert relative_error(latent, plain) < 0.001
    assert "turning gave NaN or Inf" in caplog.text and "attention call" in caplog.text
    report._runs.clear()
    assert relative_error(sample(model), plain) < 0.001
    assert report.runs()[0]["fallbacks"] == {"guard": 4 * STEPS} and graphs() == before


def test_a_graph_with_the_patch_in_it_is_right_without_the_patch(wan, patch_model, compiled):
    """The host's guard filter lets a graph live on for a model that has no patch any more."""
    plain = sample(wan)
    options = {"backend": "aot_eager", "keys": BLOCKS}
    sample(compiled(patch_model(wan, Settings("rough")), **options))
    report._runs.clear()
    assert relative_error(sample(compiled(wan, **options)), plain) < 1e-6
    assert report.runs() == []


def test_blocks_to_keep_exact_are_kept_exact_in_compiled_blocks(wan, patch_model, compiled):
    if not numbers_blocks():
        pytest.skip("this ComfyUI does not number Wan's blocks")
    settings = Settings("rough", exact_first_blocks=1)
    eager = sample(patch_model(wan, settings))
    report._runs.clear()
    latent = sample(compiled(patch_model(wan, settings), keys=BLOCKS))
    assert relative_error(latent, eager) < 0.001
    assert report.runs()[0]["kernels"] == {"rough": 2 * STEPS}


def test_a_model_compiled_before_it_had_the_node_is_compiled_once_more(
    wan, patch_model, compiled, attention, monkeypatch
):
    """On a GPU ComfyUI's own attention is traced into the graph, which has no guard that the node breaks."""
    import comfy.ldm.wan.model

    for module in (attention, comfy.ldm.wan.model):
        monkeypatch.setattr(module, "optimized_attention", attention.attention_pytorch)
    monkeypatch.setattr(graph, "_forgotten", weakref.WeakSet())
    plain = sample(compiled(wan))
    rough = sample(patch_model(wan, Settings("rough")))
    assert relative_error(rough, plain) > 0.001
    for _ in range(2):
        report._runs.clear()
        assert relative_error(sample(compiled(patch_model(wan, Settings("rough")))), rough) < 0.001
        (run,) = report.runs()
        assert (run["kernels"], run["warnings"]) == ({"rough": 4 * STEPS}, [])
        before = graphs()
        assert relative_error(sample(compiled(wan)), plain) < 0.001
        assert graphs() == before


def test_off_runs_pytorchs_attention_in_a_graph_too_where_a_flag_chose_another(
    wan, patch_model, compiled, attention, monkeypatch
):
    import comfy.ldm.wan.model

    unflagged = sample(compiled(patch_model(wan, Settings("off"))))

    @attention.wrap_attn
    def attention_sage(*args, **kwargs):
        return attention.attention_pytorch(*args, **kwargs) * 1.01

    monkeypatch.setattr("comfy.cli_args.args.use_sage_attention", True)
    for module in (attention, comfy.ldm.wan.model):
        monkeypatch.setattr(module, "optimized_attention", attention_sage)
    monkeypatch.setattr(graph, "_forgotten", weakref.WeakSet())
    flagged = sample(compiled(wan))
    assert relative_error(flagged, unflagged) > 0.001
    assert torch.equal(sample(compiled(patch_model(wan, Settings("off")))), unflagged)
