"""A patched model under the host's own compile wrapper, in every order of patched and plain."""

import shutil
import sys

import pytest
import torch
from sagekit.check.reference import relative_error
from sagekit.core.attention import graph
from sagekit.core.attention.settings import Settings
from sagekit.host import compiled_before
from support.compiling import sample_at
from support.sampling import STEPS, numbers_blocks, sample

BLOCKS = ["diffusion_model.blocks.0", "diffusion_model.blocks.1"]


@pytest.fixture
def compiled(attention, monkeypatch, session):
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
    session.graphs = compiled_before.Graphs()
    yield compile_model
    torch._dynamo.reset()


@pytest.fixture
def pytorch(attention, monkeypatch):
    """ComfyUI's attention as on a GPU, where a graph takes it in and keeps no guard that a node breaks."""
    import comfy.ldm.wan.model

    for module in (attention, comfy.ldm.wan.model):
        monkeypatch.setattr(module, "optimized_attention", attention.attention_pytorch)


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
def test_compiled_is_as_uncompiled_whatever_was_compiled_before(wan, patch_model, compiled, order, session):
    plain = sample(wan)
    rough = sample(patch_model(wan, Settings("rough")))
    assert relative_error(rough, plain) > 0.005
    for kernel in order:
        model = wan if kernel == "plain" else patch_model(wan, Settings(kernel))
        session.runs.kept.clear()
        latent = sample(compiled(model))
        right = rough if kernel == "rough" else plain
        assert relative_error(latent, right) < 0.001, kernel
        if kernel in ("right", "rough"):
            (run,) = session.runs.ended()
            assert run["kernels"] == {kernel: 4 * STEPS} and run["fallbacks"] == {}


def test_a_block_is_one_graph_and_another_kernel_compiles_nothing(wan, patch_model, compiled, session):
    plain, seen = sample(wan), []
    # fullgraph: a graph break would be an error.
    options = {"backend": "aot_eager", "fullgraph": True, "keys": BLOCKS}
    for kernel in ("right", "rough", "wrong", "right"):
        session.runs.kept.clear()
        latent = sample(compiled(patch_model(wan, Settings(kernel)), **options))
        seen.append(graphs())
        rough = relative_error(latent, plain)
        assert rough > 0.005 if kernel == "rough" else rough < 0.001, kernel
        (run,) = session.runs.ended()
        assert run["kernels"] == ({kernel: 4 * STEPS} if kernel in ("right", "rough") else {})
    assert sum(torch._dynamo.utils.counters["graph_break"].values()) == 0
    assert seen == seen[:1] * 4, "every kernel after the first runs in the graphs of the first"


def test_a_kernel_that_turns_bad_in_a_graph_is_kept_out_without_another_compile(
    wan, patch_model, compiled, caplog, session
):
    plain = sample(wan)
    options = {"backend": "aot_eager", "fullgraph": True, "keys": BLOCKS}
    model = compiled(patch_model(wan, Settings("turning")), **options)
    latent = sample(model)
    before = graphs()
    assert relative_error(latent, plain) < 0.001
    assert "turning gave NaN or Inf" in caplog.text and "attention call" in caplog.text
    session.runs.kept.clear()
    assert relative_error(sample(model), plain) < 0.001
    assert session.runs.ended()[0]["fallbacks"] == {"guard": 4 * STEPS} and graphs() == before


