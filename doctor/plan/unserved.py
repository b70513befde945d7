"""Machines for which no SageAttention is there: why, and what ComfyUI gives them instead."""

from ...knowledge.gpus import capabilities, named, other_maker
from ...knowledge.prose import known
from ...knowledge.tables import computes_in_float32, oldest_for_sage, row_of_gpu
from ...machine import Environment
from ...machine.reason import Reason
from . import host_attention

_NO_FAULT = frozenset({"torch-not-cuda", "sage-gpu", "gpu-float32"})


def why(environment: Environment) -> Reason | None:
    """Why no SageAttention can work here, whatever is installed; None where one can."""
    torch = environment.torch
    if torch is None:
        return Reason("torch-missing", "torch in this Python", "none; is this the Python that runs ComfyUI?")
    if torch.kind != "cuda":
        code = "torch-cpu" if torch.kind == "cpu" and _is_meant_for_a_gpu(environment) else "torch-not-cuda"
        return Reason(code, "torch built with CUDA, for an NVIDIA GPU", f"torch {torch}")
    present = capabilities(environment)
    if not present:
        gpus = ", ".join(gpu.name for gpu in environment.gpus) or "no GPU that the driver or torch names"
        code = "gpu-other-maker" if other_maker(environment) else "gpu-unknown"
        return Reason(code, "an NVIDIA GPU whose compute capability is known", gpus)
    if not any((row := row_of_gpu(one)) and row["sage"] for one in present):
        return Reason("sage-gpu", f"a GPU of capability {known()['sage_gpu']} or newer", named(environment))
    if max(present) < oldest_for_sage(2) and all(computes_in_float32(gpu.name) for gpu in environment.gpus):
        return Reason("gpu-float32", "a GPU whose float16 works", named(environment))
    return None


def is_no_fault(environment: Environment, reason: Reason) -> bool:
    """Whether the machine is as it should be, and it is only that nothing here is for its GPU."""
    torch = environment.torch
    there = environment.gpus or environment.system == "darwin" or (torch and torch.kind in ("rocm", "xpu"))
    return bool(there) and reason.code in _NO_FAULT


def summary(environment: Environment, reason: Reason) -> str:
    """The plan in a few sentences: what is not for this machine, and what ComfyUI gives it."""
    given = host_attention.given(environment)
    here = f"ComfyUI gives it {given}, and nothing has to be installed for that."
    if reason.code == "torch-missing":
        return "This Python has no torch, so nothing can be planned for it."
    if reason.code == "torch-cpu":
        return _without_the_gpu(environment)
    if reason.code == "torch-not-cuda":
        return _of_another_maker(environment, given, here)
    if reason.code == "gpu-other-maker":
        return (
            f"torch here is built with CUDA, for NVIDIA GPUs, and the GPU is {reason.came}: first put the "
            f"build of torch for {other_maker(environment)} in its place, as ComfyUI's own manual tells. "
            "SageAttention's kernels are for NVIDIA GPUs, so there is nothing else to install."
        )
    if reason.code == "sage-gpu":
        return f"No version of SageAttention works on this GPU. {here}"
    if reason.code == "gpu-float32":
        return (
            "Nothing here is for this GPU: its float16 is broken, so ComfyUI computes in float32, which no "
            f"kernel but PyTorch's takes. {here}"
        )
    return "Without knowing the GPU no file can be chosen; start the check where torch sees it."


def _is_meant_for_a_gpu(environment: Environment) -> bool:
    return environment.driver is not None or bool(other_maker(environment))


def _without_the_gpu(environment: Environment) -> str:
    torch = environment.torch
    if environment.driver is None or torch is None:
        return (
            f"torch here is built for the processor alone, beside a GPU by {other_maker(environment)}: put "
            "the build of torch for it in its place first, where its maker has one, as ComfyUI's own manual "
            "tells. SageAttention's kernels are for NVIDIA GPUs, so there is nothing else to install."
        )
    return (
        "torch here is built without CUDA, beside an NVIDIA GPU. A package installed lately may have "
        f"replaced it: put back the CUDA build of torch {torch.version} first, as ComfyUI's "
        "own manual tells."
    )


def _of_another_maker(environment: Environment, given: str, here: str) -> str:
    if environment.system == "darwin":
        return (
            "Nothing here is for a Mac: SageAttention's kernels are for NVIDIA GPUs, and Triton, which they "
            f"need, does not know Apple's. {here} --use-pytorch-cross-attention and "
            "--use-split-cross-attention are the others that it has."
        )
    kind = environment.torch.kind if environment.torch else ""
    if kind == "xpu":
        return f"Nothing here is for an Intel GPU: SageAttention's kernels are for NVIDIA's. {here}"
    if kind == "rocm":
        more = (
            ""
            if given == host_attention.PYTORCH
            else " --use-pytorch-cross-attention takes PyTorch's instead."
        )
        return (
            "SageAttention 2 and its files are CUDA code, for NVIDIA GPUs, and none of them is for this one. "
            f"{here}{more} SageAttention 1 is Triton alone and runs on some AMD GPUs. Other ways are below, "
            "for who wants to try."
        )
    return (
        "SageAttention's kernels are for NVIDIA GPUs, and there is none here: there is nothing to install, "
        f"and ComfyUI takes {given}."
    )
