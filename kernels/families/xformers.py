"""xformers' memory-efficient attention, whichever of its kernels it picks: exact, 16-bit."""

from ...machine import Installed, missing
from ..backend import Backend, Kernel


def _load() -> Kernel:
    from xformers.ops import memory_efficient_attention_forward

    def attend(q, k, v, *, mask=None, scale=None):
        # Its layout is (batch, length, heads, head_dim).
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        return memory_efficient_attention_forward(q, k, v, scale=scale).transpose(1, 2)

    return Kernel(attend)


def declare(packages: Installed) -> tuple[Backend, ...]:
    """One entry: which kernel runs inside is xformers' own choice."""
    return (
        Backend(
            name="xformers",
            title="xformers memory-efficient attention, exact",
            load=_load,
            machine=missing(packages, "xformers"),
            exact=True,
            tolerance=0.01,
            capabilities=frozenset(
                {(7, 5), (8, 0), (8, 6), (8, 7), (8, 9), (9, 0), (10, 0), (12, 0), (12, 1)}
            ),
            head_dims=range(8, 257, 8),
            head_dims_text="a multiple of 8 up to 256",
            gqa=False,
            # Its CUTLASS kernel puts batch and heads in 16-bit grid dimensions.
            max_batch_heads=65535,
        ),
    )