@pytest.mark.parametrize(
    ("backend", "keys"),
    [("aot_eager", BLOCKS), ("inductor", BLOCKS), ("aot_eager", None)],
    ids=["blocks", "inductor", "whole"],
)
def test_removed_or_off_a_compiled_model_gives_the_bits_that_it_gave_without_the_node(
    wan, patch_model, compiled, pytorch, session, backend, keys
):
    """The host's guard filter would let a graph live on for a model that has no patch any more."""
    if backend == "inductor" and shutil.which("g++") is None and shutil.which("clang++") is None:
        pytest.skip("no C++ compiler")
    if not compiled_before.are_told_apart():
        pytest.skip(f"torch {torch.__version__} runs a graph made with the node without it")
    options = {"backend": backend, "keys": keys}
    plain = sample(compiled(wan, **options))
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    rough = patch_model(wan, Settings("rough"))
    assert relative_error(sample(compiled(rough, **options)), plain) > 0.001
    with_operator = graphs()
    assert torch.equal(sample(compiled(wan, **options)), plain)
    assert graphs() == 2 * with_operator, "the graphs with our operator are not those that ran"
    session.runs.kept.clear()
    assert torch.equal(sample(compiled(patch_model(wan, Settings("off")), **options)), plain)
    (run,) = session.runs.ended()
    assert (str(run["line"]), run["warnings"]) == ("off", [])
    before = graphs()
    sample(compiled(rough, **options))
    sample(compiled(wan, **options))
    assert graphs() == before


def test_a_graph_without_the_node_is_for_the_sizes_it_was_for_without_it(
    wan, patch_model, compiled, pytorch, session
):
    """torch compiles for any strides what it has seen called with two: another graph, which may round so."""
    if not hasattr(sys.modules.get("torch._dynamo.pgo"), "get_code_state"):
        pytest.skip(f"torch {torch.__version__} keeps what it learnt of sizes with each function")
    inputs = []

    def note(graph, examples):
        # Of a side that may be any the graph takes the number as an input of its own.
        inputs.append([getattr(one, "shape", str(one)) for one in examples])
        return graph

    def run(model):
        inputs.clear()
        latent = sample(compiled(model, backend=note, keys=BLOCKS))
        return latent, list(inputs)

    plain, made = run(wan)
    if len(made) == 1:
        pytest.skip("in this ComfyUI every block is given its input in the same layout")
    rough = patch_model(wan, Settings("rough"))
    torch._dynamo.reset()
    _, made_with_node = run(rough)
    assert len(made_with_node) == len(made) == 2
    latent, made_after = run(wan)
    assert torch.equal(latent, plain) and made_after == made
    # What the node's own graphs have learnt is kept: they are not made anew, and not those of the others.
    assert run(rough)[1] == [] and run(wan)[1] == []
    torch._dynamo.reset()
    assert run(rough)[1] == made_with_node, "what was learnt goes with the graphs"


def test_blocks_to_keep_exact_are_kept_exact_in_compiled_blocks(wan, patch_model, compiled, session):
    if not numbers_blocks():
        pytest.skip("this ComfyUI does not number Wan's blocks")
    settings = Settings("rough", exact_first_blocks=1)
    eager = sample(patch_model(wan, settings))
    session.runs.kept.clear()
    latent = sample(compiled(patch_model(wan, settings), keys=BLOCKS))
    assert relative_error(latent, eager) < 0.001
    assert session.runs.ended()[0]["kernels"] == {"rough": 2 * STEPS}


def test_a_model_compiled_before_it_had_the_node_is_compiled_once_more(
    wan, patch_model, compiled, pytorch, session
):
    plain = sample(compiled(wan))
    rough = sample(patch_model(wan, Settings("rough")))
    assert relative_error(rough, plain) > 0.001
    for _ in range(2):
        session.runs.kept.clear()
        assert relative_error(sample(compiled(patch_model(wan, Settings("rough")))), rough) < 0.001
        (run,) = session.runs.ended()
        assert (run["kernels"], run["warnings"]) == ({"rough": 4 * STEPS}, [])
        before = graphs()
        assert relative_error(sample(compiled(wan)), plain) < 0.001
        assert graphs() == before


