"""The override under ComfyUI's contract, in the host's own code: chaining, containers, flags, exactness."""

import copy
import threading

import pytest
import torch
from sagekit.core.attention.settings import Settings
from sagekit.kernels.kinds import QUANTISED
from support import fake_kernels
from support.calls import EXTRA, HEADS, qkv, recorder


def quantised(**facts):
    return {"kind": QUANTISED, "tolerance": 0.03} | facts


def test_a_call_that_no_kernel_takes_reaches_the_host_with_the_callers_own_arguments(patched):
    log, answer = [], object()
    model = patched(head_dims=range(64, 65))
    q, k, v = qkv()
    mask = torch.zeros(17, 33)
    given = {"mask": mask, "transformer_options": model.options, "_inside_attn_wrapper": True, "heads": HEADS}
    assert model.override(recorder(log, answer), q, k, v, **given) is answer
    ((args, kwargs),) = log
    assert all(a is b for a, b in zip(args, (q, k, v), strict=True))
    assert kwargs == given and kwargs["mask"] is mask
    assert model.run().fallbacks() == {"head-dim": 1}


@pytest.mark.parametrize("by_name", [False, True])
def test_a_mask_is_the_same_by_position_and_by_name(attention, patched, by_name):
    model = patched()
    q, k, v = qkv()
    mask = torch.randn(17, 33)
    if by_name:
        out = attention.attention_pytorch(q, k, v, heads=HEADS, mask=mask, transformer_options=model.options)
    else:
        out = attention.attention_pytorch(q, k, v, HEADS, mask, transformer_options=model.options)
    torch.testing.assert_close(out, attention.attention_pytorch(q, k, v, HEADS, mask))
    assert model.run().kernels() == {"fake": 1}


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"low_precision_attention": False}, "precision"),
        ({"attn_precision": torch.float32}, "precision"),
        ({"a_later_keyword": 1}, "unknown-argument"),
        ({"scale": torch.tensor(0.5)}, "unknown-argument"),
        ({"mask": torch.zeros(3, 5, 7)}, "mask-shape"),
        ({"mask": torch.zeros(17, 33, dtype=torch.int32)}, "mask-dtype"),
    ],
)
def test_what_a_kernel_may_not_do_is_left_to_the_host_for_that_reason(patched, changed, code):
    log = []
    model = patched(**quantised())
    q, k, v = qkv()
    model.override(recorder(log), q, k, v, HEADS, transformer_options=model.options, **changed)
    assert len(log) == 1 and model.run().fallbacks() == {code: 1}
    assert log[0][1].items() >= changed.items()


def test_an_exact_kernel_still_takes_a_call_that_must_be_exact(patched):
    model = patched()
    model.override(recorder([]), *qkv(), HEADS, transformer_options=model.options, **EXTRA)
    assert model.run().kernels() == {"fake": 1}


def test_inputs_that_need_a_gradient_get_one(attention, patched):
    model = patched()
    q, k, v = qkv(requires_grad=True)
    attention.attention_pytorch(q, k, v, HEADS, transformer_options=model.options).sum().backward()
    assert q.grad is not None and model.run().fallbacks() == {"grad": 1}
    with torch.no_grad():
        attention.attention_pytorch(q, k, v, HEADS, transformer_options=model.options)
    assert model.run().kernels() == {"fake": 1}


def test_shapes_that_only_the_host_can_read_go_to_the_host(patched):
    model = patched()
    q, k, v = qkv()
    log = []
    for bad in (
        (q, k[:1], v[:1]),
        (q, k, v[:, :5]),
        (q[0], k[0], v[0]),
        (q.double(), k, v),
        (q, k[:, :0], v[:, :0]),
    ):
        model.override(recorder(log), *bad, HEADS, transformer_options=model.options)
    assert len(log) == 5 and model.run().fallbacks() == {"layout": 4, "mixed-inputs": 1}


