"""The patch without ComfyUI: every kernel of this machine in a small transformer block."""

import statistics
import time
from types import SimpleNamespace

import torch

from .dispatch import kernels_of_this_process
from .host.override import make_override
from .host.patch import PATCH_KEY, Patch
from .settings import AUTO, Settings

# One block of a small video model: enough work for a GPU to show a difference, little for a CPU.
_GPU = SimpleNamespace(tokens=8192, heads=24, head_dim=128, dtype=torch.bfloat16, repeats=10)
_CPU = SimpleNamespace(tokens=1024, heads=4, head_dim=64, dtype=torch.float32, repeats=3)
_COLUMNS = "{:30} {:>10} {:>12}  {}"


class Block(torch.nn.Module):
    """Self-attention and an MLP with residuals; the attention is called as a ComfyUI model calls it."""

    def __init__(self, heads: int, head_dim: int) -> None:
        super().__init__()
        width = heads * head_dim
        self.heads = heads
        self.norm, self.mlp_norm = torch.nn.LayerNorm(width), torch.nn.LayerNorm(width)
        self.qkv, self.out = torch.nn.Linear(width, 3 * width), torch.nn.Linear(width, width)
        self.mlp = torch.nn.Sequential(
            torch.nn.Linear(width, 4 * width), torch.nn.GELU(), torch.nn.Linear(4 * width, width)
        )

    def forward(self, x, attention, options):
        q, k, v = self.qkv(self.norm(x)).chunk(3, dim=-1)
        x = x + self.out(attention(q, k, v, self.heads, transformer_options=options))
        return x + self.mlp(self.mlp_norm(x))


def sdpa(q, k, v, heads, transformer_options=None):
    """What stands for the host's own attention: (batch, length, heads * head_dim) in and out."""
    q, k, v = (tensor.unflatten(-1, (heads, -1)).transpose(1, 2) for tensor in (q, k, v))
    return torch.nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


def table() -> str:
    """Time and error of the block with each kernel, or why a kernel did not run, as text."""
    size, device = (_GPU, "cuda") if torch.cuda.is_available() else (_CPU, "cpu")
    torch.manual_seed(0)
    block = Block(size.heads, size.head_dim).to(device, size.dtype)
    x = torch.randn(1, size.tokens, size.heads * size.head_dim, device=device, dtype=size.dtype)
    name = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    lines = [
        f"{name}, torch {torch.__version__}: one block, {size.tokens} tokens, {size.heads} heads of "
        f"{size.head_dim}, {str(size.dtype).removeprefix('torch.')}",
        _COLUMNS.format("kernel", "ms", "error", ""),
    ]
    with torch.inference_mode():
        exact = block.float()(x.float(), sdpa, {}) - x.float()
        block.to(size.dtype)
        lines.append(_row("PyTorch's own", block, x, sdpa, {}, exact, size.repeats))
        for kernel in (AUTO, *kernels_of_this_process().backends):
            lines.append(_row_of_kernel(kernel, block, x, exact, size.repeats))
    return "\n".join(lines)


def _row_of_kernel(kernel: str, block: Block, x, exact, repeats: int) -> str:
    patch = Patch(Settings(kernel), kernels_of_this_process())
    override = make_override(patch, None)

    def attention(*args, **kwargs):
        return override(sdpa, *args, **kwargs)

    patch.report.begin("block")
    row = _row(kernel, block, x, attention, {PATCH_KEY: patch}, exact, repeats)
    (plan,) = list(patch.report.open.counts)[-1:]
    if kernel == AUTO:
        return f"{row}ran {plan.name or 'PyTorch, for want of a faster kernel'}"
    if plan.kernel is not None:
        return row
    reasons = "; ".join(str(reason) for _, passed in plan.passed_over for reason in passed)
    return _COLUMNS.format(kernel, "-", "-", reasons)


def _row(name: str, block: Block, x, attention, options: dict, exact, repeats: int) -> str:
    times = []
    for _ in range(repeats + 1):
        begin = time.perf_counter()
        out = block(x, attention, options)
        if x.is_cuda:
            torch.cuda.synchronize()
        times.append(1000 * (time.perf_counter() - begin))
    error = float((out.float() - x.float() - exact).norm() / exact.norm())
    return _COLUMNS.format(name, f"{statistics.median(times[1:]):.2f}", f"{error:.1e}", "")
