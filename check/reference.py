"""Attention as it is defined, in float32: what every kernel is compared with."""

from ..kernels.tensors import Mask, Scale, Tensor

# Scores held at once, in elements: 64 Mi of float32 are 256 MiB.
_SCORES = 2**26


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Mask = None, scale: Scale = None) -> Tensor:
    """softmax(q @ k.T * scale + mask) @ v in float32.

    On CUDA the caller turns TF32 off first (``torch.backends.cuda.matmul.allow_tf32``): it keeps 10 bits
    of the mantissa, fewer than the float16 kernels that are checked.

    Args:
        q: (batch, heads, q_len, head_dim), any floating dtype.
        k: (batch, kv_heads, kv_len, head_dim); kv_heads divides heads.
        v: As k.
        mask: Broadcastable to (batch, heads, q_len, kv_len): bool (True = attend) or added to the scores.
        scale: Factor on the scores; None is head_dim ** -0.5.

    Returns:
        (batch, heads, q_len, head_dim), float32.
    """
    import torch

    batch, heads, q_len, head_dim = q.shape
    repeats = heads // k.shape[1]
    k, v = k.float(), v.float()
    if repeats > 1:
        k, v = (tensor.repeat_interleave(repeats, dim=1) for tensor in (k, v))
    scale = head_dim**-0.5 if scale is None else scale
    out = torch.empty(batch, heads, q_len, head_dim, device=q.device, dtype=torch.float32)
    rows = max(1, _SCORES // max(1, batch * heads * k.shape[2]))
    for start in range(0, q_len, rows):
        part = slice(start, start + rows)
        scores = q[:, :, part].float() @ k.transpose(-1, -2) * scale
        if mask is not None:
            block = mask[:, :, part] if mask.shape[2] > 1 else mask
            scores = (
                scores.masked_fill(~block, float("-inf")) if block.dtype == torch.bool else scores + block
            )
        out[:, :, part] = scores.softmax(dim=-1) @ v
    return out


def relative_error(out: Tensor, right: Tensor) -> float:
    """norm(out - right) / norm(right) over all elements (NRMSE), in float32; NaN where out is not finite."""
    right = right.float()
    return float((out.float() - right).norm() / right.norm().clamp(min=1e-30))
