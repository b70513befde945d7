"""The package sageattention: generations 1 and 2 come under one name. And what ComfyUI does with it."""

from ...machine import Distribution, Module
from ..backend import Kernel
from ..family import InComfyUI
from ..tensors import Mask, Scale, Tensor

SAGEATTENTION = Distribution(
    "sageattention",
    Module("sageattention", b"sageattn"),
    # Upstream stops at 128, the woct0rdho fork at 256 since its post5, both under version 2.2.0: only the
    # code that pads tells them apart.
    head_dim_limit=("sageattention/core.py", r"head_dim_og > (\d+):\s*raise ValueError"),
    usual_modules=((2, frozenset({"_qattn_sm80", "_qattn_sm89", "_qattn_sm90", "_fused"})),),
)


def _load() -> Kernel:
    from sageattention import sageattn

    def attend(q: Tensor, k: Tensor, v: Tensor, *, mask: Mask = None, scale: Scale = None) -> Tensor:
        # Version 1 subtracts the mean from the caller's k unless told not to, as ComfyUI does.
        return sageattn(q, k, v, tensor_layout="HND", is_causal=False, sm_scale=scale, smooth_k=False)

    return Kernel(attend)


IN_COMFYUI = InComfyUI(
    "sageattention",
    ("sageattention",),
    ("sageattn",),
    reads_signature=True,
    flag="use_sage_attention",
    load=_load,
)
