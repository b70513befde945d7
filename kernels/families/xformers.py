"""xformers' memory-efficient attention, whichever of its kernels it picks: exact, 16-bit."""

from ...machine import Distribution, Installed, Module, missing
from ..backend import Backend, Kernel
from ..family import Family, InComfyUI
from ..gpus import SINCE_TURING
from ..kinds import EXACT
from ..tensors import Mask, Scale, Tensor


def _load() -> Kernel:
    from xformers.ops import memory_efficient_attention_forward

    def attend(q: Tensor, k: Tensor, v: Tensor, *, mask: Mask = None, scale: Scale = None) -> Tensor:
        # Its layout is (batch, length, heads, head_dim).
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        return memory_efficient_attention_forward(q, k, v, scale=scale).transpose(1, 2)

    return Kernel(attend)


def _declare(packages: Installed) -> tuple[Backend, ...]:
    """One entry: which kernel runs inside is xformers' own choice."""
    return (
        Backend(
            name="xformers",
            shown_as="xFormers",
            title="xformers memory-efficient attention, exact",
            load=_load,
            machine=missing(packages, "xformers"),
            kind=EXACT,
            tolerance=0.01,
            capabilities=SINCE_TURING,
            head_dims=range(8, 257, 8),
            gqa=False,
            # Its CUTLASS kernel puts batch and heads in 16-bit grid dimensions.
            max_batch_heads=65535,
        ),
    )


FAMILY = Family(
    _declare,
    distributions=(
        Distribution("xformers", Module("xformers", b"memory_efficient_attention", within="ops/__init__")),
    ),
    in_comfyui=(InComfyUI("xformers", ("xformers", "xformers.ops"), without="disable_xformers"),),
)