def test_a_kernel_that_raises_gives_way_to_the_host_in_the_same_call(attention, patched, caplog):
    def attend(q, k, v, *, mask=None, scale=None):
        raise ValueError("Unsupported head_dim: 16")

    model = patched(attend)
    q, k, v = qkv()
    for _ in range(3):
        out = attention.attention_pytorch(q, k, v, HEADS, transformer_options=model.options)
        assert torch.equal(out, attention.attention_pytorch(q, k, v, HEADS))
    assert model.run().kernels() == {} and model.run().fallbacks() == {"raised": 3}
    with caplog.at_level("INFO"):
        model.patch.report.end()
    assert caplog.text.count("fake failed") == 1 and "Unsupported head_dim: 16" in caplog.text


def test_an_earlier_override_takes_what_no_kernel_takes_and_nothing_else(patched):
    log = []

    def earlier(func, *args, **kwargs):
        log.append(func)
        return "earlier"

    model = patched(previous=earlier, head_dims=range(16, 17))
    func = recorder([])
    assert model.override(func, *qkv(head_dim=8), HEADS, transformer_options=model.options) == "earlier"
    assert log == [func]
    model.override(func, *qkv(head_dim=16), HEADS, transformer_options=model.options)
    assert log == [func]


def test_an_override_that_wraps_ours_every_step_composes(attention, patched):
    """As ComfyUI's sparse attention does: it keeps what it found and calls it by names."""
    model = patched()

    def sparse(func, q, k, v, heads, mask=None, attn_precision=None, **kwargs):
        return model.override(func, q, k, v, heads, mask=mask, attn_precision=attn_precision, **kwargs)

    options = model.options | {"optimized_attention_override": sparse}
    q, k, v = qkv()
    out = attention.attention_pytorch(q, k, v, HEADS, transformer_options=options)
    torch.testing.assert_close(out, attention.attention_pytorch(q, k, v, HEADS))
    assert model.run().kernels() == {"fake": 1}


def test_of_two_sagekit_patches_on_one_wire_only_the_last_acts_even_inside_another_packs_chain(patched):
    inner = patched(name="inner")

    def between(func, *args, **kwargs):
        return inner.override(func, *args, **kwargs)

    outer = patched(name="outer", previous=between, head_dims=range(8, 9))
    log = []
    outer.override(recorder(log, "host"), *qkv(head_dim=16), HEADS, transformer_options=outer.options)
    assert len(log) == 1
    assert inner.run().calls == 0 and outer.run().fallbacks() == {"head-dim": 1}


def test_the_override_can_be_hashed_and_deep_copied_and_stays_the_same_patch(patched):
    model = patched()
    copied = copy.deepcopy(model.options)
    assert {copied["optimized_attention_override"]} == {model.override}
    copied["optimized_attention_override"](recorder([]), *qkv(), HEADS, transformer_options=copied)
    assert model.run().kernels() == {"fake": 1}


def test_the_hosts_wrapper_does_not_recurse_into_the_override(attention, patched):
    model = patched(head_dims=range(64, 65))
    q, k, v = qkv()
    out = attention.attention_pytorch(q, k, v, HEADS, transformer_options=model.options)
    assert torch.equal(out, attention.attention_pytorch(q, k, v, HEADS))
    assert model.run().calls == 1


