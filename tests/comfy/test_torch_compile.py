"""A compiled MODEL in the host's own sampler, in this process: right, compiled once, and gone without trace.

torch's backend "eager" traces, guards and caches as inductor does and computes as uncompiled code does, so
that results can be compared bit for bit; inductor itself is in test_torch_compile_inductor.py.
"""

import logging
import os
import threading

import pytest
import torch
from sagekit.check.reference import relative_error
from sagekit.core.attention.settings import Settings as Sage
from sagekit.core.compile.settings import Settings
from support import tiny_models
from support.compiling import PROMPTS, SIZES, dual_guider_sample, graphs, lora, sample_at, swapped
from support.sampling import STEPS, sample


def test_the_latent_is_that_of_the_uncompiled_model_and_blocks_share_a_graph(wan, compile_model, said):
    right, before = sample(wan), graphs()
    assert torch.equal(sample(compile_model(wan)), right)
    assert graphs() - before == 1
    assert said[-1].startswith("2 blocks compiled: 1 graph in ")


def test_with_the_attention_node_a_block_is_still_one_graph(wan, compile_model, patch_model, session):
    before = graphs()
    sample(compile_model(patch_model(wan, Sage("right")), fullgraph=True))
    assert graphs() == before + 1
    assert session.runs.ended()[-1]["kernels"] == {"right": 4 * STEPS}


def test_a_run_after_it_compiles_nothing_and_says_so(wan, compile_model, said):
    compiled = compile_model(wan)
    sample(compiled)
    before = graphs()
    sample(compiled, seed=2)
    assert graphs() == before
    assert said[-1] == "2 blocks compiled; nothing new to compile in this run"


@pytest.mark.parametrize("compile", ["blocks", "whole model"])
def test_five_sizes_and_three_prompt_lengths_take_few_graphs_and_the_second_time_none(
    wan, compile_model, compile
):
    whole = compile == "whole model"
    # A whole model takes one more for each of height, width and frames, and seconds for each.
    sizes, most = (SIZES[:2], 3) if whole else (SIZES, 3)
    compiled, started = compile_model(wan, compile=compile), graphs()
    for attempt in range(2):
        before = graphs()
        for size in sizes:
            for tokens in PROMPTS:
                latent = sample_at(compiled, size, tokens)
                if attempt and tokens == PROMPTS[1]:
                    assert torch.equal(latent, sample_at(wan, size, tokens))
        assert graphs() - started <= most
        assert attempt == 0 or graphs() == before


@pytest.mark.parametrize("sage", [None, "before", "after"])
@pytest.mark.parametrize("order", ["lora first", "compile first"])
def test_loras_count_in_any_order_of_nodes_and_their_strength_compiles_nothing(
    wan, compile_model, patch_model, order, sage, session
):
    def build(strengths, compiles):
        model = wan
        if sage == "before":
            model = patch_model(model, Sage("right"))
        if compiles and order == "compile first":
            model = compile_model(model)
        for seed, strength in enumerate(strengths):
            model = lora(model, strength, seed)
        if compiles and order == "lora first":
            model = compile_model(model)
        return patch_model(model, Sage("right")) if sage == "after" else model

    sample(build([0.3], compiles=True))
    before, latents = graphs(), []
    for strengths in ([0.0], [0.5], [1.0], [1.0, 0.7]):
        latents.append(sample(build(strengths, compiles=True)))
        assert torch.equal(latents[-1], sample(build(strengths, compiles=False))), strengths
    assert graphs() == before
    assert all(relative_error(one, latents[0]) > 1e-3 for one in latents[1:])
    if sage:
        assert session.runs.ended()[-1]["kernels"] == {"right": 4 * STEPS}


def test_in_inference_mode_as_comfyui_runs_nodes_a_lora_compiles_nothing_either(compile_model, tmp_path):
    import comfy.sd

    file, _ = tiny_models.write(tmp_path)
    with torch.inference_mode():
        model = comfy.sd.load_diffusion_model(str(file))
        right = sample(model)
        # Once without and once with: up to 0.3.64 a weight as loaded wants a gradient and a patched one none.
        assert torch.equal(sample(compile_model(model)), right)
        sample(compile_model(lora(model, 0.3, 0)))
        before = graphs()
        for strength in (0.5, 1.0):
            patched = lora(model, strength, 0)
            assert torch.equal(sample(compile_model(patched)), sample(patched))
        assert torch.equal(sample(compile_model(model)), right)
    assert graphs() == before


def test_models_that_take_turns_keep_their_own_weights(wan, other_wan, compile_model):
    right = sample(wan), sample(other_wan)
    assert relative_error(*right) > 0.1
    models = compile_model(wan), compile_model(other_wan)
    for _ in range(2):
        assert torch.equal(sample(models[0]), right[0])
        assert torch.equal(sample(models[1]), right[1])


