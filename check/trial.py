"""Runs one loaded kernel over the cases and says how far it is from float32 attention. Needs torch."""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

import torch

from ..kernels.backend import Backend, Kernel
from ..kernels.call import BOOL_MASK, NO_MASK, Call
from ..kernels.faults import leaves_the_gpu_usable
from .cases import COMMON_KEY, LARGE_V, NORMAL, OUTLIER, TYPICAL, Case
from .reference import attention, relative_error
from .verdicts import OK, REFUSED, WRONG, Verdict

_ROWS_BEHIND = 200
_TIMED_RUNS = 5
_REASONS_TOLD = 6


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
    begin, worst, tried, refusals = time.monotonic(), 0.0, 0, {}
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
    q, k, v, mask = tensors(case, device)
    before = [tensor.clone() for tensor in (q, k, v)]
    out = _attend(kernel, q, k, v, mask, case.call.scale)
    if out.shape != q.shape or out.dtype != q.dtype:
        raise FaultError(f"answered {tuple(out.shape)} {out.dtype} to q {tuple(q.shape)} {q.dtype}")
    if any(not torch.equal(*pair) for pair in zip(before, (q, k, v), strict=True)):
        raise FaultError("changed its inputs")
    if not bool(torch.isfinite(out).all()):
        raise FaultError("answered NaN or Inf")
    error = relative_error(out, attention(q, k, v, mask, case.call.scale))
    limit = backend.tolerance * case.slack
    if not error <= limit:
        raise FaultError(f"error {error:.2g}, more than {limit:g},")
    if not torch.equal(out, _attend(kernel, q, k, v, mask, case.call.scale)):
        raise FaultError("gave two answers to one question")
    return error


def _attend(kernel: Kernel, q, k, v, mask, scale):
    """The kernel's answer; an error of its own is a fault, one of the GPU goes up."""
    try:
        out = kernel.attend(q, k, v, mask=mask, scale=scale)
        if q.is_cuda:
            torch.cuda.synchronize(q.device)
        return out
    except Exception as error:
        if not leaves_the_gpu_usable(error):
            raise
        words = " ".join(str(error).split())
        raise RaisedError(f"raised {type(error).__name__}: {words[:300]}") from error


def tensors(case: Case, device: "torch.device"):
    """q, k, v and the mask of a case, on a device; the same for the same case."""
    call = case.call
    generator = torch.Generator(device).manual_seed(hash((call.q_len, call.kv_len, call.head_dim)) % 2**31)
    dtype = getattr(torch, call.dtype)

    def normal(*shape):
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


def _laid_out(case: Case, normal, heads: int, length: int, dtype):
    call, rows = case.call, length + (_ROWS_BEHIND if case.nan_behind else 0)
    by_length = case.layout == "NHD"
    shape = (call.batch, rows, heads) if by_length else (call.batch, heads, rows)
    whole = normal(*shape, call.head_dim).to(dtype)
    along = 1 if by_length else 2
    whole.narrow(along, length, rows - length).fill_(float("nan"))
    part = whole.narrow(along, 0, length)
    return part.transpose(1, 2) if by_length else part


def _mask(call: Call, normal, dtype):
    if call.mask == NO_MASK:
        return None
    noise = normal(call.batch, 1, call.q_len, call.kv_len)
    if call.mask != BOOL_MASK:
        return (2 * noise).to(dtype)
    allowed = noise > 0
    allowed[..., 0] = True  # A row without any key has no right answer.
    return allowed


def times(backend: Backend, kernel: Kernel, capability, device: "torch.device") -> dict[str, float]:
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
