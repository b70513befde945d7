"""A compiled MODEL in the host's own sampler, in this process: right, compiled once, and gone without trace.

torch's backend "eager" traces, guards and caches as inductor does and computes as uncompiled code does, so
that results can be compared bit for bit; inductor itself is in test_torch_compile_inductor.py.
"""

import errno
import gc
import logging
import os
import threading
import weakref

import pytest
import torch
from sagekit.kernels_check.reference import relative_error
from sagekit.patches.attention import report
from sagekit.patches.attention.settings import Settings as Sage
from sagekit.patches.compile.settings import Settings
from support import tiny_models
from support.compiling import dual_guider_sample, graphs, lora, numbered_blocks, sample_at
from support.sampling import STEPS, numbers_blocks, sample

SIZES = ((1, 8, 8), (1, 8, 12), (1, 16, 8), (2, 16, 16), (3, 10, 14))
PROMPTS = (16, 24, 40)


@pytest.fixture
def said(compiling, monkeypatch) -> list[str]:
    from sagekit.patches.compile import watch

    texts = []

    def say(node_id, line, text="", **others):
        texts.append(text or line)

    monkeypatch.setattr(watch.messages, "say", say)
    return texts


@pytest.fixture
def backend(compiling):
    """backend(function) -> the name of a backend for torch.compile that calls it with each graph."""
    names = []

    def register(function) -> str:
        name = f"sagekit_test_{len(names)}"
        names.append(name)
        torch._dynamo.register_backend(function, name=name)
        return name

    from torch._dynamo.backends import registry

    yield register
    for name in names:
        registry._COMPILER_FNS.pop(name, None)


def swapped(model) -> list[str]:
    """Modules whose forward is covered at this moment."""
    from sagekit.patches.compile.compiled import is_replaced

    return [name for name, module in model.model.named_modules() if is_replaced(module)]


def test_the_latent_is_that_of_the_uncompiled_model_and_blocks_share_a_graph(wan, compile_model, said):
    right, before = sample(wan), graphs()
    assert torch.equal(sample(compile_model(wan)), right)
    assert graphs() - before == 1
    assert said[-1].startswith("2 blocks compiled: 1 graph in ")


def test_with_the_attention_node_a_block_is_still_one_graph(wan, compile_model, patch_model):
    before = graphs()
    sample(compile_model(patch_model(wan, Sage("right")), fullgraph=True))
    assert graphs() == before + 1
    assert report.runs()[-1]["kernels"] == {"right": 4 * STEPS}


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
    wan, compile_model, patch_model, order, sage
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
        assert report.runs()[-1]["kernels"] == {"right": 4 * STEPS}


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


def test_a_compiler_that_fails_costs_a_line_and_one_try_and_not_the_picture(
    wan, compile_model, backend, said, caplog
):
    calls = []

    def failing(graph, inputs):
        calls.append(graph)
        raise RuntimeError("something new")

    right = sample(wan)
    compiled = compile_model(wan, backend=backend(failing))
    with caplog.at_level(logging.WARNING, logger="sagekit"):
        for _ in range(2):
            assert torch.equal(sample(compiled), right)
            assert "runs uncompiled: BackendCompilerFailed: backend=" in said[-1]
    assert len(calls) == 1 and swapped(wan) == []
    assert caplog.text.count("runs uncompiled") == 1


