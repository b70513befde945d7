"""Models whose weights are not where or what compiled code wants them: fp8, parts, dynamic VRAM."""

import pytest
import torch
from sagekit.check.reference import relative_error
from support import tiny_models
from support.compiling import graphs, lora
from support.sampling import STEPS, sample


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
    assert (
        "runs uncompiled: dynamic VRAM cannot be switched off for it (RuntimeError: Cannot create" in said[-1]
    )
