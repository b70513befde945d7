"""The error on a few rows is the error of the whole, and shows what must not be."""

import pytest
import torch
from sagekit.check.reference import attention, relative_error
from sagekit.core.attention import accuracy
from support import fake_kernels

GENERATOR = torch.Generator().manual_seed(3)


def tensors(heads=4, kv_heads=4, q_len=200, kv_len=77, head_dim=16, dtype=torch.bfloat16):
    shapes = ((2, heads, q_len, head_dim), (2, kv_heads, kv_len, head_dim), (2, kv_heads, kv_len, head_dim))
    return [torch.randn(shape, generator=GENERATOR).to(dtype) for shape in shapes]


def noisy(out, share):
    return out + share * out.norm() / out.numel() ** 0.5 * torch.randn(out.shape, generator=GENERATOR)


@pytest.mark.parametrize("share", [0.005, 0.04, 0.3])
@pytest.mark.parametrize("lengths", [(1, 5), (17, 77), (200, 77), (4096, 16)])
def test_it_agrees_with_the_error_of_every_row(share, lengths):
    q, k, v = tensors(q_len=lengths[0], kv_len=lengths[1])
    right = attention(q, k, v)
    out = noisy(right, share)
    whole = relative_error(out, right)
    assert accuracy.error(q, k, v, out) == pytest.approx(whole, rel=0.3)
    parts = sum(accuracy.sample(q, k, v, out, turn=turn) for turn in range(64))
    assert accuracy.relative(*parts.tolist()) == pytest.approx(whole, rel=0.3)


@pytest.mark.parametrize("held", [2**24, 1, 40_000])
@pytest.mark.parametrize("kv_heads", [4, 2, 1])
@pytest.mark.parametrize("mask_shape", [None, (1, 1, 1, 77), (2, 1, 200, 77), (2, 4, 200, 77), (1, 4, 1, 77)])
def test_masks_gqa_and_scale_are_those_of_the_call_however_it_is_cut(monkeypatch, held, kv_heads, mask_shape):
    monkeypatch.setattr(accuracy, "_HELD", held)
    q, k, v = tensors(kv_heads=kv_heads)
    mask = None if mask_shape is None else torch.randn(mask_shape, generator=GENERATOR) > 0
    if mask is not None:
        mask[..., 0] = True
    right = attention(q, k, v, mask, 0.3)
    assert accuracy.error(q, k, v, right, mask, 0.3) < 1e-6
    for turn in range(9):
        assert accuracy.relative(*accuracy.sample(q, k, v, right, mask, 0.3, turn).tolist()) < 1e-6
    assert accuracy.error(q, k, v, right, mask, 0.5) > 0.05
    if mask is not None:
        assert accuracy.error(q, k, v, right, None, 0.3) > 0.05


WRONG = [
    fake_kernels.drops_the_scale,
    fake_kernels.swaps_the_layout,
    fake_kernels.shifts_the_rows,
    fake_kernels.doubles,
]


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_kernel_shows_in_every_sample(wrong):
    q, k, v = tensors()
    out = wrong(q, k, v, scale=0.4)
    assert accuracy.error(q, k, v, out, None, 0.4) > 0.15
    for turn in range(16):
        assert accuracy.relative(*accuracy.sample(q, k, v, out, None, 0.4, turn).tolist()) > 0.1


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_is_within_no_budget(value):
    q, k, v = tensors(q_len=16)
    out = attention(q, k, v)
    out[1, 2, 3, 4] = value
    assert not accuracy.error(q, k, v, out) <= 1e9


def test_a_row_that_may_look_at_no_key_is_not_counted():
    q, k, v = tensors()
    mask = torch.ones(1, 1, 200, 77, dtype=torch.bool)
    mask[:, :, 6] = False
    right = attention(q, k, v, mask)
    assert right.isnan().any()
    assert accuracy.error(q, k, v, right.nan_to_num(123.0), mask) < 1e-6
