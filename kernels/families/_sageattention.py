"""The package sageattention: generations 1 and 2 come under one name. And what ComfyUI does with it."""

from typing import TYPE_CHECKING

from ...machine import Distribution, InSource, Module
from ..backend import Kernel
from ..family import InComfyUI

if TYPE_CHECKING:
    from torch import Tensor

SAGEATTENTION = Distribution(
    "sageattention",
    Module("sageattention", b"sageattn"),
    # Upstream stops at 128, the woct0rdho fork at 256 since its post5, both under version 2.2.0: only the
    # code that pads tells them apart.
    head_dim_limit=InSource("sageattention/core.py", r"head_dim_og > (\d+):\s*raise ValueError"),
    usual_modules=((2, frozenset({"_qattn_sm80", "_qattn_sm89", "_qattn_sm90", "_fused"})),),
)


def _load() -> Kernel:
    from sageattention import sageattn

    def attend(
        q: "Tensor", k: "Tensor", v: "Tensor", *, mask: "Tensor | None" = None, scale: float | None = None
    ) -> "Tensor":
        # Version 1 subtracts the mean from the caller's k unless told not to, as ComfyUI does.
        out: Tensor = sageattn(q, k, v, tensor_layout="HND", is_causal=False, sm_scale=scale, smooth_k=False)
        return out

    return Kernel(attend)


IN_COMFYUI = InComfyUI(
    "sageattention", ("sageattention",), ("sageattn",), flag="use_sage_attention", load=_load
)
