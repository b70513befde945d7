"""Comfy Kitchen's INT8 attention, which ComfyUI installs itself since 0.31."""

from ...machine import Distribution, Installed, Module, missing
from ..backend import CUDA_GRID_YZ, Backend, Kernel
from ..call import ADDITIVE_MASK, BOOL_MASK
from ..family import Family, InComfyUI
from ..gpus import B300, SINCE_TURING
from ..tensors import Mask, Scale, Tensor


def _load() -> Kernel:
    import comfy_kitchen

    attention = comfy_kitchen.int8_attention
    prequantize = getattr(comfy_kitchen, "prequantize_int8_attention", None)

    def attend(q: Tensor, k: Tensor, v: Tensor, *, mask: Mask = None, scale: Scale = None) -> Tensor:
        return attention(q, k, v, scale=scale, attn_mask=mask)

    if prequantize is None:
        return Kernel(attend)

    def attend_owned(tensors: list[Tensor], *, mask: Mask = None, scale: Scale = None) -> Tensor:
        packed = prequantize(*tensors, scale=scale, attn_mask=mask)
        tensors.clear()
        return comfy_kitchen.int8_attention_from_prequantized(packed)

    return Kernel(attend, attend_owned)


def _declare(packages: Installed) -> tuple[Backend, ...]:
    """INT8 for Q, K, P and V, with Hadamard rotation before quantising."""
    return (
        Backend(
            name="kitchen-int8",
            shown_as="Kitchen",
            title="Comfy Kitchen: INT8 QK, INT8 PV",
            load=_load,
            machine=missing(packages, "comfy-kitchen"),
            # Measured 0.022 (H200, 0.2.31, torch 2.11.0+cu130, 2026-11-24).
            tolerance=0.03,
            capabilities=SINCE_TURING | B300,
            # It takes float32 too, and answers it in bfloat16's precision (sage_attention.py,
            # output_dtype): that is a cast nobody asked for.
            head_dims=range(1, 257),
            masks=frozenset({BOOL_MASK, ADDITIVE_MASK}),
            # Raises at 70,000: batch and heads share one dimension of the launch grid.
            max_batch_heads=CUDA_GRID_YZ,
        ),
    )


FAMILY = Family(
    _declare,
    distributions=(Distribution("comfy-kitchen", Module("comfy_kitchen", b"int8_attention")),),
    # A package that ComfyUI itself requires: without it there is no start to save.
    in_comfyui=(InComfyUI("comfy-kitchen", flag="use_ck_attention"),),
)