def test_so_it_is_at_every_size_that_it_was_compiled_for_without_the_node(
    wan, patch_model, compiled, pytorch, session
):
    """A graph for each size, made without the node first: a comparison with and without, as users make it."""
    for size in ((1, 8, 8), (1, 16, 8), (1, 16, 24)):
        sample_at(compiled(wan, dynamic=False), size, 16)
        patched = patch_model(wan, Settings("rough"))
        right = sample_at(patched, size, 16)
        session.runs.kept.clear()
        assert relative_error(sample_at(compiled(patched, dynamic=False), size, 16), right) < 0.001, size
        assert session.runs.ended()[0]["kernels"] == {"rough": 8}


def test_a_graph_made_without_the_node_is_found_where_only_some_blocks_are_compiled(
    wan, patch_model, compiled, pytorch, session
):
    sample(compiled(wan, keys=BLOCKS[:1]))
    patched = patch_model(wan, Settings("rough"))
    right = sample(patched)
    session.runs.kept.clear()
    assert relative_error(sample(compiled(patched, keys=BLOCKS[:1])), right) < 0.001
    assert session.runs.ended()[0]["kernels"] == {"rough": 4 * STEPS}


def test_models_with_the_node_that_take_turns_compile_nothing_anew(
    wan, other_wan, patch_model, compiled, pytorch
):
    models = [compiled(patch_model(model, Settings("rough")), dynamic=False) for model in (wan, other_wan)]
    for model in models:
        sample(model)
    before = graphs()
    for model in (*models, *models):
        sample(model)
    assert graphs() == before


def test_an_uncompiled_model_leaves_the_graphs_of_others_alone(wan, other_wan, patch_model, compiled):
    sample(compiled(wan))
    unreached = patch_model(other_wan, Settings("rough")).clone()
    options = unreached.model_options["transformer_options"]
    options["optimized_attention_override"] = lambda func, *args, **kwargs: func(*args, **kwargs)
    sample(unreached)
    before = graphs()
    sample(compiled(wan))
    assert graphs() == before


def test_blocks_to_keep_exact_are_kept_exact_whatever_was_compiled_before(
    wan, patch_model, compiled, session
):
    if not numbers_blocks():
        pytest.skip("this ComfyUI does not number Wan's blocks")
    for first in (0, 1, 2, 1, 0, 1):
        patched = patch_model(wan, Settings("rough", exact_first_blocks=first))
        right = sample(patched)
        session.runs.kept.clear()
        assert relative_error(sample(compiled(patched, keys=BLOCKS)), right) < 0.001, first
        (run,) = session.runs.ended()
        assert run["kernels"].get("rough", 0) == 2 * (2 - first) * STEPS, first
        assert "numbers no blocks" not in str(run["notes"])


def test_the_operator_hands_every_argument_on(attention, monkeypatch):
    got = []

    def default(q, k, v, heads, **given):
        got.append(given)
        return torch.zeros_like(q)

    monkeypatch.setattr(graph, "default_itself", lambda: default)
    q = torch.randn(1, 8, 64)
    mask = torch.zeros(8, 8)
    graph.call(q, q, q, 2, mask, torch.float32, scale=0.5, enable_gqa=True, low_precision_attention=False)
    (given,) = got
    assert given.pop("mask") is mask
    assert given == {
        "attn_precision": torch.float32,
        "skip_reshape": False,
        "skip_output_reshape": False,
        "scale": 0.5,
        "enable_gqa": True,
        "low_precision_attention": False,
        "_inside_attn_wrapper": True,
    }


def test_the_operator_leaves_values_of_another_width_to_the_host(attention, monkeypatch):
    monkeypatch.setattr(graph, "default_itself", lambda: test_the_operator_hands_every_argument_on)
    q, narrow = torch.randn(1, 2, 8, 64), torch.randn(1, 2, 8, 32)
    assert graph.fits(test_the_operator_hands_every_argument_on, (q, q, q), {})
    assert not graph.fits(test_the_operator_hands_every_argument_on, (q, q, narrow), {})


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
    flagged = sample(compiled(wan))
    assert relative_error(flagged, unflagged) > 0.001
    assert torch.equal(sample(compiled(patch_model(wan, Settings("off")))), unflagged)
