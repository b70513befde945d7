"""Keeps v inside float16's range for kernels that compute P @ V in float16."""

from ..tensors import Tensor

# Half of float16's 65,504: bfloat16 has no value between 65,280 and 65,536, and rounds up to one that a
# cast turns into Inf.
CAST = 65504.0 / 2
# For kernels that add up a block of 64 keys in float16, each with a weight of at most 1.
ACCUMULATED = CAST / 64


def within(v: Tensor, limit: float) -> tuple[Tensor, Tensor | None]:
    """v with no magnitude above limit, in its own dtype, and the factor that undoes it.

    bfloat16 reaches 3e38 and float16 65,504: a kernel's own cast turns what lies between into Inf, and
    the picture black. Attention is linear in v, so v / factor gives output / factor. No device sync.

    Args:
        v: (batch, heads, length, head_dim) or (batch, length, heads, head_dim), float16 or bfloat16.
        limit: Largest magnitude that the kernel can hold: CAST or ACCUMULATED.

    Returns:
        v itself and None where its dtype cannot pass the limit, else v / factor and factor (0-d, >= 1).
    """
    import torch

    if v.dtype == torch.float16 and limit >= CAST:
        return v, None
    low, high = torch.aminmax(v)
    factor = (torch.maximum(-low, high).float() / limit).clamp(min=1.0)
    return v / factor.to(v.dtype), factor


def undo(out: Tensor, factor: Tensor | None) -> Tensor:
    """The output for the v that ``within`` was given; in place, since the kernel has just made it."""
    return out if factor is None else out.mul_(factor.to(out.dtype))
