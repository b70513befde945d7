"""Tiny models of ComfyUI's architectures with random weights, built through the host's own model classes.

Imported only where ComfyUI is importable.
"""

from dataclasses import dataclass, field

import torch

TEXT = 64
POOLED = 64
# Heads of 128 as in the real models, which the sizes of their rotary embeddings add up to.
_FLUX = {
    "in_channels": 16,
    "out_channels": 16,
    "context_in_dim": TEXT,
    "hidden_size": 256,
    "mlp_ratio": 4.0,
    "num_heads": 2,
    "depth": 2,
    "depth_single_blocks": 3,
    "axes_dim": [16, 56, 56],
    "patch_size": 2,
    "qkv_bias": True,
}


@dataclass(frozen=True)
class Architecture:
    """What to build and what to sample with it.

    Attributes:
        config_class: A class of comfy.supported_models.
        config: Its unet_config, without the dtype.
        latent: (1, channels, [frames,] height, width).
        blocks: Number of blocks of each class that are to be compiled.
        kinds: How many different graphs those need at the least.
        text: Width of the text conditioning.
        pooled: Width of the pooled text vector; 0 for none.
        masked: The text comes with a mask.
        conditioning: What else goes with it.
        later: Keys of the config that ComfyUI 0.3.64 does not know.
    """

    config_class: str
    config: dict
    latent: tuple[int, ...]
    blocks: dict[str, int]
    kinds: int
    text: int = TEXT
    pooled: int = 0
    masked: bool = False
    conditioning: dict = field(default_factory=dict)
    later: tuple[str, ...] = ()


ARCHITECTURES = {
    "sdxl": Architecture(
        "SDXL",
        {
            "image_size": 32,
            "in_channels": 4,
            "out_channels": 4,
            "model_channels": 64,
            "num_res_blocks": [2, 2, 2],
            "channel_mult": [1, 2, 4],
            "transformer_depth": [0, 0, 2, 2, 3, 3],
            "transformer_depth_middle": 3,
            "transformer_depth_output": [0, 0, 0, 2, 2, 2, 3, 3, 3],
            "context_dim": TEXT,
            "num_head_channels": 32,
            "use_linear_in_transformer": True,
            "use_spatial_transformer": True,
            "legacy": False,
            "adm_in_channels": 2816,
            "num_classes": "sequential",
            "use_temporal_attention": False,
        },
        (1, 4, 16, 16),
        {"BasicTransformerBlock": 28},
        kinds=2,
        pooled=1280,
    ),
    "flux": Architecture(
        "Flux",
        {
            "image_model": "flux",
            **_FLUX,
            "vec_in_dim": POOLED,
            "theta": 10000,
            "guidance_embed": True,
            "txt_ids_dims": [],
        },
        (1, 16, 16, 16),
        {"DoubleStreamBlock": 2, "SingleStreamBlock": 3},
        kinds=2,
        pooled=POOLED,
        conditioning={"guidance": 3.5},
        later=("txt_ids_dims",),
    ),
    "chroma": Architecture(
        "Chroma",
        {
            "image_model": "chroma",
            **_FLUX,
            "in_channels": 64,
            "out_channels": 64,
            "theta": 10000,
            "in_dim": 64,
            "out_dim": 256,
            "hidden_dim": 256,
            "n_layers": 2,
            "txt_ids_dims": [],
            "vec_in_dim": None,
        },
        (1, 16, 16, 16),
        # The embedders that make the modulations are 3 % of the real model.
        {"DoubleStreamBlock": 2, "SingleStreamBlock": 3, "MLPEmbedder": 2},
        kinds=3,
        pooled=POOLED,
        conditioning={"guidance": 0.0},
        later=("txt_ids_dims", "vec_in_dim"),
    ),
    "hunyuan-video": Architecture(
        "HunyuanVideo",
        {
            "image_model": "hunyuan_video",
            **_FLUX,
            "patch_size": [1, 2, 2],
            "vec_in_dim": POOLED,
            "theta": 256,
            "guidance_embed": True,
            "byt5": False,
            "meanflow": False,
            "use_cond_type_embedding": False,
            "vision_in_dim": None,
            "meanflow_sum": False,
        },
        (1, 16, 3, 16, 16),
        {"DoubleStreamBlock": 2, "SingleStreamBlock": 3, "TokenRefinerBlock": 2},
        kinds=3,
        pooled=POOLED,
        masked=True,
        conditioning={"guidance": 3.5},
        later=("use_cond_type_embedding", "vision_in_dim", "meanflow_sum"),
    ),
    "qwen-image": Architecture(
        "QwenImage",
        {
            "image_model": "qwen_image",
            "in_channels": 64,
            "out_channels": 16,
            "num_layers": 3,
            "attention_head_dim": 128,
            "num_attention_heads": 2,
            "joint_attention_dim": TEXT,
            "axes_dims_rope": (16, 56, 56),
            "patch_size": 2,
        },
        (1, 16, 1, 16, 16),
        {"QwenImageTransformerBlock": 3},
        kinds=1,
    ),
    "z-image": Architecture(
        "Lumina2",
        {
            "image_model": "lumina2",
            "patch_size": 2,
            "in_channels": 16,
            "cap_feat_dim": TEXT,
            "dim": 256,
            "n_layers": 3,
            "n_refiner_layers": 2,
            "n_heads": 2,
            "n_kv_heads": 2,
            "qk_norm": True,
            "axes_dims": [32, 48, 48],
            "axes_lens": [300, 512, 512],
            "rope_theta": 10000.0,
            "ffn_dim_multiplier": 4.0,
        },
        (1, 16, 16, 16),
        {"JointTransformerBlock": 7},
        kinds=2,
        masked=True,
        later=("rope_theta",),
    ),
    "ltxv": Architecture(
        "LTXV",
        {
            "image_model": "ltxv",
            "in_channels": 128,
            "cross_attention_dim": 256,
            "attention_head_dim": 64,
            "num_attention_heads": 4,
            "caption_channels": TEXT,
            "num_layers": 3,
        },
        (1, 128, 3, 8, 8),
        {"BasicTransformerBlock": 3},
        kinds=1,
        masked=True,
    ),
    "cosmos-predict2": Architecture(
        "CosmosT2IPredict2",
        {
            "image_model": "cosmos_predict2",
            "max_img_h": 240,
            "max_img_w": 240,
            "max_frames": 128,
            "in_channels": 16,
            "out_channels": 16,
            "patch_spatial": 2,
            "patch_temporal": 1,
            "model_channels": 256,
            "num_blocks": 3,
            "num_heads": 2,
            "crossattn_emb_channels": TEXT,
            "concat_padding_mask": True,
            "pos_emb_cls": "rope3d",
            "pos_emb_learnable": False,
            "pos_emb_interpolation": "crop",
            "use_adaln_lora": True,
            "adaln_lora_dim": 32,
            "rope_h_extrapolation_ratio": 4.0,
            "rope_w_extrapolation_ratio": 4.0,
            "rope_t_extrapolation_ratio": 1.0,
            "extra_per_block_abs_pos_emb": False,
            "rope_enable_fps_modulation": False,
            "min_fps": 1,
            "max_fps": 30,
        },
        (1, 16, 1, 16, 16),
        {"Block": 3},
        kinds=1,
    ),
    "sd3": Architecture(
        "SD3",
        {
            "in_channels": 16,
            "patch_size": 2,
            "depth": 3,
            "input_size": None,
            "adm_in_channels": POOLED,
            "context_embedder_config": {
                "target": "torch.nn.Linear",
                "params": {"in_features": TEXT, "out_features": 192},
            },
            "pos_embed_max_size": 64,
            "pos_embed_scaling_factor": None,
            "qk_norm": "rms",
        },
        (1, 16, 16, 16),
        {"JointBlock": 3},
        kinds=2,
        pooled=POOLED,
    ),
}


