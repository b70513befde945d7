"""The grid of calls that a model may make of the host's attention, and the tensors for them."""

import itertools
from collections.abc import Iterator

import torch

BATCH, HEADS = 2, 4
LENGTHS = (1, 4, 17, 63, 64, 65, 77, 127, 128, 129, 1000)
# Every length as q with three others as k. Each form of call meets another pair with every head dim and
# dtype, so that all pairs come round; the full product would take the better part of an hour.
LENGTH_PAIRS = [
    (q, LENGTHS[(at + step) % len(LENGTHS)]) for step in (0, 4, 7) for at, q in enumerate(LENGTHS)
]
HEAD_DIMS = (8, 40, 64, 72, 80, 96, 112, 128, 160, 256)
# Relative L2 distance of two right answers: the rounding of each dtype, several times over.
TOLERANCES = {torch.float32: 2e-5, torch.float16: 2e-3, torch.bfloat16: 1.6e-2}
MASKS = {
    "none": None,
    "bool 2-D": (torch.bool, lambda q, k: (q, k)),
    "bool 3-D": (torch.bool, lambda q, k: (BATCH, q, k)),
    "bool 4-D": (torch.bool, lambda q, k: (BATCH, HEADS, q, k)),
    "bool keys": (torch.bool, lambda q, k: (BATCH, 1, 1, k)),
    "additive 2-D": (None, lambda q, k: (q, k)),
    "additive 3-D": (None, lambda q, k: (1, q, k)),
    "additive 4-D": (None, lambda q, k: (BATCH, 1, q, k)),
    "additive keys": (None, lambda q, k: (1, 1, 1, k)),
}


def knows_gqa(attention) -> bool:
    """Hosts from 0.20.1 on take enable_gqa and scale."""
    return hasattr(attention, "_reshape_qkv_to_heads")


def tensors(q_len, kv_len, head_dim, dtype, skip_reshape, kv_heads=HEADS, seed=0, device="cpu"):
    """q, k, v as a model hands them over: views of wider tensors, never contiguous."""
    generator = torch.Generator(device).manual_seed(seed)

    def one(length, heads):
        shape = (BATCH, length, heads, head_dim + 8)
        part = torch.randn(shape, generator=generator, device=device).to(dtype)[..., :head_dim]
        return part.transpose(1, 2) if skip_reshape else part.flatten(2)

    return one(q_len, HEADS), one(kv_len, kv_heads), one(kv_len, kv_heads)


def mask_of(kind, q_len, kv_len, dtype, device="cpu"):
    if MASKS[kind] is None:
        return None
    mask_dtype, shape = MASKS[kind]
    generator = torch.Generator(device).manual_seed(1)
    noise = torch.randn(shape(q_len, kv_len), generator=generator, device=device)
    if mask_dtype is torch.bool:
        mask = noise > 0
        mask[..., 0] = True  # No row without a key: there kernels may differ.
        return mask
    return (noise * 4).to(dtype)


def calls(attention, head_dim: int, dtype: torch.dtype, device: str = "cpu") -> Iterator[tuple[tuple, dict]]:
    """(q, k, v) and keywords of one call for every form that a call may have in this ComfyUI."""
    forms = itertools.product((False, True), (False, True), MASKS, (None, 0.3), (False, True))
    shift = HEAD_DIMS.index(head_dim) + 4 * list(TOLERANCES).index(dtype)
    for number, (skip_reshape, skip_output_reshape, mask_kind, scale, gqa) in enumerate(forms):
        q_len, kv_len = LENGTH_PAIRS[(number + shift) % len(LENGTH_PAIRS)]
        if (gqa or scale) and not knows_gqa(attention):
            continue
        qkv = tensors(
            q_len, kv_len, head_dim, dtype, skip_reshape, HEADS // 2 if gqa else HEADS, device=device
        )
        given = {"skip_reshape": skip_reshape, "skip_output_reshape": skip_output_reshape}
        given |= {"mask": mask_of(mask_kind, q_len, kv_len, dtype, device)}
        given |= {"enable_gqa": True} if gqa else {}
        given |= {"scale": scale} if scale else {}
        yield qkv, given
