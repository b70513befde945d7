"""Kernels for the demo: one that PyTorch really has for CPUs, and stand-ins for what is seen on GPUs.

Loaded twice, as a module of the room ``check`` both times: into the pack, and into the check's child process.
"""

import os
from dataclasses import dataclass

import torch

from ..kernels.backend import Backend, Kernel, Reason
from ..kernels.kinds import EXACT
from .reference import attention

HEAD_DIM = 64
# Nobody shall wait for the check's longest calls.
_KEYS_ON_CPU = 600


@dataclass(frozen=True)
class DemoBackend(Backend):
    """A declaration without the rule that a kernel runs on CUDA."""

    def reasons(self, call):
        found = [one for one in super().reasons(call) if one.code not in ("device", "capability")]
        if call.device == "cpu" and call.kv_len > _KEYS_ON_CPU:
            found.append(Reason("kv-length", f"{_KEYS_ON_CPU} keys at most on a CPU", str(call.kv_len)))
        return found


def fused(q, k, v, *, mask=None, scale=None):
    """PyTorch's own: softmax and both multiplications in one pass, as FlashAttention does."""
    return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default(q, k, v)[0]


def int8(q, k, v, *, mask=None, scale=None):
    """q and k in 8 bits with one scale for each row, as SageAttention and Comfy Kitchen multiply them."""
    scores = _in_8_bits(q) @ _in_8_bits(k - k.mean(dim=2, keepdim=True)).transpose(-2, -1)
    return _weighted(scores, v.float()).to(q.dtype)


def int8_fp16(q, k, v, *, mask=None, scale=None):
    """The same with v in float16, which ends at 65,504."""
    return int8(q, k, v.half().float(), mask=mask, scale=scale).to(q.dtype)


def counts_padding(q, k, v, *, mask=None, scale=None):
    """SageAttention 1.0.6's fault: softmax counts the rows that fill up the last block of 64 keys."""
    rows = -k.shape[2] % 64
    k, v = (torch.nn.functional.pad(tensor, (0, 0, 0, rows)) for tensor in (k, v))
    return attention(q, k, v, None, None).to(q.dtype)


def crashes(q, k, v, *, mask=None, scale=None):
    """Ends its process, as SageAttention 2.2 does with a head_dim of 160 on an H100."""
    os.abort()


def _in_8_bits(tensor: torch.Tensor) -> torch.Tensor:
    tensor = tensor.float()
    step = tensor.abs().amax(dim=-1, keepdim=True).clamp(min=1e-6) / 127
    return (tensor / step).round() * step


def _weighted(scores: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    return torch.softmax(scores / HEAD_DIM**0.5, dim=-1) @ v


def _backend(name: str, title: str, attend, **facts) -> DemoBackend:
    common = {
        "dtypes": frozenset({"float16", "bfloat16", "float32"}),
        "head_dims": frozenset({HEAD_DIM}),
        "gqa": False,
        "any_scale": False,
    }
    return DemoBackend(name=name, title=title, load=lambda: Kernel(attend), **(common | facts))


def declare() -> tuple[Backend, ...]:
    """Every kernel of the demo."""
    # 0.0023 at most in bfloat16, and 0.0092 in 8 bits (torch 2.14.1, CPU, 2026-11-26), with room.
    rounds, quantised = {"kind": EXACT, "tolerance": 0.01}, {"tolerance": 0.03}
    return (
        _backend("cpu-flash", "PyTorch's own fused kernel for CPUs", fused, **rounds),
        _backend("stand-in-int8", "8-bit q and k, in plain tensor operations", int8, **quantised),
        # The check has values past float16's range, too; left out, so that the guard has something to find.
        _backend("stand-in-fp16", "the same with v in float16", int8_fp16, hard_data=False, **quantised),
        _backend("stand-in-padding", "counts keys that are not there", counts_padding, **rounds),
        _backend("stand-in-crash", "ends its process", crashes, **rounds),
    )
