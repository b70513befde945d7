"""A trial of one kernel: what it leaves behind in torch, in its inputs and in its answers counts as well."""

import itertools

import pytest
import torch
from sagekit.check import trial
from sagekit.check.cases import Case
from sagekit.check.state import State
from sagekit.check.verdicts import OK, REFUSED, WRONG
from sagekit.kernels.call import ADDITIVE_MASK, Call
from support.fake_kernels import backend, float32_attention

CPU = torch.device("cpu")
CALL = Call(1, 2, 2, 17, 33, 64, "float16", "cpu")
CASES = [Case(CALL), Case(Call(1, 2, 2, 9, 9, 64, "float16", "cpu", mask=ADDITIVE_MASK), layout="NHD")]


def verdict_on(attend, **facts):
    declared = backend("fake", attend, **facts)
    return trial.try_kernel(declared, declared.load(), CASES, CPU)


def after(change):
    """A right kernel that changes something on the way."""

    def attend(q, k, v, *, mask=None, scale=None):
        out = float32_attention(q, k, v, mask=mask, scale=scale)
        change()
        return out

    return attend


def test_a_right_kernel_is_right():
    assert verdict_on(float32_attention).state == OK


matmul = torch.backends.cuda.matmul
CHANGES = {
    "the default dtype": lambda: torch.set_default_dtype(torch.float16),
    "the default device": lambda: torch.set_default_device("meta"),
    "grad mode": lambda: torch.set_grad_enabled(not torch.is_grad_enabled()),
    "the number of threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "the precision of float32 matrix products": lambda: torch.set_float32_matmul_precision("medium"),
    "TF32 of matrix products": lambda: setattr(matmul, "allow_tf32", True),
    "the reduced precision of float16 sums": lambda: setattr(
        matmul, "allow_fp16_reduced_precision_reduction", not matmul.allow_fp16_reduced_precision_reduction
    ),
    "the reduced precision of bfloat16 sums": lambda: setattr(
        matmul, "allow_bf16_reduced_precision_reduction", not matmul.allow_bf16_reduced_precision_reduction
    ),
    "the accumulation of float16": lambda: setattr(matmul, "allow_fp16_accumulation", True),
    "TF32 of cuDNN": lambda: setattr(torch.backends.cudnn, "allow_tf32", not torch.backends.cudnn.allow_tf32),
    "determinism of cuDNN": lambda: setattr(torch.backends.cudnn, "deterministic", True),
    "the benchmarks of cuDNN": lambda: setattr(torch.backends.cudnn, "benchmark", True),
    "deterministic algorithms": lambda: torch.use_deterministic_algorithms(True, warn_only=True),
    "whether attention may be flash": lambda: torch.backends.cuda.enable_flash_sdp(False),
    "whether attention may be math": lambda: torch.backends.cuda.enable_math_sdp(False),
    "the random numbers of the CPU": lambda: torch.rand(1),
}


@pytest.fixture
def nothing_stays():
    """No test leaves this process otherwise than it was, whatever fails."""
    before = State(CPU)
    yield before
    assert before.put_back() == []


@pytest.mark.parametrize("what", CHANGES)
def test_what_a_kernel_changes_for_all_is_wrong_named_and_put_back(nothing_stays, what):
    if what == "the accumulation of float16" and not hasattr(matmul, "allow_fp16_accumulation"):
        pytest.skip("this torch has no allow_fp16_accumulation")
    verdict = verdict_on(after(CHANGES[what]))
    assert verdict.state == WRONG and what in verdict.detail, verdict
    assert verdict.detail.startswith("changed ") and "1x2x" not in verdict.detail.split(" at ")[0]


def test_a_kernel_that_changes_it_and_then_raises_is_wrong_where_raising_is_none(nothing_stays):
    def attend(q, k, v, *, mask=None, scale=None):
        torch.manual_seed(0)
        raise ValueError("not this one")

    def raises(q, k, v, *, mask=None, scale=None):
        raise ValueError("not this one")

    assert verdict_on(raises, may_raise=True).state == REFUSED
    verdict = verdict_on(attend, may_raise=True)
    assert verdict.state == WRONG and "the random numbers of the CPU" in verdict.detail


_buffers = {}


def into_one_buffer(q, k, v, *, mask=None, scale=None):
    out = float32_attention(q, k, v, mask=mask, scale=scale)
    kept = _buffers.setdefault(out.shape, torch.empty_like(out))
    return kept.copy_(out)


_turns = itertools.count()


def into_two_buffers_in_turn(q, k, v, *, mask=None, scale=None):
    out = float32_attention(q, k, v, mask=mask, scale=scale)
    kept = _buffers.setdefault((out.shape, next(_turns) % 2), torch.empty_like(out))
    return kept.copy_(out)


def into_a_view_of_one_buffer(q, k, v, *, mask=None, scale=None):
    out = float32_attention(q, k, v, mask=mask, scale=scale)
    kept = _buffers.setdefault("all", torch.empty(1 << 20, dtype=out.dtype))
    return kept[: out.numel()].view(out.shape).copy_(out)


@pytest.mark.parametrize("attend", [into_one_buffer, into_two_buffers_in_turn, into_a_view_of_one_buffer])
def test_a_kernel_that_answers_into_the_same_memory_again_is_wrong(attend):
    verdict = verdict_on(attend)
    assert verdict.state == WRONG and "wrote a later answer over an earlier one" in verdict.detail


def is_v(q, k, v, *, mask=None, scale=None):
    """Which is right, where there is one key."""
    return v.view_as(v)


def test_a_kernel_that_answers_in_the_memory_of_an_input_is_wrong():
    one_key = [Case(Call(1, 2, 2, 1, 1, 64, "float16", "cpu"))]
    for attend, state in ((is_v, WRONG), (float32_attention, OK)):
        declared = backend("fake", attend)
        verdict = trial.try_kernel(declared, declared.load(), one_key, CPU)
        assert verdict.state == state, verdict


@pytest.mark.parametrize("which", ["q", "k", "v", "mask"])
@pytest.mark.parametrize("then_raises", [False, True])
def test_a_kernel_that_writes_into_what_it_is_given_is_wrong(which, then_raises):
    def attend(q, k, v, *, mask=None, scale=None):
        out = float32_attention(q, k, v, mask=mask, scale=scale)
        tensor = {"q": q, "k": k, "v": v, "mask": mask}[which]
        if tensor is not None:
            tensor[..., -1, -1] += 1
        if then_raises:
            raise ValueError("after that")
        return out

    verdict = verdict_on(attend, may_raise=True)
    assert verdict.state == WRONG and "changed its inputs" in verdict.detail, verdict


@pytest.mark.parametrize(
    "answer", [None, "out", (torch.zeros(1),), torch.zeros(1, 2, 17, 64, device="meta", dtype=torch.float16)]
)
def test_an_answer_that_is_no_tensor_or_elsewhere_is_wrong(answer):
    verdict = verdict_on(lambda q, k, v, *, mask=None, scale=None: answer)
    assert verdict.state == WRONG and verdict.detail.startswith("answered "), verdict