@pytest.mark.parametrize("which", ["first", "second", "both", "none"])
def test_two_models_in_one_guider_keep_their_own_weights(wan, other_wan, compile_model, said, which):
    right = dual_guider_sample(wan, other_wan)
    first = compile_model(wan) if which in ("first", "both") else wan
    second = compile_model(other_wan) if which in ("second", "both") else other_wan
    before = graphs()
    assert torch.equal(dual_guider_sample(first, second), right)
    # ComfyUI hands the second model the options of the first: alone, its own node is not asked.
    assert graphs() - before == {"first": 1, "second": 0, "both": 2, "none": 0}[which]


def test_two_branches_of_one_model_have_each_their_own_settings(wan, compile_model):
    # Of equal lengths of picture and prompt, torch would make one.
    first, second = (SIZES[1], PROMPTS[2]), (SIZES[3], PROMPTS[1])
    right = sample_at(wan, *first)
    static, dynamic = compile_model(wan, dynamic="false"), compile_model(wan, dynamic="true")
    for model in (static, dynamic, wan, static, dynamic):
        assert torch.equal(sample_at(model, *first), right)
    before = graphs()
    sample_at(dynamic, *second)
    assert graphs() == before
    sample_at(static, *second)
    assert graphs() == before + 1


def test_the_model_given_stays_as_it_was(wan, compile_model):
    def facts(model):
        return repr((model.wrappers, model.callbacks, model.model_options, model.object_patches))

    before, right = facts(wan), sample(wan)
    compiled = compile_model(wan)
    sample(compiled)
    assert facts(wan) == before and swapped(wan) == []
    count = graphs()
    assert torch.equal(sample(wan), right)
    assert graphs() == count


def test_nothing_of_the_process_is_changed(wan, compile_model):
    import torch._inductor.config

    def state():
        configs = (torch._dynamo.config, torch._inductor.config)
        return (
            [config.get_config_copy() for config in configs],
            dict(os.environ),
            logging.getLogger("torch._dynamo.convert_frame").handlers[:],
        )

    from torch._dynamo.callback import callback_handler

    callbacks = list(callback_handler.start_callbacks), list(callback_handler.end_callbacks)
    before = state()
    sample(compile_model(wan))
    assert state() == before
    assert callbacks == (callback_handler.start_callbacks, callback_handler.end_callbacks)


def test_of_two_nodes_on_one_wire_the_last_counts(wan, compile_model, said):
    sample(compile_model(compile_model(wan, dynamic="false"), dynamic="true"))
    before = graphs()
    sample(compile_model(wan, dynamic="true"))
    assert graphs() == before
    assert sum(text.startswith("2 blocks compiled") for text in said) == 2


def test_the_hosts_own_node_and_this_one_take_each_others_place(wan, compile_model, said):
    from comfy_api.torch_helpers import set_torch_compile_wrapper

    def hosts(model):
        model = model.clone()
        set_torch_compile_wrapper(model=model, backend="eager")
        return model

    right = sample(wan)
    assert torch.equal(sample(compile_model(hosts(wan))), right)
    assert said[-1].startswith("2 blocks compiled")
    said.clear()
    assert torch.equal(sample(hosts(compile_model(wan))), right)
    assert said == []


def test_progress_names_the_block_and_the_seconds(wan, compile_model, backend, said, monkeypatch):
    from sagekit.core.compile import watch

    ticked = threading.Event()

    def slow(graph, inputs):
        assert ticked.wait(30)
        return graph.forward

    def tell(self, seconds):
        told(self, seconds)
        if seconds > 0:
            ticked.set()

    told = watch.Watch.tell
    monkeypatch.setattr(watch, "_TICK", 0.01)
    monkeypatch.setattr(watch.Watch, "tell", tell)
    sample(compile_model(wan, backend=backend(slow)))
    assert said[0] == "compiling block 1 of 2, 0 s"
    assert said[-1].startswith("2 blocks compiled: 1 graph in ")


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"mode": "a-later-one"}, "mode a-later-one is not known here; default runs instead"),
        ({"backend": "a-later-one"}, "backend a-later-one is not known here; inductor runs instead"),
        ({"compile": "a-later-one"}, "compile a-later-one is not known here; blocks runs instead"),
        ({"dynamic": "a-later-one"}, "dynamic a-later-one is not known here; auto runs instead"),
        ({"mode": "reduce-overhead"}, "mode reduce-overhead is not used: a CUDA graph replays"),
        ({"backend": "cudagraphs"}, "backend cudagraphs is not used: a CUDA graph replays"),
    ],
    ids=str,
)
def test_a_setting_that_means_nothing_here_or_must_not_be_is_replaced_and_told(
    wan, compile_model, compiling, said, monkeypatch, asked, told
):
    from sagekit.core.compile import machine

    right, ran = sample(wan), []

    def compile_function(function, settings, keep, backend):
        ran.append(settings)
        return torch.compile(function, backend="eager")

    monkeypatch.setattr(compiling, "compile_function", compile_function)
    monkeypatch.setattr(machine, "why_not", lambda *_: "")
    asked = {"backend": "inductor", **asked}
    for _ in range(2):
        assert torch.equal(sample(compile_model(wan, **asked)), right)
        assert said[-1].splitlines()[0].startswith("2 blocks compiled") and told in said[-1]
    (settings,) = ran
    assert settings == Settings()