def test_what_the_user_can_mend_is_tried_again_once_in_each_run(wan, compile_model, backend, said):
    calls, full = [], [True]

    def writing(graph, inputs):
        calls.append(graph)
        if full[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        return graph.forward

    right = sample(wan)
    compiled = compile_model(wan, backend=backend(writing))
    for tries in (1, 2):
        assert torch.equal(sample(compiled), right)
        assert len(calls) == tries
        assert "runs uncompiled: the disk with the compiled code is full; free some space" in said[-1]
    full[0] = False
    assert torch.equal(sample(compiled), right)
    assert said[-1].startswith("2 blocks compiled: 1 graph in ") and "uncompiled" not in said[-1]


@pytest.mark.parametrize("changed", ["size", "prompt", "override", "object patch"])
def test_a_compiler_that_failed_is_tried_again_in_other_circumstances_and_not_in_the_same(
    wan, compile_model, backend, changed
):
    calls = []

    def failing(graph, inputs):
        calls.append(graph)
        raise RuntimeError("something new")

    name = backend(failing)
    at, model = {"size": SIZES[0], "tokens": PROMPTS[0]}, wan.clone()
    sample_at(compile_model(wan, backend=name), **at)
    if changed == "size":
        at["size"] = SIZES[1]
    elif changed == "prompt":
        at["tokens"] = PROMPTS[1]
    elif changed == "override":
        override = numbered_blocks([])
        model.model_options["transformer_options"]["optimized_attention_override"] = override
    else:
        model.add_object_patch("model_sampling", wan.get_model_object("model_sampling"))
    for tries in (2, 2):
        sample_at(compile_model(model, backend=name), **at)
        assert len(calls) == tries
    sample_at(compile_model(wan, backend=name), SIZES[0], PROMPTS[0])
    assert len(calls) == 2


def test_a_block_that_another_node_keeps_from_being_one_graph_compiles_when_that_node_is_gone(
    wan, compile_model, said
):
    right = sample(wan)
    model = wan.clone()  # Another pack's override is called between the graphs of a block.
    model.model_options["transformer_options"]["optimized_attention_override"] = numbered_blocks([])
    assert torch.equal(sample(compile_model(model, fullgraph=True)), right)
    assert "a block cannot be taken as one graph; switch fullgraph off" in said[-1]
    assert torch.equal(sample(compile_model(wan, fullgraph=True)), right)
    assert said[-1].startswith("2 blocks compiled: 1 graph in ")


def test_a_compiler_that_fails_half_way_through_a_block_starts_the_step_again(
    wan, compile_model, backend, said
):
    calls = []

    def failing_later(graph, inputs):
        calls.append(graph)
        if len(calls) == 3:
            raise RuntimeError("Python.h: No such file or directory")
        return graph.forward

    right = sample(wan)
    model = wan.clone()  # Another pack's override is called between the graphs of a block.
    model.model_options["transformer_options"]["optimized_attention_override"] = numbered_blocks([])
    assert torch.equal(sample(compile_model(model, backend=backend(failing_later))), right)
    assert len(calls) == 3 and "Python's headers are missing" in said[-1]


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), KeyboardInterrupt("stop")])
def test_out_of_memory_and_a_stop_are_not_taken_for_a_compiler_that_fails(wan, compile_model, backend, error):
    def ending(graph, inputs):
        raise error

    with pytest.raises((type(error), torch._dynamo.exc.BackendCompilerFailed), match=str(error)):
        sample(compile_model(wan, backend=backend(ending)))
    assert swapped(wan) == []


def test_an_error_of_the_model_itself_goes_up_as_it_is(wan, compile_model, monkeypatch):
    compiled = compile_model(wan)
    sample(compiled)
    head = type(wan.model.diffusion_model.head)

    def forward(*args, **kwargs):
        raise ValueError("of the model")

    monkeypatch.setattr(head, "forward", forward)
    with pytest.raises(ValueError, match="of the model"):
        sample(compiled)
    assert swapped(wan) == []


def test_a_cancel_while_compiling_ends_the_run_and_the_next_one_works(wan, compile_model, backend):
    from comfy import model_management

    def cancelled(graph, inputs):
        model_management.interrupt_current_processing()
        return graph.forward

    right = sample(wan)
    compiled = compile_model(wan, backend=backend(cancelled))
    with pytest.raises(model_management.InterruptProcessingException):
        sample(compiled)
    assert swapped(wan) == []
    assert torch.equal(sample(compiled), right)


def test_progress_names_the_block_and_the_seconds(wan, compile_model, backend, said, monkeypatch):
    from sagekit.patches.compile import watch

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


