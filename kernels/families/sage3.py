"""SageAttention 3: FP4 attention for Blackwell."""

from collections.abc import Callable
from functools import partial

from ...machine import Distribution, Installed, Module, missing
from ..backend import Backend, Kernel
from ..family import Family, InComfyUI
from ..gpus import RTX_50, SPARK
from ..tensors import Mask, Scale, Tensor


def _load(per_block_mean: bool) -> Callable[[], Kernel]:
    def load() -> Kernel:
        from sageattn3 import sageattn3_blackwell

        def attend(q: Tensor, k: Tensor, v: Tensor, *, mask: Mask = None, scale: Scale = None) -> Tensor:
            # Smoothed into a new tensor first: the package subtracts the mean from the caller's own k.
            smooth_k = k - k.mean(dim=-2, keepdim=True)
            return sageattn3_blackwell(q, smooth_k, v, is_causal=False, per_block_mean=per_block_mean)

        return Kernel(attend)

    return load


def _declare(packages: Installed) -> tuple[Backend, ...]:
    """With one mean of q per block of 128 rows, and with one per head."""
    backend = partial(
        Backend,
        shown_as="Sage 3",
        machine=missing(packages, "sageattn3", "triton|triton-windows"),
        # The authors' own figure, cosine similarity 0.9955, is a relative error of 0.095
        # (SageAttention3, arXiv 2505.11594, table of attention accuracy). Not measured here.
        tolerance=0.10,
        # A B200 (10.0) is refused by the package itself (thu-ml/SageAttention#346).
        capabilities=RTX_50 | SPARK,
        head_dims=frozenset({64, 128}),
        gqa=False,
        # api.py fixes the scale at head_dim ** -0.5 and takes no argument for it.
        any_scale=False,
    )
    return (
        backend(
            name="sage3-fp4-block-mean",
            title="SageAttention 3: FP4, mean of q per block",
            load=_load(per_block_mean=True),
            also_called=("sageattn3_per_block_mean",),
        ),
        backend(
            name="sage3-fp4",
            title="SageAttention 3: FP4, one mean of q",
            load=_load(per_block_mean=False),
            also_called=("sageattn3",),
        ),
    )


_SIGN = "sageattn3_blackwell"
FAMILY = Family(
    _declare,
    distributions=(
        Distribution(
            "sageattn3", Module("sageattn3", _SIGN.encode(), files=("fp4attn_cuda", "fp4quant_cuda"))
        ),
    ),
    in_comfyui=(InComfyUI("sageattn3", ("sageattn3",), (_SIGN,)),),
)
