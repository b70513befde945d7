"""Real ComfyUI architectures with random weights, built through the host's own model classes.

Imported only where ComfyUI is importable. Sizes are those of the released models except for the number of
layers of Wan, Flux and Qwen-Image, which is cut: every layer is alike, so a few give the same ratio between
two kernels. What a step costs once, as the guard's look at its output, weighs more there; the names that end
in ``-whole`` have all layers.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import comfy.ldm.flux.model
import comfy.model_management
import comfy.model_patcher
import comfy.supported_models
import torch


@dataclasses.dataclass(frozen=True)
class Architecture:
    """What to build and what to sample with it."""

    name: str
    about: str
    config_class: str  # a class of comfy.supported_models
    config: dict[str, Any]  # its unet_config, without the dtype
    dtype: torch.dtype
    latent: tuple[int, ...]  # (1, channels, [frames,] height, width)
    context: tuple[int, int]  # (tokens, width) of the text conditioning
    conditioning: dict[str, Any] = dataclasses.field(default_factory=dict)
    pooled: int = 0  # width of the pooled text vector, 0 for none
    cfg: float = 1.0  # above 1 the host runs positive and negative as one batch of 2


WAN_CONFIG = {
    # Wan 2.1 14B text to video as comfy.model_detection reads it, 4 of its 40 layers.
    "image_model": "wan2.1",
    "model_type": "t2v",
    "dim": 5120,
    "out_dim": 16,
    "num_heads": 40,
    "ffn_dim": 13824,
    "num_layers": 4,
    "patch_size": (1, 2, 2),
    "freq_dim": 256,
    "window_size": (-1, -1),
    "qk_norm": True,
    "cross_attn_norm": True,
    "eps": 1e-6,
    "in_dim": 16,
    "text_dim": 4096,
}

FLUX_CONFIG = {
    # Flux.1 dev as comfy.model_detection reads it, 4 of 19 double blocks and 8 of 38 single blocks.
    "image_model": "flux",
    "guidance_embed": True,
    "in_channels": 16,
    "out_channels": 16,
    "hidden_size": 3072,
    "num_heads": 24,
    "axes_dim": [16, 56, 56],
    "mlp_ratio": 4.0,
    "theta": 10000,
    "qkv_bias": True,
    "patch_size": 2,
    "vec_in_dim": 768,
    "context_in_dim": 4096,
    "depth": 4,
    "depth_single_blocks": 8,
    "txt_ids_dims": [],
}

QWEN_CONFIG = {
    # Qwen-Image as comfy.model_detection reads it, 8 of its 60 layers; the rest are the class's defaults.
    "image_model": "qwen_image",
    "in_channels": 64,
    "num_layers": 8,
}

SDXL_CONFIG = {
    # SDXL base, whole, as in comfy.model_detection's table of diffusers UNets.
    "use_checkpoint": False,
    "image_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 320,
    "num_res_blocks": [2, 2, 2],
    "channel_mult": [1, 2, 4],
    "transformer_depth": [0, 0, 2, 2, 10, 10],
    "transformer_depth_middle": 10,
    "transformer_depth_output": [0, 0, 0, 2, 2, 2, 10, 10, 10],
    "context_dim": 2048,
    "adm_in_channels": 2816,
    "num_classes": "sequential",
    "num_head_channels": 64,
    "use_spatial_transformer": True,
    "use_linear_in_transformer": True,
    "use_temporal_attention": False,
    "use_temporal_resblock": False,
    "legacy": False,
}


_WAN_CUT = "4 of 40 layers"
_FLUX_CUT = "4 of 19 double and 8 of 38 single blocks"


def wan(tiny: bool) -> Architecture:
    """Wan 2.1 14B, 832 x 480, 81 frames: 32760 tokens of self attention, 512 of cross attention."""
    small = {"dim": 256, "num_heads": 2, "ffn_dim": 512, "num_layers": 2, "text_dim": 64}
    return Architecture(
        name="wan",
        about=f"Wan 2.1 14B t2v, 832x480, 81 frames, {_WAN_CUT}, bf16",
        config_class="WAN21_T2V",
        config=WAN_CONFIG | (small if tiny else {}),
        dtype=torch.bfloat16,
        latent=(1, 16, 3, 16, 16) if tiny else (1, 16, 21, 60, 104),
        context=(16, 64) if tiny else (512, 4096),
    )


def wan720(tiny: bool) -> Architecture:
    """The same at 1280 x 720: 75600 tokens of self attention."""
    return dataclasses.replace(
        wan(tiny),
        name="wan720",
        about=f"Wan 2.1 14B t2v, 1280x720, 81 frames, {_WAN_CUT}, bf16",
        latent=(1, 16, 3, 20, 20) if tiny else (1, 16, 21, 90, 160),
    )


def qwen(tiny: bool) -> Architecture:
    """Qwen-Image, 1328 x 1328: 6889 image and 256 text tokens in one sequence of 7145, cfg as two items."""
    small = {"num_layers": 1, "num_attention_heads": 2, "joint_attention_dim": 64}
    return Architecture(
        name="qwen",
        about="Qwen-Image, 1328x1328, 8 of 60 layers, cfg 4 (batch 2), bf16",
        config_class="QwenImage",
        config=QWEN_CONFIG | (small if tiny else {}),
        dtype=torch.bfloat16,
        latent=(1, 16, 1, 16, 16) if tiny else (1, 16, 1, 166, 166),
        context=(16, 64) if tiny else (256, 3584),
        cfg=4.0,
    )


def flux(tiny: bool) -> Architecture:
    """Flux.1 dev, 1024 x 1024: 512 text and 4096 image tokens in one sequence of 4608."""
    small = {"hidden_size": 256, "num_heads": 2, "depth": 1, "depth_single_blocks": 2, "context_in_dim": 64}
    return Architecture(
        name="flux",
        about=f"Flux.1 dev, 1024x1024, {_FLUX_CUT}, bf16",
        config_class="Flux",
        config=FLUX_CONFIG | (small if tiny else {}),
        dtype=torch.bfloat16,
        latent=(1, 16, 16, 16) if tiny else (1, 16, 128, 128),
        context=(16, 64) if tiny else (512, 4096),
        conditioning={"guidance": 3.5},
        pooled=768,
    )


def whole(of: Callable[[bool], Architecture], cut: str, **layers: int) -> Callable[[bool], Architecture]:
    """The same model with all its layers.

    Args:
        of: The model that is cut.
        cut: The words about that in its description.
        layers: The keys of its config that say how many there are.
    """

    def made(tiny: bool) -> Architecture:
        one = of(tiny)
        about = one.about.replace(cut, "whole")
        config = one.config if tiny else one.config | layers
        return dataclasses.replace(one, name=f"{one.name}-whole", about=about, config=config)

    return made


def in_fp16(of: Callable[[bool], Architecture]) -> Callable[[bool], Architecture]:
    """The same model with fp16 weights, where FP16 accumulation has something to do."""

    def made(tiny: bool) -> Architecture:
        one = of(tiny)
        about = one.about.replace("bf16", "fp16")
        return dataclasses.replace(one, name=f"{one.name}-fp16", about=about, dtype=torch.float16)

    return made


def sdxl(tiny: bool) -> Architecture:
    """SDXL base, 1024 x 1024, batch 2: 4096 and 1024 tokens of self attention, 77 of cross attention."""
    small = {
        "model_channels": 64,
        "transformer_depth": [0, 0, 1, 1, 1, 1],
        "transformer_depth_middle": 1,
        "transformer_depth_output": [0, 0, 0, 1, 1, 1, 1, 1, 1],
        "context_dim": 64,
    }
    return Architecture(
        name="sdxl",
        about="SDXL base, 1024x1024, whole UNet, cfg 7 (batch 2), fp16",
        config_class="SDXL",
        config=SDXL_CONFIG | (small if tiny else {}),
        dtype=torch.float16,
        latent=(1, 4, 16, 16) if tiny else (1, 4, 128, 128),
        context=(77, 64) if tiny else (77, 2048),
        conditioning={"width": 1024, "height": 1024},
        pooled=1280,
        cfg=7.0,
    )


ARCHITECTURES: dict[str, Callable[[bool], Architecture]] = {
    "wan": wan,
    "wan720": wan720,
    "flux": flux,
    "qwen": qwen,
    "sdxl": sdxl,
    "wan-fp16": in_fp16(wan),
    "flux-fp16": in_fp16(flux),
    "flux-whole": whole(flux, _FLUX_CUT, depth=19, depth_single_blocks=38),
    "wan-whole": whole(wan, _WAN_CUT, num_layers=40),
}


def unet_config(architecture: Architecture) -> dict[str, Any]:
    """The configuration without the keys that this host does not know yet (Flux takes its keys strictly)."""
    if architecture.config_class != "Flux":
        return dict(architecture.config)
    known = {field.name for field in dataclasses.fields(comfy.ldm.flux.model.FluxParams)} | {"image_model"}
    return {key: value for key, value in architecture.config.items() if key in known}


@torch.no_grad()
def fill_weights(module: torch.nn.Module, seed: int) -> None:
    """Draw every matrix as N(0, 1/fan_in), set norms to 1 and biases to 0.

    Activations then keep their scale through the layers, and the normalised q and k give attention logits of
    about unit variance: neither one-hot nor constant.
    """
    generators: dict[torch.device, torch.Generator] = {}
    for name, parameter in module.named_parameters():
        if parameter.ndim < 2:
            parameter.fill_(0.0 if name.endswith("bias") else 1.0)
            continue
        generator = generators.get(parameter.device)
        if generator is None:
            generator = torch.Generator(device=parameter.device).manual_seed(seed)
            generators[parameter.device] = generator
        fan_in = parameter.numel() // parameter.shape[0]
        parameter.normal_(0.0, fan_in**-0.5, generator=generator)


def build(architecture: Architecture, device: torch.device, seed: int) -> comfy.model_patcher.ModelPatcher:
    """The MODEL that a loader node would hand out, its weights drawn on the device itself.

    The offload device is the device too: going from one clone to the next must not move the weights.
    """
    model_config = getattr(comfy.supported_models, architecture.config_class)(unet_config(architecture))
    manual_cast = comfy.model_management.unet_manual_cast(
        architecture.dtype, device, model_config.supported_inference_dtypes
    )
    model_config.set_inference_dtype(architecture.dtype, manual_cast)
    model = model_config.get_model({}, "", device=device)
    fill_weights(model.diffusion_model, seed)
    model.to(device)
    return comfy.model_patcher.ModelPatcher(model, load_device=device, offload_device=device)


def conditioning(architecture: Architecture, seed: int) -> list[list[Any]]:
    """One CONDITIONING of random text features, as the host's text encoders return it."""
    generator = torch.Generator().manual_seed(seed)
    values = dict(architecture.conditioning)
    if architecture.pooled:
        values["pooled_output"] = torch.randn(1, architecture.pooled, generator=generator)
    return [[torch.randn(1, *architecture.context, generator=generator), values]]
