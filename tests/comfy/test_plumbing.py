"""Our override with a kernel of plain float32 maths, against the host's own attention_pytorch.

Every way in which a model may put its call: both reshape flags, every form of mask, scale, GQA, lengths on
both sides of the usual block sizes, head dims that kernels pad, all three dtypes.
"""

import pytest
import torch
from sagekit.check.reference import relative_error
from sagekit.core.attention.settings import Settings
from support import fake_kernels
from support.plumbing import HEAD_DIMS, HEADS, TOLERANCES, calls, knows_gqa, mask_of, tensors


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("head_dim", HEAD_DIMS)
def test_every_form_of_call_gives_what_the_host_gives(attention, patched, head_dim, dtype):
    model = patched()
    made = 0
    for qkv, given in calls(attention, head_dim, dtype):
        before = [tensor.clone() for tensor in qkv]
        out = attention.attention_pytorch(*qkv, HEADS, transformer_options=model.options, **given)
        right = attention.attention_pytorch(*qkv, HEADS, **given)
        made += 1
        where = f"{given}, q {tuple(qkv[0].shape)}, k {tuple(qkv[1].shape)}"
        assert out.shape == right.shape and out.dtype == right.dtype, where
        assert relative_error(out, right) < TOLERANCES[dtype], where
        assert all(torch.equal(*pair) for pair in zip(before, qkv, strict=True)), where
    assert model.run().kernels() == {"fake": made}


class Unheld(Settings):
    """Lets a kernel answer as wrongly as it likes, which the error check would stop."""

    budget = float("inf")


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
    model = patched(wrong, settings=Unheld("fake"))
    q_len, kv_len = case["lengths"]
    q, k, v = tensors(q_len, kv_len, 64, torch.bfloat16, False)
    given = {"mask": mask_of(case["mask_kind"], q_len, kv_len, torch.bfloat16)}
    given |= {"scale": case["scale"]} if case["scale"] else {}
    out = attention.attention_pytorch(q, k, v, HEADS, transformer_options=model.options, **given)
    assert relative_error(out, attention.attention_pytorch(q, k, v, HEADS, **given)) > 0.2