def test_threads_of_several_gpus_share_one_patch(attention, patched):
    model = patched()
    inputs = [qkv(q_len=n) for n in range(1, 9)]
    wrong = []

    def sample(q, k, v):
        right = attention.attention_pytorch(q, k, v, HEADS)
        for _ in range(50):
            out = attention.attention_pytorch(q, k, v, HEADS, transformer_options=model.options)
            if not torch.allclose(out, right, atol=1e-5):
                wrong.append(q.shape)

    threads = [threading.Thread(target=sample, args=one) for one in inputs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [] and model.run().kernels() == {"fake": 400}


@pytest.mark.parametrize(
    ("settings", "options", "lists", "exact"),
    [
        ({"exact_first_blocks": 2}, {"block_index": 1, "total_blocks": 10}, (), True),
        ({"exact_first_blocks": 2}, {"block_index": 2, "total_blocks": 10}, (), False),
        ({"exact_last_blocks": 1}, {"block_index": 9, "total_blocks": 10}, (), True),
        ({"exact_last_blocks": 1}, {"block_index": 8, "total_blocks": 10}, (), False),
        (
            {"exact_first_blocks": 2},
            {"block_index": 0, "total_blocks": 10, "block_type": "single"},
            "both",
            False,
        ),
        (
            {"exact_first_blocks": 2},
            {"block_index": 0, "total_blocks": 10, "block_type": "double"},
            "both",
            True,
        ),
        (
            {"exact_last_blocks": 2},
            {"block_index": 9, "total_blocks": 10, "block_type": "double"},
            "both",
            False,
        ),
        (
            {"exact_last_blocks": 2},
            {"block_index": 9, "total_blocks": 10, "block_type": "single"},
            "both",
            True,
        ),
        ({"exact_first_blocks": 2}, {"block_index": 0}, (), False),
        ({"exact_first_blocks": 2}, {}, (), False),
    ],
)
def test_the_blocks_that_the_node_keeps_exact(attention, patched, settings, options, lists, exact):
    model = patched(settings=Settings("fake", **settings), **quantised())
    model.patch.block_lists = frozenset({"double_blocks", "single_blocks"} if lists else ())
    model.override(recorder([]), *qkv(), HEADS, transformer_options=model.options | options)
    assert model.run().fallbacks() == ({"precision": 1} if exact else {})
    if "total_blocks" not in options:
        assert list(model.run().notes.values()) == [
            "exact_first_blocks and exact_last_blocks do nothing: this model numbers no blocks"
        ]


class TestLaunchFlags:
    """``off`` and exact calls, where a flag made a quantised kernel ComfyUI's default."""

    @pytest.fixture
    def flagged(self, attention, monkeypatch):
        """The host as it is after --use-sage-attention, with a sage that is plainly something else."""
        from comfy.cli_args import args

        @attention.wrap_attn
        def attention_sage(q, k, v, heads, *rest, **kwargs):
            return torch.zeros_like(q)

        monkeypatch.setattr(args, "use_sage_attention", True)
        monkeypatch.setattr(attention, "optimized_attention", attention_sage)
        return attention

    def test_the_flag_really_changes_the_result(self, flagged):
        assert torch.equal(flagged.optimized_attention(*(qkv()), HEADS), torch.zeros(2, 17, HEADS * 16))

    def test_off_is_as_without_the_flag(self, flagged, patched):
        model = patched(settings=Settings("off"))
        tensors = qkv()
        out = flagged.optimized_attention(*tensors, HEADS, transformer_options=model.options)
        assert torch.equal(out, flagged.attention_sub_quad(*tensors, HEADS))

    def test_a_call_that_must_be_exact_does_not_fall_back_on_the_flags_kernel(self, flagged, patched):
        model = patched(**quantised())
        tensors = qkv()
        options = model.options | {"sagekit_exact_step": True}
        out = flagged.optimized_attention(*tensors, HEADS, transformer_options=options)
        assert torch.equal(out, flagged.attention_sub_quad(*tensors, HEADS))

    def test_any_other_call_falls_back_on_what_comfyui_would_have_run(self, flagged, patched):
        model = patched(head_dims=range(64, 65))
        out = flagged.optimized_attention(*qkv(), HEADS, transformer_options=model.options)
        assert not out.any()

    def test_a_function_that_the_model_chose_itself_is_left_alone(self, flagged, patched):
        model = patched(settings=Settings("off"))
        tensors = qkv()
        out = flagged.attention_pytorch(*tensors, HEADS, transformer_options=model.options)
        assert torch.equal(out, flagged.attention_pytorch(*tensors, HEADS))


@pytest.mark.parametrize(
    "wrong",
    [
        fake_kernels.drops_the_mask,
        fake_kernels.swaps_the_layout,
        fake_kernels.shifts_the_rows,
        fake_kernels.doubles,
    ],
)
def test_a_kernel_that_is_wrong_on_a_class_of_calls_gives_way_in_the_first_of_them(attention, patched, wrong):
    model = patched(wrong)
    q, k, v = qkv()
    mask = torch.randn(17, 33) > 0
    mask[:, 0] = True
    for _ in range(2):
        out = attention.attention_pytorch(q, k, v, HEADS, mask, transformer_options=model.options)
        assert torch.equal(out, attention.attention_pytorch(q, k, v, HEADS, mask))
    assert model.run().fallbacks() == {"error": 2}
