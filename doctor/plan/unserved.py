"""Machines for which no SageAttention is there: why, and what ComfyUI gives them instead."""

from ...knowledge.gpus import capabilities, named, other_maker
from ...knowledge.prose import known
from ...knowledge.tables import computes_in_float32, oldest_for_sage, row_of_gpu
from ...machine import Environment
from ...machine.reason import Reason
from . import host_attention
from .catalogue import REASONS, SUMMARY, WORDS, sentences

_NO_FAULT = frozenset({"torch-not-cuda", "sage-gpu", "gpu-float32"})


def why(environment: Environment) -> Reason | None:
    """Why no SageAttention can work here, whatever is installed; None where one can."""
    torch = environment.torch
    if torch is None:
        return REASONS("torch-missing")
    if torch.kind != "cuda":
        alone = torch.kind == "cpu" and _is_meant_for_a_gpu(environment)
        return REASONS("torch-cpu" if alone else "torch-not-cuda", torch=str(torch))
    present = capabilities(environment)
    if not present:
        gpus = tuple(gpu.name for gpu in environment.gpus) or WORDS("no-gpu-named")
        return REASONS("gpu-other-maker" if other_maker(environment) else "gpu-unknown", gpus=gpus)
    if not any((row := row_of_gpu(one)) and row["sage"] for one in present):
        return REASONS("sage-gpu-here", oldest=known()["sage_gpu"], gpus=named(environment))
    if max(present) < oldest_for_sage(2) and all(computes_in_float32(gpu.name) for gpu in environment.gpus):
        return REASONS("gpu-float32-here", gpus=named(environment))
    return None


def is_no_fault(environment: Environment, reason: Reason) -> bool:
    """Whether the machine is as it should be, and it is only that nothing here is for its GPU."""
    torch = environment.torch
    there = environment.gpus or environment.system == "darwin" or (torch and torch.kind in ("rocm", "xpu"))
    return bool(there) and reason.code in _NO_FAULT


def summary(environment: Environment, reason: Reason) -> str:
    """The plan in a few sentences: what is not for this machine, and what ComfyUI gives it."""
    given = host_attention.given(environment)
    here = SUMMARY("comfyui-gives", attention=given)
    if reason.code == "torch-missing":
        return SUMMARY("without-torch")
    if reason.code == "torch-cpu":
        return _without_the_gpu(environment)
    if reason.code == "torch-not-cuda":
        return _of_another_maker(environment, given, here)
    if reason.code == "gpu-other-maker":
        return SUMMARY("torch-of-another-maker", gpu=reason.came, maker=other_maker(environment))
    if reason.code == "sage-gpu":
        return sentences(SUMMARY("no-version-works"), here)
    if reason.code == "gpu-float32":
        return sentences(SUMMARY("nothing-for-float32"), here)
    return SUMMARY("without-a-known-gpu")


def _is_meant_for_a_gpu(environment: Environment) -> bool:
    return environment.driver is not None or bool(other_maker(environment))


def _without_the_gpu(environment: Environment) -> str:
    torch = environment.torch
    if environment.driver is None or torch is None:
        return SUMMARY("torch-for-the-processor", maker=other_maker(environment))
    return SUMMARY("torch-without-cuda-here", version=torch.version)


def _of_another_maker(environment: Environment, given: str, here: str) -> str:
    if environment.system == "darwin":
        return sentences(SUMMARY("nothing-for-a-mac"), here, SUMMARY("others-on-a-mac"))
    kind = environment.torch.kind if environment.torch else ""
    if kind == "xpu":
        return sentences(SUMMARY("nothing-for-intel"), here)
    if kind == "rocm":
        more = "" if given == host_attention.PYTORCH else SUMMARY("pytorch-on-amd")
        return sentences(SUMMARY("nothing-for-amd"), here, more, SUMMARY("other-ways-on-amd"))
    return SUMMARY("nothing-without-nvidia", attention=given)
