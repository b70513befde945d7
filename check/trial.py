"""Runs one loaded kernel over the cases and says how far it is from float32 attention. Needs torch."""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from itertools import combinations
from typing import TypeAlias

import torch

from ..kernels.backend import Backend, Kernel
from ..kernels.call import BOOL_MASK, NO_MASK, Call
from ..kernels.faults import leaves_the_gpu_usable
from ..machine.printable import printable, words
from .cases import COMMON_KEY, LARGE_V, NORMAL, OUTLIER, TYPICAL, Case
from .reference import attention, relative_error
from .state import State
from .verdicts import OK, REFUSED, WRONG, Verdict

_ROWS_BEHIND = 200
_TIMED_RUNS = 5
_REASONS_TOLD = 6

# q, k, v and the mask.
Given: TypeAlias = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor | None]
Normal: TypeAlias = Callable[..., torch.Tensor]


class FaultError(Exception):
    """What a kernel did wrong at a case."""


class RaisedError(FaultError):
    """It raised."""


def try_kernel(
    backend: Backend,
    kernel: Kernel,
    cases: Iterable[Case],
    device: "torch.device",
    progress: Callable[[Case], None] = lambda case: None,
) -> Verdict:
    """The verdict on a kernel after every case that its declaration takes.

    Errors of the GPU itself (out of memory, a lost context) go up.
    """
    begin, worst, tried = time.monotonic(), 0.0, 0
    refusals: dict[str, None] = {}
    for case in cases:
        if case.data != NORMAL and not backend.hard_data:
            continue
        if reasons := backend.reasons(case.call):
            refusals.update((reason.with_code, None) for reason in reasons)
            continue
        progress(case)
        try:
            error = _try_case(backend, kernel, case, device)
        except FaultError as fault:
            if backend.may_raise and isinstance(fault, RaisedError):
                refusals[str(fault)] = None
                continue
            return Verdict(WRONG, None, f"{fault} at {case}", time.monotonic() - begin, tried)
        tried += 1
        if case.data == NORMAL:
            worst = max(worst, error)
    seconds = time.monotonic() - begin
    if not tried:
        return Verdict(REFUSED, None, "; ".join(list(refusals)[:_REASONS_TOLD]), seconds)
    return Verdict(OK, worst, "", seconds, tried)


def _try_case(backend: Backend, kernel: Kernel, case: Case, device: "torch.device") -> float:
    given = tensors(case, device)
    q = given[0]
    call = partial(_attend, kernel, given, case.call.scale)
    out = call()
    if out.shape != q.shape or out.dtype != q.dtype or out.device != q.device:
        raise FaultError(
            f"answered {tuple(out.shape)} {out.dtype} on {out.device.type} to q {tuple(q.shape)} {q.dtype}"
        )
    if any(_shares_memory(out, tensor) for tensor in given if tensor is not None):
        raise FaultError("answered in the memory of its inputs")
    if not bool(torch.isfinite(out).all()):
        raise FaultError("answered NaN or Inf")
    error = relative_error(out, attention(*given, case.call.scale))
    limit = backend.tolerance * case.slack
    if not error <= limit:
        raise FaultError(f"error {error:.2g}, more than {limit:g},")
    # An answer has to last: a model goes on with it while the next call runs, of another question.
    held, again = out.clone(), call()
    if not torch.equal(held, again):
        raise FaultError("gave two answers to one question")
    q.neg_()
    other = call()
    if not torch.equal(out, held) or any(
        _shares_memory(*two) for two in combinations((out, again, other), 2)
    ):
        raise FaultError("wrote a later answer over an earlier one")
    return error


