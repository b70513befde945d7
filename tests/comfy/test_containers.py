"""Tensor containers, which ComfyUI has since 0.31: emptied, freed, and handed on as core does."""

import gc
import weakref

import pytest
import torch
from sagekit.core.attention.guard import Forward
from sagekit.core.attention.patch import FORWARD_KEY
from sagekit.kernels.kinds import QUANTISED
from support import fake_kernels
from support.calls import HEADS, qkv


@pytest.fixture
def boxed(attention):
    if not hasattr(attention, "AttentionTensorContainer"):
        pytest.skip("this ComfyUI has no tensor containers (0.31 and later do)")
    return lambda tensors: [attention.AttentionTensorContainer(tensor) for tensor in tensors]


def test_they_are_emptied_and_give_the_same_result(attention, patched, boxed):
    model = patched()
    tensors = qkv()
    boxes = boxed(tensors)
    out = attention.attention_pytorch(*boxes, HEADS, transformer_options=model.options)
    torch.testing.assert_close(out, attention.attention_pytorch(*tensors, HEADS))
    assert [box.tensor for box in boxes] == [None] * 3 and model.run().kernels() == {"fake": 1}


def test_from_the_second_call_on_the_kernel_may_free_them(attention, patched, boxed):
    alive, refs = [], []

    def attend_owned(tensors, *, mask=None, scale=None):
        out = fake_kernels.float32_attention(*tensors, mask=mask, scale=scale)
        tensors.clear()
        gc.collect()
        alive.append([ref() is not None for ref in refs])
        return out

    model = patched(attend_owned=attend_owned)
    for _ in range(2):
        tensors = qkv()
        right = attention.attention_pytorch(*tensors, HEADS)
        refs[:] = [weakref.ref(tensor) for tensor in tensors]
        boxes = boxed(tensors)
        del tensors
        out = attention.optimized_attention(*boxes, HEADS, transformer_options=model.options)
        torch.testing.assert_close(out, right)
    assert alive == [[False, False, False]]
    assert model.run().kernels() == {"fake": 2}


def test_a_call_that_no_kernel_takes_runs_on_the_hosts_default(attention, patched, boxed):
    model = patched(head_dims=range(64, 65))
    tensors = qkv()
    out = attention.optimized_attention(*boxed(tensors), HEADS, transformer_options=model.options)
    assert torch.equal(out, attention.optimized_attention(*tensors, HEADS))
    assert model.run().fallbacks() == {"head-dim": 1}


def test_an_earlier_override_that_takes_containers_gets_them(attention, patched, boxed):
    def earlier(func, *args, **kwargs):
        raise AssertionError("the containers were opened")

    earlier.container_function = lambda q, k, v, heads, **kwargs: ("containers", q.take().shape)
    model = patched(previous=earlier, head_dims=range(64, 65))
    boxes = boxed(qkv())
    out = attention.optimized_attention(*boxes, HEADS, transformer_options=model.options)
    assert out == ("containers", (2, 17, HEADS * 16))


def test_a_kernel_that_fails_late_still_leaves_a_result(attention, patched, boxed):
    def attend_owned(tensors, *, mask=None, scale=None):
        raise ValueError("refused")

    model = patched(attend_owned=attend_owned)
    tensors = qkv()
    for _ in range(3):
        out = attention.optimized_attention(*boxed(tensors), HEADS, transformer_options=model.options)
        torch.testing.assert_close(out, attention.optimized_attention(*tensors, HEADS))
    assert model.run().kernels() == {"fake": 1} and model.run().fallbacks() == {"raised": 2}


def test_a_quantised_kernel_that_owns_its_tensors_is_watched_and_never_owns_those_of_a_second_forward(
    attention, patched, boxed
):
    owned = []

    def attend_owned(tensors, *, mask=None, scale=None):
        owned.append(1)
        return fake_kernels.float32_attention(*tensors, mask=mask, scale=scale)

    model = patched(attend_owned=attend_owned, kind=QUANTISED)
    tensors = qkv()
    repeated = Forward()
    repeated.repeat()
    for forward in (Forward(), Forward(), repeated):
        options = model.options | {FORWARD_KEY: forward}
        out = attention.optimized_attention(*boxed(tensors), HEADS, transformer_options=options)
        torch.testing.assert_close(out, attention.optimized_attention(*tensors, HEADS))
        assert forward.quantised is not forward.recheck
    assert owned == [1] and model.run().fallbacks() == {"guard": 1}
