"""Which attention ComfyUI itself takes on a machine, whatever kernels are installed beside it."""

import re

from ...knowledge.tables import numbers, tables
from ...machine import Environment
from .catalogue import WORDS

PYTORCH, SPLIT = WORDS("pytorchs-attention"), WORDS("split-attention")
SUB_QUADRATIC = WORDS("sub-quadratic-attention")
_BY_FLAG = {
    "use_split_cross_attention": SPLIT,
    "use_quad_cross_attention": SUB_QUADRATIC,
    "use_pytorch_cross_attention": PYTORCH,
}


def given(environment: Environment) -> str:
    """The name of it, as ComfyUI's log has it: "PyTorch's attention"."""
    flags = {flag.lstrip("-").replace("-", "_") for flag in environment.flags}
    if named := next((name for flag, name in _BY_FLAG.items() if flag in flags), None):
        return named
    kind = environment.torch.kind if environment.torch else "cpu"
    if kind in ("cuda", "rocm") and "xformers" in environment.packages:
        return WORDS("xformers-attention")
    if kind in ("cuda", "xpu") or (kind == "rocm" and _is_pytorchs(environment)):
        return PYTORCH
    return SUB_QUADRATIC


def _is_pytorchs(environment: Environment) -> bool:
    """AMD GPUs on which ComfyUI takes PyTorch's attention without being asked."""
    torch = environment.torch
    return torch is not None and any(
        re.search(row["match"], gpu.name)
        and torch.release >= numbers(row["torch_from"])
        and numbers(torch.rocm or "") >= numbers(row["rocm_from"])
        for row in tables()["host_attention"]["rocm"]
        for gpu in environment.gpus
    )