def test_a_limit_on_graphs_is_told_and_the_latent_right(wan, compile_model, compiling, said, monkeypatch):
    if not compiling._knows_recompile_limit():
        pytest.skip("this torch has one limit for all")
    monkeypatch.setattr(compiling, "RECOMPILE_LIMIT", 1)
    compiled = compile_model(wan, dynamic="false")
    sample(compiled)
    assert "limit" not in said[-1]
    latent = sample_at(compiled, SIZES[1], PROMPTS[0])
    assert "torch has reached its limit of graphs" in said[-1]
    assert torch.equal(latent, sample_at(wan, SIZES[1], PROMPTS[0]))


def test_under_fullgraph_the_limit_is_told_as_what_it_is_and_sizes_that_have_graphs_run_in_them(
    wan, compile_model, compiling, said, monkeypatch
):
    if not compiling._knows_recompile_limit():
        pytest.skip("this torch has one limit for all")
    monkeypatch.setattr(compiling, "RECOMPILE_LIMIT", 1)
    compiled = compile_model(wan, dynamic="false", fullgraph=True)
    for size, told in (
        (SIZES[0], "2 blocks compiled: 1 graph in "),
        (SIZES[1], "runs uncompiled: torch has reached its limit of graphs for a part of this model, and"),
        (SIZES[0], "2 blocks compiled; nothing new to compile in this run"),
    ):
        assert torch.equal(sample_at(compiled, size, PROMPTS[0]), sample_at(wan, size, PROMPTS[0]))
        assert told in said[-1]


def test_another_packs_override_sees_every_block_and_step_as_they_are(wan, compile_model):
    """In a graph it would see the first block and the first step for ever."""

    def watched(seen):
        model = wan.clone()
        model.model_options["transformer_options"]["optimized_attention_override"] = numbered_blocks(seen)
        return model

    right, plain, compiled, again = sample(wan), [], [], []
    sample(watched(plain))
    assert torch.equal(sample(compile_model(watched(compiled))), right)
    before = graphs()
    sample(compile_model(watched(again)))
    assert plain == compiled == again and len(set(plain)) >= STEPS
    assert graphs() == before


def test_a_patch_of_another_pack_inside_the_blocks_keeps_them_uncompiled(wan, compile_model, said):
    def patch(*args, **kwargs):
        raise AssertionError("this model's blocks do not call it on every host")

    model = wan.clone()
    model.set_model_attn2_output_patch(patch)
    before = graphs()
    assert torch.equal(sample(compile_model(model)), sample(wan))
    assert graphs() == before
    assert "runs uncompiled: another node runs attn2_output_patch inside the blocks" in said[-1]


def test_a_replaced_block_is_called_as_before_and_compiled(wan, compile_model):
    blocks = []

    def replacement(args, extra):
        blocks.append(args["img"].shape)
        return extra["original_block"](args)

    model = wan.clone()
    model.set_model_patch_replace(replacement, "dit", "double_block", 1)
    before = graphs()
    assert torch.equal(sample(compile_model(model)), sample(wan))
    assert len(blocks) == STEPS and graphs() == before + 1


def test_blocks_whose_forward_another_pack_replaced_run_as_they_are(wan, compile_model, said):
    block, calls = wan.model.diffusion_model.blocks[0], []

    def forward(*args, **kwargs):
        calls.append(torch.compiler.is_compiling())
        return type(block).forward(block, *args, **kwargs)

    model = wan.clone()
    model.add_object_patch("diffusion_model.blocks.0.forward", forward)
    assert torch.equal(sample(compile_model(model)), sample(wan))
    assert calls == [False] * STEPS
    assert "1 of 2 blocks run uncompiled: another node replaced them" in said[-1]
    assert swapped(wan) == []


