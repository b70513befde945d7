"""What of torch belongs to all of a process: taken before a call of a kernel, compared and put back after it.

A kernel that changes any of it changes what other models, text encoders and samplers compute, long after.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class _Fact:
    """One setting.

    Attributes:
        name: "the default dtype".
        read: Its value, which has to be equal to itself later.
        write: Puts such a value back; None where torch has no way to.
    """

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], object] | None


class State:
    """Every setting of torch as it is now.

    Args:
        device: Where the kernel runs.
    """

    def __init__(self, device: "torch.device") -> None:
        self._facts = tuple(_facts(device))
        self._values = [_read(fact) for fact in self._facts]

    def put_back(self) -> list[str]:
        """The names of what is not as it was, which is put back."""
        changed = [
            (fact, value)
            for fact, value in zip(self._facts, self._values, strict=True)
            if not _same(value, _read(fact))
        ]
        for fact, value in changed:
            if fact.write is not None and not isinstance(value, _Unreadable):
                # What cannot be put back has been named all the same.
                with contextlib.suppress(Exception):
                    fact.write(value)
        return [fact.name for fact, _ in changed]


class _Unreadable(str):
    """Why a setting cannot be read, as where two ways to set TF32 were mixed."""


def _read(fact: _Fact) -> Any:
    try:
        return fact.read()
    except Exception as error:
        return _Unreadable(type(error).__name__)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return torch.equal(one, other)
    return type(one) is type(other) and bool(one == other)


def _facts(device: "torch.device") -> Iterator[_Fact]:
    yield _Fact("the default dtype", torch.get_default_dtype, torch.set_default_dtype)
    if hasattr(torch, "get_default_device"):
        # Nobody has set one in the check's process; "cpu" as one set costs every call of torch something.
        yield _Fact(
            "the default device", torch.get_default_device, lambda value: torch.set_default_device(None)
        )
    yield _Fact("grad mode", torch.is_grad_enabled, torch.set_grad_enabled)
    yield _Fact("inference mode", torch.is_inference_mode_enabled, None)
    yield _Fact("autocast", torch.is_autocast_enabled, None)
    yield _Fact("the number of threads", torch.get_num_threads, torch.set_num_threads)
    yield _Fact(
        "the precision of float32 matrix products",
        torch.get_float32_matmul_precision,
        torch.set_float32_matmul_precision,
    )
    for where, name, named in _FLAGS:
        yield from _flag(where(), name, named)
    yield _Fact(
        "deterministic algorithms",
        torch.get_deterministic_debug_mode,
        torch.set_deterministic_debug_mode,
    )
    for backend in ("flash", "mem_efficient", "math", "cudnn"):
        read = getattr(torch.backends.cuda, f"{backend}_sdp_enabled", None)
        write = getattr(torch.backends.cuda, f"enable_{backend}_sdp", None)
        if read is not None:
            yield _Fact(f"whether attention may be {backend}", read, write)
    yield _Fact("the random numbers of the CPU", torch.get_rng_state, torch.set_rng_state)
    if device.type == "cuda":
        yield from _of_cuda(device)


# Settings that are attributes: whose, its name, and in words.
_FLAGS: tuple[tuple[Callable[[], Any], str, str], ...] = (
    (lambda: torch.backends.cuda.matmul, "allow_tf32", "TF32 of matrix products"),
    (lambda: torch.backends.cuda.matmul, "fp32_precision", "the precision of float32 on CUDA"),
    (
        lambda: torch.backends.cuda.matmul,
        "allow_fp16_reduced_precision_reduction",
        "the reduced precision of float16 sums",
    ),
    (
        lambda: torch.backends.cuda.matmul,
        "allow_bf16_reduced_precision_reduction",
        "the reduced precision of bfloat16 sums",
    ),
    (lambda: torch.backends.cuda.matmul, "allow_fp16_accumulation", "the accumulation of float16"),
    (lambda: torch.backends.cudnn, "allow_tf32", "TF32 of cuDNN"),
    (lambda: torch.backends.cudnn, "deterministic", "determinism of cuDNN"),
    (lambda: torch.backends.cudnn, "benchmark", "the benchmarks of cuDNN"),
    (lambda: torch.backends.cudnn, "enabled", "the use of cuDNN"),
)


def _flag(where: Any, name: str, named: str) -> Iterator[_Fact]:
    """A setting that is an attribute; none where this torch has none such."""
    try:
        getattr(where, name)
    except (AttributeError, AssertionError):
        return
    except RuntimeError:
        pass  # Two ways to set it have been mixed: that too is a value.
    yield _Fact(named, lambda: getattr(where, name), lambda value: setattr(where, name, value))


def _of_cuda(device: "torch.device") -> Iterator[_Fact]:
    yield _Fact(
        "the random numbers of the GPU",
        lambda: torch.cuda.get_rng_state(device),
        lambda value: torch.cuda.set_rng_state(value, device),
    )
    yield _Fact("the current device", torch.cuda.current_device, torch.cuda.set_device)
    yield _Fact("the current stream", lambda: torch.cuda.current_stream(device), torch.cuda.set_stream)
