"""Sampling a tiny model in this process, through the host's own sampler."""

import torch

from . import tiny_models

STEPS = 4


def sample(model, steps: int = STEPS, seed: int = 1) -> torch.Tensor:
    """The final latent of a tiny Wan, from fixed noise and text."""
    import comfy.sample

    latent = torch.zeros(1, 16, 1, 8, 8)
    text = torch.randn(1, 16, tiny_models.WAN_TEXT_WIDTH, generator=torch.Generator().manual_seed(2))
    conditioning = [[text, {}]]
    return comfy.sample.sample(
        model,
        comfy.sample.prepare_noise(latent, seed),
        *(steps, 1.0, "euler", "simple", conditioning, conditioning, latent),
        disable_pbar=True,
        seed=seed,
    )


def numbers_blocks() -> bool:
    """Whether this ComfyUI tells Wan's blocks their number."""
    import inspect

    import comfy.ldm.wan.model

    return "total_blocks" in inspect.getsource(comfy.ldm.wan.model)