def test_a_part_of_a_block_that_another_pack_replaced_sees_the_number_of_its_block(wan, compile_model):
    if not numbers_blocks():
        pytest.skip("this ComfyUI does not number Wan's blocks")
    model = wan.clone()

    def replacement(part):
        def forward(*args, **kwargs):
            scale = 1 + kwargs["transformer_options"]["block_index"]
            return type(part).forward(part, *args, **kwargs) * scale

        return forward

    for number, block in enumerate(wan.model.diffusion_model.blocks):
        model.add_object_patch(
            f"diffusion_model.blocks.{number}.cross_attn.forward", replacement(block.cross_attn)
        )
    plain, right = sample(wan), sample(model)
    assert relative_error(right, plain) > 1e-3
    for one, latent in ((wan, plain), (model, right), (wan, plain), (model, right)):
        assert torch.equal(sample(compile_model(one)), latent)


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2], ids=str)
@torch.inference_mode()
def test_weights_in_fp8_compile_and_loras_on_them_compile_nothing(compile_model, tmp_path, dtype):
    import comfy.sd

    file, _ = tiny_models.write(tmp_path)
    model = comfy.sd.load_diffusion_model(str(file), model_options={"dtype": dtype})
    assert model.model.diffusion_model.blocks[0].ffn[0].weight.dtype is dtype
    assert torch.equal(sample(compile_model(model)), sample(model))
    sample(compile_model(lora(model, 0.3, 0)))
    before = graphs()
    patched = lora(model, 1.0, 0)
    assert torch.equal(sample(compile_model(patched)), sample(patched))
    assert graphs() == before


@pytest.fixture
def unloaded(wan):
    """ComfyUI's loader starts from nothing, before and after."""
    import comfy.model_management

    comfy.model_management.unload_all_models()
    yield
    comfy.model_management.unload_all_models()


def test_blocks_whose_weights_do_not_fit_run_uncompiled(wan, compile_model, said, unloaded, monkeypatch):
    """ComfyUI loads as much of the model as there is room for, and patches the rest while it runs."""
    import comfy.model_management

    patcher, room = type(wan), int(0.6 * wan.model_size())
    load = patcher.partially_load

    def load_a_part(self, device, extra_memory=0, force_patch_weights=False):
        return load(self, device, room, force_patch_weights)

    monkeypatch.setattr(patcher, "partially_load", load_a_part)
    model = lora(wan, 0.5, 0)
    right = sample(model)
    assert wan.model.model_lowvram and 0 < wan.model.model_loaded_weight_memory < wan.model_size()
    comfy.model_management.unload_all_models()
    assert torch.equal(sample(compile_model(model)), right)
    assert said[-1].startswith("1 blocks compiled")
    assert "1 of 2 blocks run uncompiled: their weights do not fit on the GPU" in said[-1]