def build(one: Architecture, seed: int = 0):
    """A MODEL of the architecture on the CPU, in float32."""
    import comfy.model_patcher
    import comfy.supported_models

    kind = getattr(comfy.supported_models, one.config_class)
    config = {**one.config, "dtype": torch.float32}
    try:
        model = kind(config).get_model({}, "").eval()
    except TypeError:
        config = {name: value for name, value in config.items() if name not in one.later}
        model = kind(config).get_model({}, "").eval()
    fill(model.diffusion_model, seed)
    cpu = torch.device("cpu")
    return comfy.model_patcher.ModelPatcher(model, load_device=cpu, offload_device=cpu)


def fill(network: torch.nn.Module, seed: int) -> None:
    """Random weights, of a size at which what comes out is as large as what goes in."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            values = torch.randn(weight.shape, generator=generator)
            scale = 0.5 / max(1, weight[0].numel()) ** 0.5 if weight.ndim > 1 else 0.1
            weight.copy_(values * scale + ("norm" in name and name.endswith("weight")))


def sample_at(model, one: Architecture, height: int, width: int, tokens: int, steps: int = 1) -> torch.Tensor:
    """The latent of a sampling that is so much higher and wider than the smallest one."""
    import comfy.sample

    generator = torch.Generator().manual_seed(3)
    facts = dict(one.conditioning)
    if one.pooled:
        facts["pooled_output"] = torch.randn(1, one.pooled, generator=generator)
    if one.masked:
        facts["attention_mask"] = torch.ones(1, tokens, dtype=torch.int64)
    text = [[torch.randn(1, tokens, one.text, generator=generator), facts]]
    *others, rows, columns = one.latent
    latent = torch.zeros(*others, rows + height, columns + width)
    noise = comfy.sample.prepare_noise(latent, 1)
    run = (steps, 1.0, "euler", "simple", text, text, latent)
    return comfy.sample.sample(model, noise, *run, disable_pbar=True, seed=1)
