"""Workflows in the host's API format: a tiny model, any nodes between it and the sampler, a saved latent."""

import itertools

from . import tiny_models

# A latent of 8 x 8 patches: tokens enough for attention to mix, few enough for a CPU.
SIZE = 128

_runs = itertools.count()


def _node(kind: str, **inputs: object) -> dict:
    return {"class_type": kind, "inputs": inputs}


def sage(kernel: str, **changed: object) -> dict:
    """The node of this pack, without its model."""
    inputs = {
        "kernel": kernel,
        "quality": "balanced",
        "start_percent": 0.0,
        "end_percent": 1.0,
        "exact_first_blocks": 0,
        "exact_last_blocks": 0,
    }
    return _node("PatchSageAttention", **{**inputs, **changed})


def sampling(model: str, *patches: dict, seed: int = 7, steps: int = 2) -> dict:
    """Loads `model` ("wan" or "flux"), applies the patches in order, samples, and saves the latent.

    The host keeps the loaded model from one workflow to the next, as it does for a user, so that two runs
    share one MODEL; but it samples every time.
    """
    file = {"wan": tiny_models.WAN_FILE, "flux": tiny_models.FLUX_FILE}[model]
    width = {"wan": tiny_models.WAN_TEXT_WIDTH, "flux": tiny_models.FLUX_TEXT_WIDTH}[model]
    pooled = tiny_models.FLUX_POOLED_WIDTH
    workflow = {
        "model": _node("UNETLoader", unet_name=file, weight_dtype="default"),
        "positive": _node("DemoConditioning", seed=1, tokens=24, width=width, pooled_width=pooled),
        "negative": _node("DemoConditioning", seed=2, tokens=24, width=width, pooled_width=pooled),
        "latent": _latent(model),
    }
    last = "model"
    for number, patch in enumerate(patches):
        patched = f"patch{number}"
        workflow[patched] = {**patch, "inputs": {**patch["inputs"], "model": [last, 0]}}
        last = patched
    workflow["sampler"] = _sampler([last, 0], ["latent", 0], seed, steps)
    workflow["save"] = _node("SaveLatent", samples=["sampler", 0], filename_prefix="test")
    return workflow


def last_model(workflow: dict) -> list:
    """What the sampler of a workflow samples."""
    return workflow["sampler"]["inputs"]["model"]


def _latent(model: str) -> dict:
    if model == "wan":
        return _node("EmptyHunyuanLatentVideo", width=SIZE, height=SIZE, length=5, batch_size=1)
    return _node("EmptySD3LatentImage", width=SIZE, height=SIZE, batch_size=1)


def _sampler(model: list, latent: list, seed: int, steps: int) -> dict:
    return _node(
        "KSampler",
        model=model,
        positive=["positive", 0],
        negative=["negative", 0],
        latent_image=latent,
        seed=seed,
        steps=steps,
        # Above 1, so that the negative conditioning runs as well.
        cfg=2.0,
        sampler_name="euler",
        scheduler="simple",
        denoise=1.0,
        # Not an input of the node: the host ignores it, except that no earlier result answers for this run.
        run=next(_runs),
    )