def test_blocks_that_comfyui_unloads_in_the_middle_of_a_run_are_uncompiled_from_then_on(
    wan, compile_model, said, unloaded
):
    """As it does to make room for a model that another node loads between two steps."""
    import comfy.sample

    def sample_and_unload(model) -> torch.Tensor:
        def after_step(step, *_):
            counts.append(graphs())
            if step == 1:
                wan.model.current_patcher.partially_unload(torch.device("cpu"), wan.model_size() // 2)

        latent, text = torch.zeros(1, 16, 1, 8, 8), [[torch.zeros(1, 16, tiny_models.WAN_TEXT_WIDTH), {}]]
        run = (STEPS, 1.0, "euler", "simple", text, text, latent)
        noise = comfy.sample.prepare_noise(latent, 1)
        return comfy.sample.sample(model, noise, *run, disable_pbar=True, seed=1, callback=after_step)

    counts, model = [], lora(wan, 0.5, 0)
    right = sample_and_unload(model)
    comfy.model_management.unload_all_models()
    counts.clear()
    assert torch.equal(sample_and_unload(compile_model(model)), right)
    assert wan.model.model_lowvram and counts == counts[:1] * STEPS
    assert "2 of 2 blocks run uncompiled: their weights do not fit on the GPU" in said[-1]


@pytest.fixture
def dynamic(attention, tmp_path, monkeypatch):
    """A MODEL with dynamic VRAM, from ComfyUI's own loader, and a list of the times it was loaded anew.

    All of it is ComfyUI's but the reservation of pinned memory, which takes a GPU's driver.
    """
    import comfy.model_management
    import comfy.model_patcher
    import comfy.sd

    if not hasattr(comfy.model_patcher, "ModelPatcherDynamic"):
        pytest.skip("this ComfyUI has no dynamic VRAM")
    import comfy_aimdo.host_buffer

    # A MODEL of the CPU is never made dynamic.
    monkeypatch.setattr(comfy.model_management, "get_torch_device", lambda *_: torch.device("cuda", 0))
    monkeypatch.setattr(comfy.model_patcher, "CoreModelPatcher", comfy.model_patcher.ModelPatcherDynamic)
    monkeypatch.setattr(comfy_aimdo.host_buffer, "HostBuffer", lambda *_: None)
    file, _ = tiny_models.write(tmp_path)
    model, loads = comfy.sd.load_diffusion_model(str(file)), []

    def load(*args, **kwargs):
        loads.append(kwargs)
        return comfy.sd.load_diffusion_model(*args, **kwargs)

    model.cached_patcher_init = (load, *model.cached_patcher_init[1:])
    assert model.is_dynamic()
    yield model, loads
    model.model.dynamic_patchers.clear()  # No pinned memory to give back.


def test_dynamic_vram_is_switched_off_for_the_model_which_is_loaded_for_that_once(
    dynamic, compile_model, said
):
    model, loads = dynamic
    networks, rights = set(), []
    for strength in (None, 0.5):
        given = model if strength is None else lora(model, strength, 0)
        compiled = compile_model(given)
        assert not compiled.is_dynamic() and given.is_dynamic()
        networks.add(id(compiled.model))
        uncompiled = given.clone(disable_dynamic=True, model_override=compiled.get_clone_model_override())
        for one in (compiled, uncompiled):
            one.load_device = torch.device("cpu")
        rights.append(sample(uncompiled))
        assert torch.equal(sample(compiled), rights[-1])
        assert said[-1].startswith("2 blocks compiled") and "dynamic VRAM is off for this model" in said[-1]
    assert loads == [{"disable_dynamic": True}] and len(networks) == 1
    assert relative_error(*rights) > 1e-3


def test_a_dynamic_model_that_cannot_be_loaded_otherwise_runs_uncompiled_and_says_so(
    wan, compile_model, said
):
    if not hasattr(type(wan), "get_clone_model_override"):
        pytest.skip("this ComfyUI has no dynamic VRAM")

    class Dynamic(type(wan)):
        """By name: ComfyUI's own has nothing to sample with on a CPU."""

        def is_dynamic(self):
            return True

    right, before = sample(wan), graphs()
    model = wan.clone()
    model.__class__, model.cached_patcher_init = Dynamic, None  # As another pack's loader makes one.
    assert torch.equal(sample(compile_model(model)), right)
    assert graphs() == before
    assert "runs uncompiled: dynamic VRAM cannot be switched off for it (Cannot create" in said[-1]


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
    from sagekit.patches.compile import machine

    right, ran = sample(wan), []

    def compile_function(function, settings, keep):
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


def test_a_machine_that_cannot_compile_is_told_before_the_first_try(wan, compile_model, said, monkeypatch):
    from sagekit.patches.compile import machine

    monkeypatch.setattr(machine, "why_not", lambda *_: "no C++ compiler was found; install one")
    right, before = sample(wan), graphs()
    assert torch.equal(sample(compile_model(wan, backend="inductor")), right)
    assert graphs() == before
    assert "runs uncompiled: no C++ compiler was found; install one" in said[-1]


def test_what_was_compiled_goes_with_the_model(compiling, compile_model, tmp_path):
    import comfy.model_management
    import comfy.sd

    file, _ = tiny_models.write(tmp_path)
    model = comfy.sd.load_diffusion_model(str(file))
    sample(compile_model(model))
    (functions,) = [one._functions for one in compiling._models[model.model].values()]
    ((function, _),) = functions.values()
    gone = weakref.ref(model.model), weakref.ref(function._torchdynamo_orig_callable)
    del model, function, functions
    comfy.model_management.cleanup_models_gc()
    comfy.model_management.unload_all_models()
    gc.collect()
    assert [one() for one in gone] == [None, None]