def _shares_memory(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()


def _attend(kernel: Kernel, given: Given, scale: float | None) -> torch.Tensor:
    """The kernel's answer.

    Raises:
        RaisedError: The kernel raised an error of its own; one of the GPU goes up as it is.
        FaultError: It changed what it was given, or what belongs to all of the process.
    """
    q, k, v, mask = given
    there = [tensor for tensor in given if tensor is not None]
    before = [tensor.clone() for tensor in there]
    state = State(q.device)
    raised: RaisedError | None = None
    try:
        out = kernel.attend(q, k, v, mask=mask, scale=scale)
        if q.is_cuda:
            torch.cuda.synchronize(q.device)
    except Exception as error:
        if not leaves_the_gpu_usable(error):
            raise
        raised = RaisedError(f"raised {printable(words(error), 300)}")
        raised.__cause__ = error
    # Whoever catches what it raises goes on with what it left.
    if changed := state.put_back():
        raise FaultError(f"changed {' and '.join(changed)}") from raised
    if any(not torch.equal(one, now) for one, now in zip(before, there, strict=True)):
        raise FaultError("changed its inputs") from raised
    if raised is not None:
        raise raised
    if not isinstance(out, torch.Tensor):
        raise FaultError(f"answered {type(out).__name__}")
    return out


def tensors(case: Case, device: "torch.device") -> Given:
    """q, k, v and the mask of a case, on a device; the same for the same case."""
    call = case.call
    generator = torch.Generator(device).manual_seed(hash((call.q_len, call.kv_len, call.head_dim)) % 2**31)
    dtype = getattr(torch, call.dtype)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, device=device)

    if case.layout == "packed":
        packed = normal(call.batch, call.q_len, 3, call.heads, call.head_dim).to(dtype)
        q, k, v = (packed[:, :, part].transpose(1, 2) for part in range(3))
    else:
        q = _laid_out(case, normal, call.heads, call.q_len, dtype)
        k, v = (_laid_out(case, normal, call.kv_heads, call.kv_len, dtype) for _ in range(2))
    if case.data == COMMON_KEY:
        k += 40 * normal(1, 1, 1, call.head_dim).to(dtype) / math.sqrt(call.head_dim)
    if case.data == OUTLIER:
        q[..., 3] *= 12
        k[..., 3] *= 12
    if case.data == LARGE_V:
        v *= 1e5
    return q, k, v, _mask(call, normal, dtype)


def _laid_out(case: Case, normal: Normal, heads: int, length: int, dtype: torch.dtype) -> torch.Tensor:
    call, rows = case.call, length + (_ROWS_BEHIND if case.nan_behind else 0)
    by_length = case.layout == "NHD"
    shape = (call.batch, rows, heads) if by_length else (call.batch, heads, rows)
    whole = normal(*shape, call.head_dim).to(dtype)
    along = 1 if by_length else 2
    whole.narrow(along, length, rows - length).fill_(float("nan"))
    part = whole.narrow(along, 0, length)
    return part.transpose(1, 2) if by_length else part


def _mask(call: Call, normal: Normal, dtype: torch.dtype) -> torch.Tensor | None:
    if call.mask == NO_MASK:
        return None
    noise = normal(call.batch, 1, call.q_len, call.kv_len)
    if call.mask != BOOL_MASK:
        return (2 * noise).to(dtype)
    allowed = noise > 0
    allowed[..., 0] = True  # A row without any key has no right answer.
    return allowed


def times(
    backend: Backend, kernel: Kernel, capability: tuple[int, int] | None, device: "torch.device"
) -> dict[str, float]:
    """Milliseconds per call at the typical shapes that the kernel takes: the median of a few, on CUDA."""
    found = {}
    for name, shape in TYPICAL:
        case = Case(replace(shape, capability=capability), layout="NHD")
        if backend.reasons(case.call):
            continue
        q, k, v, _ = tensors(case, device)
        runs = []
        for _ in range(_TIMED_RUNS + 2):
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            kernel.attend(q, k, v, mask=None, scale=None)
            end.record()
            torch.cuda.synchronize(device)
            runs.append(begin.elapsed_time(end))
        found[name] = round(sorted(runs[2:])[_TIMED_RUNS // 2], 4)
    return found
