"""How far a kernel's answer is from float32 attention, on a few of its query rows.

TF32, where a user has it on, changes nothing here: 16-bit inputs fit into its 10 bits of mantissa.
"""

import math

import torch
from torch import Tensor

from ...check.reference import attention

ROWS = 32
SAMPLED_ROWS = 16
# Elements of k and of the scores that are held in float32 at once: 64 MiB each.
_HELD = 2**24


def error(
    q: Tensor, k: Tensor, v: Tensor, out: Tensor, mask: Tensor | None = None, scale: float | None = None
) -> float:
    """Relative L2 error on at least ROWS rows of every head, or all there are. Waits for the GPU once.

    Args:
        q: (batch, heads, q_len, head_dim), as the kernel got it.
        k: (batch, kv_heads, kv_len, head_dim).
        v: As k.
        out: What the kernel answered, as q.
        mask: Broadcastable to (batch, heads, q_len, kv_len), or None.
        scale: As the kernel got it.
    """
    rows = slice(None, None, max(1, q.shape[2] // ROWS))
    kv_heads, kv_len, head_dim = k.shape[1:]
    group = q.shape[1] // kv_heads
    at_once = max(1, _HELD // (kv_len * max(head_dim, 2 * ROWS * group)))
    sums = []
    for item in range(q.shape[0]):
        for first in range(0, kv_heads, at_once):
            sums.append(_squares(q, k, v, out, mask, scale, item, slice(first, first + at_once), rows))
    return relative(*torch.stack(sums).sum(0).tolist())


def sample(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    mask: Tensor | None = None,
    scale: float | None = None,
    turn: int = 0,
) -> Tensor:
    """The same for one head and a few rows, others each turn; nothing waits for the GPU.

    Returns:
        A float32 tensor of two, for ``relative``: the sums of squares of the error and of the right answer.
    """
    step = max(1, q.shape[2] // SAMPLED_ROWS)
    item, head = turn % q.shape[0], (turn // q.shape[0]) % k.shape[1]
    return _squares(q, k, v, out, mask, scale, item, slice(head, head + 1), slice(turn % step, None, step))


def relative(off: float, size: float) -> float:
    """The relative L2 error from the two sums of squares; NaN where the answer had NaN."""
    if size > 0:
        return math.sqrt(off / size)
    return 0.0 if off == 0 else float("nan") if off != off else float("inf")


def _squares(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    mask: Tensor | None,
    scale: float | None,
    item: int,
    kv_heads: slice,
    rows: slice,
) -> Tensor:
    """Of some rows of the heads that belong to some kv heads, in one item of the batch."""
    group = q.shape[1] // k.shape[1]
    heads = slice(kv_heads.start * group, kv_heads.stop * group)
    one = slice(item, item + 1)
    if mask is not None:
        mask = mask[one] if mask.shape[0] > 1 else mask
        mask = mask[:, heads] if mask.shape[1] > 1 else mask
        mask = mask[:, :, rows] if mask.shape[2] > 1 else mask
    right = attention(q[one, heads, rows], k[one, kv_heads], v[one, kv_heads], mask, scale)
    # A row that may look at no key has no right answer.
    known = right.isfinite()
    off = torch.where(known, out[one, heads, rows].float() - right, 0.0)
    return torch.stack((off.square().sum(), torch.where(known, right, 0.0).square().sum()))
