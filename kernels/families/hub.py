"""SageAttention 2, prebuilt, from the Hugging Face Hub, once downloaded: INT8 QK with FP16 or FP8 PV.

It is read from the local cache alone. `get_local_kernel` of the package `kernels`, given the folder of the
download, asks the Hub for nothing; `get_kernel` would ask it at every load.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any

from ...machine import Distribution, HubKernel, Installed, Module, missing
from ...machine.reason import Reason
from ..backend import Backend, Kernel
from ..catalogue import REASONS, WORDS
from ..family import Family
from ..gpus import ADA, AMPERE, HOPPER, RTX_50, SPARK
from ._half_range import CAST
from ._sage2_call import calling

HUB_SAGE = "kernels-community/sage-attention"

# The functions and their keywords are those of version 2, sage-attention/torch-ext/sage_attention/core.py of
# huggingface/kernels-community at 8a730d96, which has no Triton kernel of its own but quantises with Triton.
# The repository exports `sageattn` alone, which picks one of these; the module `core` has them by name. One
# that a later version lacks does not import, and says which it is.
# Tolerances and offsets are those in sage2.py, whose kernels are compiled from the same code; none of these
# builds of the Hub has been run on a GPU for this pack.


def _declare(packages: Installed) -> tuple[Backend, ...]:
    """What the repository's own `sageattn` picks from, and the careful FP8 accumulator."""
    found = packages.get(HUB_SAGE)
    found = found if isinstance(found, HubKernel) else None
    machine = (*missing(packages, "kernels", "triton|triton-windows"), *_not_downloaded(found))
    every = (replace(one, shown_as="Sage") for one in _kernels(found or HubKernel("")))
    return tuple(_on(found, machine, backend) for backend in every)


def _not_downloaded(found: HubKernel | None) -> Iterator[Reason]:
    if found is None or not found.is_whole:
        came = WORDS("no-download") if found is None else WORDS("part-of-a-download")
        yield REASONS("not-downloaded", kernel=HUB_SAGE, found=came)


def _on(found: HubKernel | None, machine: tuple[Reason, ...], backend: Backend) -> Backend:
    """The backend with the reasons of this download, for the GPUs that it is built for."""
    if found is None or not found.archs:
        return replace(backend, machine=machine)
    declared = backend.capabilities or frozenset()
    cards = frozenset(one for one in declared if any(_serves(arch, one) for arch in found.archs))
    if cards:
        return replace(backend, machine=machine, capabilities=cards)
    needed = tuple(f"{major}.{minor}" for major, minor in sorted(declared))
    module = WORDS("built-for", package=HUB_SAGE, capabilities=needed)
    unfit = REASONS("module", module=module, built=tuple(found.archs))
    return replace(backend, machine=(*machine, unfit))


def _serves(arch: str, capability: tuple[int, int]) -> bool:
    """Whether a build for an architecture has code for a GPU, by the rule of kernels/archs.py (0.17)."""
    named = re.fullmatch(r"(\d+)\.(\d+)([af]?)(\+PTX)?", arch)
    if named is None:
        return True  # Of a spelling that is not known here the kernel check tells.
    built = (int(named[1]), int(named[2]))
    if named[3] == "a":
        return capability == built
    if named[4]:
        return capability >= built
    return capability[0] == built[0] and capability[1] >= built[1]


@lru_cache(maxsize=1)
def _core(folder: str) -> Any:
    """The module with the functions; once, since it registers its operators with torch when it is run."""
    import inspect
    from pathlib import Path

    from kernels import get_local_kernel

    # Up to 0.13 the name of the package is asked for; later it is in the build's metadata.
    if "package_name" in inspect.signature(get_local_kernel).parameters:
        return get_local_kernel(Path(folder), package_name="sage_attention").core
    return get_local_kernel(Path(folder)).core


def _load(
    found: HubKernel, function: str, v_limit: float | None = None, **fixed: object
) -> Callable[[], Kernel]:
    """A load() for one function, by its name; the rest as ``calling`` has it."""

    def load() -> Kernel:
        if found.depends:
            # `kernels` would download them.
            raise ImportError(f"{HUB_SAGE} needs further kernels of the Hub: {', '.join(found.depends)}")
        return calling(getattr(_core(found.folder), function), v_limit, **fixed)

    return load


def _kernels(found: HubKernel) -> Iterator[Backend]:
    fp16, fp8 = "sageattn_qk_int8_pv_fp16_cuda", "sageattn_qk_int8_pv_fp8_cuda"
    yield Backend(
        name="hub-sage2-int8-fp16",
        title="SageAttention 2 from the Hub: INT8 QK, FP16 PV, FP32 accumulator",
        load=_load(found, fp16, CAST, pv_accum_dtype="fp32"),
        tolerance=0.03,
        capabilities=AMPERE | ADA,
    )
    for name, title, accumulator in (
        ("hub-sage2-int8-fp8", "FP32 accumulator flushed to FP32", "fp32+fp32"),
        ("hub-sage2-int8-fp8-acc-fp32+fp16", "FP16 accumulator flushed to FP32 (2++)", "fp32+fp16"),
    ):
        yield Backend(
            name=name,
            title=f"SageAttention 2 from the Hub: INT8 QK, FP8 PV, {title}",
            # Version 2 waits for the GPU after each of these, which measuring finds out.
            load=_load(found, fp8, pv_accum_dtype=accumulator, qk_quant_gran="per_warp"),
            tolerance=0.05,
            capabilities=ADA | RTX_50 | SPARK,
        )
    yield Backend(
        name="hub-sage2-int8-fp8-sm90",
        title="SageAttention 2 from the Hub for Hopper: INT8 QK, FP8 PV",
        load=_load(found, "sageattn_qk_int8_pv_fp8_cuda_sm90", pv_accum_dtype="fp32+fp32"),
        tolerance=0.05,
        capabilities=HOPPER,
    )


FAMILY = Family(
    _declare,
    distributions=(Distribution("kernels", Module("kernels", b"get_kernel")),),
    downloads=(HUB_SAGE,),
)
