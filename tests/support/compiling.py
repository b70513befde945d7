"""Samplings for the tests of torch.compile: of any size, with a LoRA, with two models at once."""

import pytest
import torch

from . import tiny_models

# (frames, height, width) of latents, and tokens of prompts.
SIZES = ((1, 8, 8), (1, 8, 12), (1, 16, 8), (2, 16, 16), (3, 10, 14))
PROMPTS = (16, 24, 40)


def graphs() -> int:
    """Graphs that torch has made in this process."""
    return torch._dynamo.utils.counters["stats"]["unique_graphs"]


def numbered_blocks(seen: list):
    """An attention override as another pack might make it, which notes block and step of every call."""

    def override(func, *args, **kwargs):
        options = kwargs["transformer_options"]
        seen.append((options.get("block"), options.get("block_index"), float(options["sigmas"][0])))
        return func(*args, **kwargs)

    return override


def _text(tokens: int) -> list:
    generator = torch.Generator().manual_seed(2)
    return [[torch.randn(1, tokens, tiny_models.WAN_TEXT_WIDTH, generator=generator), {}]]


def sample_at(model, size: tuple[int, int, int], tokens: int) -> torch.Tensor:
    """The latent of two steps at (frames, height, width), with a prompt of so many tokens."""
    import comfy.sample

    latent, text = torch.zeros(1, 16, *size), _text(tokens)
    noise = comfy.sample.prepare_noise(latent, 1)
    steps = (2, 1.0, "euler", "simple", text, text, latent)
    return comfy.sample.sample(model, noise, *steps, disable_pbar=True, seed=1)


def lora(model, strength: float, seed: int):
    """The model with a LoRA on both blocks, through the host's own loader."""
    import comfy.sd

    generator = torch.Generator().manual_seed(100 + seed)
    weights = {}
    for name, shape in tiny_models.wan_shapes().items():
        if ".ffn." in name and name.endswith(".weight"):
            layer = "diffusion_model." + name.removesuffix(".weight")
            weights[f"{layer}.lora_up.weight"] = torch.randn(shape[0], 4, generator=generator) * 0.05
            weights[f"{layer}.lora_down.weight"] = torch.randn(4, shape[1], generator=generator) * 0.05
    return comfy.sd.load_lora_for_models(model, None, weights, strength, 0.0)[0]


def dual_guider() -> type:
    """ComfyUI's guider that runs the prompt on one model and the negative prompt on another."""
    from comfy_extras import nodes_custom_sampler as nodes

    if not hasattr(nodes, "Guider_DualModel"):
        pytest.skip("this ComfyUI has no guider with two models")
    return nodes.Guider_DualModel


def dual_guider_sample(first, second) -> torch.Tensor:
    """Its latent."""
    return guided(dual_guider()(first, second), first)


def guided(guider, first, size=(1, 8, 8), tokens: int = 16) -> torch.Tensor:
    """The latent of a guider whose first model is the one given, at (frames, height, width)."""
    import comfy.samplers

    text = _text(tokens)
    guider.set_conds(text, text)
    guider.set_cfg(2.0)
    latent, sampler = torch.zeros(1, 16, *size), comfy.samplers.sampler_object("euler")
    sigmas = comfy.samplers.calculate_sigmas(first.get_model_object("model_sampling"), "simple", 4)
    noise = torch.randn(latent.shape, generator=torch.Generator().manual_seed(1))
    return guider.sample(noise, latent, sampler, sigmas, disable_pbar=True, seed=1)


def swapped(model) -> list[str]:
    """Modules whose forward is covered at this moment."""
    from sagekit.core.compile.compiled import is_replaced

    return [name for name, module in model.model.named_modules() if is_replaced(module)]
