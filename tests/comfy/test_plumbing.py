"""Our override with a kernel of plain float32 maths, against the host's own attention_pytorch.

Every way in which a model may put its call: both reshape flags, every form of mask, scale, GQA, lengths on
both sides of the usual block sizes, head dims that kernels pad, all three dtypes.
"""

import itertools

import pytest
import torch
from sagekit.kernels_check.reference import relative_error
from support import fake_kernels

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


def tensors(q_len, kv_len, head_dim, dtype, skip_reshape, kv_heads=HEADS, seed=0):
    """q, k, v as a model hands them over: views of wider tensors, never contiguous."""
    generator = torch.Generator().manual_seed(seed)

    def one(length, heads):
        wide = torch.randn(BATCH, length, heads, head_dim + 3, generator=generator).to(dtype)
        part = wide[..., :head_dim]
        return part.transpose(1, 2) if skip_reshape else part.flatten(2)

    return one(q_len, HEADS), one(kv_len, kv_heads), one(kv_len, kv_heads)


def mask_of(kind, q_len, kv_len, dtype):
    if MASKS[kind] is None:
        return None
    mask_dtype, shape = MASKS[kind]
    noise = torch.randn(shape(q_len, kv_len), generator=torch.Generator().manual_seed(1))
    if mask_dtype is torch.bool:
        mask = noise > 0
        mask[..., 0] = True  # No row without a key: there kernels may differ.
        return mask
    return (noise * 4).to(dtype)


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("head_dim", HEAD_DIMS)
def test_every_form_of_call_gives_what_the_host_gives(attention, patched, head_dim, dtype):
    model = patched()
    forms = itertools.product((False, True), (False, True), MASKS, (None, 0.3), (False, True))
    shift = HEAD_DIMS.index(head_dim) + 4 * list(TOLERANCES).index(dtype)
    calls = 0
    for number, (skip_reshape, skip_output_reshape, mask_kind, scale, gqa) in enumerate(forms):
        q_len, kv_len = LENGTH_PAIRS[(number + shift) % len(LENGTH_PAIRS)]
        if (gqa or scale) and not knows_gqa(attention):
            continue
        q, k, v = tensors(q_len, kv_len, head_dim, dtype, skip_reshape, HEADS // 2 if gqa else HEADS)
        given = {"skip_reshape": skip_reshape, "skip_output_reshape": skip_output_reshape}
        given |= {"mask": mask_of(mask_kind, q_len, kv_len, dtype)}
        given |= {"enable_gqa": True} if gqa else {}
        given |= {"scale": scale} if scale else {}
        before = [tensor.clone() for tensor in (q, k, v)]
        out = attention.attention_pytorch(q, k, v, HEADS, transformer_options=model.options, **given)
        right = attention.attention_pytorch(q, k, v, HEADS, **given)
        calls += 1
        where = f"{given}, q {tuple(q.shape)}, k {tuple(k.shape)}"
        assert out.shape == right.shape and out.dtype == right.dtype, where
        assert relative_error(out, right) < TOLERANCES[dtype], where
        assert all(torch.equal(*pair) for pair in zip(before, (q, k, v), strict=True)), where
    assert model.run().kernels() == {"fake": calls}


CONTROL = {"mask_kind": "none", "scale": None, "lengths": (17, 77)}


@pytest.mark.parametrize(
    ("wrong", "case"),
    [
        (fake_kernels.drops_the_mask, CONTROL | {"mask_kind": "bool keys"}),
        (fake_kernels.drops_the_mask, CONTROL | {"mask_kind": "additive 2-D"}),
        (fake_kernels.drops_the_scale, CONTROL | {"scale": 0.3}),
        (fake_kernels.swaps_the_layout, CONTROL),
        (fake_kernels.shifts_the_rows, CONTROL),
    ],
)
def test_the_comparison_catches_a_wrong_kernel(attention, patched, wrong, case):
    if case["scale"] and not knows_gqa(attention):
        pytest.skip("this ComfyUI passes no scale")
    model = patched(wrong)
    q_len, kv_len = case["lengths"]
    q, k, v = tensors(q_len, kv_len, 64, torch.bfloat16, False)
    given = {"mask": mask_of(case["mask_kind"], q_len, kv_len, torch.bfloat16)}
    given |= {"scale": case["scale"]} if case["scale"] else {}
    out = attention.attention_pytorch(q, k, v, HEADS, transformer_options=model.options, **given)
    assert relative_error(out, attention.attention_pytorch(q, k, v, HEADS, **given)) > 0.2
