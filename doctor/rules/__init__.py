"""Which versions do not belong together on a machine, and what holds even where all of them do."""

from collections.abc import Callable, Iterator

from ...machine import Environment
from . import build, gpu, installation, torch, triton
from .mismatch import Mismatch

__all__ = ["LIMITS", "RULES", "Mismatch", "limits", "mismatches"]

Rule = Callable[[Environment], Iterator[Mismatch]]

# In the order in which to put things right: what comes later often goes away with what comes first.
RULES: tuple[Rule, ...] = (
    installation.packages_in_user_site,
    installation.two_copies,
    torch.without_cuda_beside_a_gpu,
    torch.newer_than_the_driver,
    torch.without_code_for_the_gpu,
    torch.cuda_too_old_for_the_gpu,
    triton.of_another_torch,
    triton.missing_for_sage,
    triton.too_old_for_the_gpu,
    triton.too_new_for_the_gpu,
    installation.headers_missing,
    build.for_another_torch,
    build.for_another_cuda,
    build.for_another_gpu,
    build.known_bad,
    gpu.of_no_use_without_nvidia,
    gpu.too_old_for_sage,
    gpu.too_old_for_this_sage,
    gpu.of_no_use_in_float32,
    gpu.without_a_branch,
)
LIMITS: tuple[Rule, ...] = (
    gpu.without_sage,
    gpu.with_sage_in_half_precision,
    gpu.in_float32,
    gpu.without_the_fp16_cuda_kernel,
    gpu.without_flash_3,
)


def mismatches(environment: Environment) -> list[Mismatch]:
    """Everything that does not fit, with what to do about it; empty on a machine that is well put together.

    What a machine lacks without being broken by it is no mismatch: a package that is not installed, a
    version that no table names. With several GPUs, a package fits if it fits one of them.
    """
    return [mismatch for rule in RULES for mismatch in rule(environment)]


def limits(environment: Environment) -> list[Mismatch]:
    """What the GPUs or the builds cannot do whatever is installed: to be told, not to be put right."""
    return [limit for rule in LIMITS for limit in rule(environment)]
