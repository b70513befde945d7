"""Tiny models with random weights, in the layouts that the host's own loader node recognises.

Run as a program, it writes them into the folder named by its one argument, so that a start script whose
own Python has no torch can have them made by a Python that has.
"""

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

# torch and safetensors are imported where they are used: the names and sizes below are wanted without them.

Shapes = dict[str, tuple[int, ...]]

# Both are read from the weights by the host; heads of 128 because that is what its detection assumes.
WIDTH = 256
HEAD = 128
# Wan's text width is not read from the weights: it is always this.
WAN_TEXT_WIDTH = 4096
FLUX_TEXT_WIDTH = 64
FLUX_POOLED_WIDTH = 64
LATENT_CHANNELS = 16

WAN_FILE = "tiny-wan2.1-t2v.safetensors"
FLUX_FILE = "tiny-flux.safetensors"


def _linear(name: str, columns: int, rows: int) -> Shapes:
    return {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}


def _wan_block(name: str, width: int) -> Shapes:
    shapes: Shapes = {f"{name}.modulation": (1, 6, width), f"{name}.norm3.weight": (width,)}
    shapes[f"{name}.norm3.bias"] = (width,)
    for attention in ("self_attn", "cross_attn"):
        for part in ("q", "k", "v", "o"):
            shapes |= _linear(f"{name}.{attention}.{part}", width, width)
        for part in ("norm_q", "norm_k"):
            shapes[f"{name}.{attention}.{part}.weight"] = (width,)
    return shapes | _linear(f"{name}.ffn.0", width, 2 * width) | _linear(f"{name}.ffn.2", 2 * width, width)


def wan_shapes(layers: int = 2, width: int = WIDTH) -> Shapes:
    """The weights of a Wan 2.1 text-to-video model, as (name, shape)."""
    shapes: Shapes = {
        "patch_embedding.weight": (width, LATENT_CHANNELS, 1, 2, 2),
        "patch_embedding.bias": (width,),
        "head.modulation": (1, 2, width),
    }
    shapes |= _linear("text_embedding.0", WAN_TEXT_WIDTH, width) | _linear("text_embedding.2", width, width)
    shapes |= _linear("time_embedding.0", 256, width) | _linear("time_embedding.2", width, width)
    shapes |= _linear("time_projection.1", width, 6 * width)
    for layer in range(layers):
        shapes |= _wan_block(f"blocks.{layer}", width)
    return shapes | _linear("head.head", width, 4 * LATENT_CHANNELS)


def _flux_double_block(name: str, width: int) -> Shapes:
    shapes: Shapes = {}
    for stream in ("img", "txt"):
        shapes |= _linear(f"{name}.{stream}_mod.lin", width, 6 * width)
        shapes |= _linear(f"{name}.{stream}_attn.qkv", width, 3 * width)
        shapes |= _linear(f"{name}.{stream}_attn.proj", width, width)
        shapes[f"{name}.{stream}_attn.norm.query_norm.scale"] = (HEAD,)
        shapes[f"{name}.{stream}_attn.norm.key_norm.scale"] = (HEAD,)
        shapes |= _linear(f"{name}.{stream}_mlp.0", width, 4 * width)
        shapes |= _linear(f"{name}.{stream}_mlp.2", 4 * width, width)
    return shapes


def _flux_single_block(name: str, width: int) -> Shapes:
    shapes = _linear(f"{name}.linear1", width, 7 * width) | _linear(f"{name}.linear2", 5 * width, width)
    shapes |= _linear(f"{name}.modulation.lin", width, 3 * width)
    shapes[f"{name}.norm.query_norm.scale"] = (HEAD,)
    shapes[f"{name}.norm.key_norm.scale"] = (HEAD,)
    return shapes


def flux_shapes(double: int = 1, single: int = 1, width: int = WIDTH) -> Shapes:
    """The weights of a Flux model with guidance, as (name, shape)."""
    shapes = _linear("img_in", 4 * LATENT_CHANNELS, width) | _linear("txt_in", FLUX_TEXT_WIDTH, width)
    for name, columns in (("time_in", 256), ("vector_in", FLUX_POOLED_WIDTH), ("guidance_in", 256)):
        shapes |= _linear(f"{name}.in_layer", columns, width) | _linear(f"{name}.out_layer", width, width)
    for layer in range(double):
        shapes |= _flux_double_block(f"double_blocks.{layer}", width)
    for layer in range(single):
        shapes |= _flux_single_block(f"single_blocks.{layer}", width)
    shapes |= _linear("final_layer.adaLN_modulation.1", width, 2 * width)
    return shapes | _linear("final_layer.linear", width, 4 * LATENT_CHANNELS)


def flux_loads_in(host: Path) -> bool:
    """Whether this ComfyUI reads the width of a Flux model from its weights."""
    source = (host / "comfy" / "model_detection.py").read_text(encoding="utf-8")
    return 'dit_config["hidden_size"] = w.shape[0]' in source


def random_weights(shapes: Shapes, seed: int = 0) -> "dict[str, torch.Tensor]":
    """Weights that keep every activation near unit size: finite outputs in which attention matters."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, shape in sorted(shapes.items()):
        values = torch.randn(shape, generator=generator)
        if name.endswith("modulation"):
            values *= 0.5
        elif name.endswith("bias"):
            values *= 0.02
        elif len(shape) == 1:
            values = 1 + 0.1 * values
        else:
            values /= math.sqrt(math.prod(shape[1:]))
        weights[name] = values.to(torch.bfloat16)
    return weights


def write(models: Path) -> list[Path]:
    """Writes every tiny model under a models folder and returns the files; those there already stay."""
    from safetensors.torch import save_file

    folder = models / "diffusion_models"
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, shapes in ((WAN_FILE, wan_shapes()), (FLUX_FILE, flux_shapes())):
        file = folder / name
        if not file.exists():
            # Renamed into place: a run that was stopped half-way leaves no file that looks whole.
            unfinished = file.with_suffix(".part")
            save_file(random_weights(shapes), unfinished)
            unfinished.replace(file)
        files.append(file)
    return files


if __name__ == "__main__":
    write(Path(sys.argv[1]))
