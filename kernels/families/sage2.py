"""SageAttention 2: INT8 QK with FP16 or FP8 PV, one CUDA module per GPU generation, and Triton."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from ...machine import Installed, Package, generation, missing
from ...machine.reason import Reason
from ..backend import Backend, Kernel
from ..catalogue import REASONS, WORDS
from ..family import Family
from ..gpus import ADA, AMPERE, B200, HOPPER, RTX_50, SPARK, TURING
from ._half_range import ACCUMULATED, CAST
from ._sage2_call import calling
from ._sageattention import IN_COMFYUI, SAGEATTENTION

# Tolerances: on an H200 (2.2.0, torch 2.11.0+cu130, Triton 3.6.0, 2026-11-24) the Triton kernel is at 0.025
# and the one for Hopper at 0.039. The others quantise the same operands the same way and have not been run on
# a card of theirs; those that add up in FP16 have room for it.
# The kernels of these names read each tensor through 32-bit element offsets (csrc/qattn/*.cu,
# triton/quant_per_thread.py), which `offset_limit` of Backend stands for.

# A kernel, and the compiled module that it is in, "" for Triton's.
_OfModule = tuple[Backend, str]


def _load(function: str, v_limit: float | None = None, **fixed: object) -> Callable[[], Kernel]:
    """A load() for one function of the package, by its name there; the rest as ``calling`` has it."""

    def load() -> Kernel:
        import sageattention

        return calling(getattr(sageattention, function), v_limit, **fixed)

    return load


def _declare(packages: Installed) -> tuple[Backend, ...]:
    """The kernels of 2.x, by what the installed build has."""
    machine = missing(packages, "sageattention", "triton|triton-windows")
    package = packages.get("sageattention")
    if package and generation(package) == 1:
        machine += (REASONS("version", package="sageattention", version="2", installed=package.shown),)
    declared = (*_half_kernels(package), *_fp8_kernels(), _hopper_kernel())
    return tuple(_on(package, machine, backend, module) for backend, module in declared)


def _on(package: Package | None, machine: tuple[Reason, ...], backend: Backend, module: str) -> Backend:
    """The backend with the reasons and the head_dims of this build."""
    if package and generation(package) != 1 and module and module not in package.modules:
        lacking = WORDS("module-of", package="sageattention", module=module)
        machine += (REASONS("module", module=lacking, built=_listed(package)),)
    limit = min((package.head_dim_limit if package else None) or 128, max(backend.head_dims))
    imports = ("sageattention._fused", f"sageattention.{module}") if module else ()
    return replace(backend, machine=machine, imports=imports, head_dims=range(1, limit + 1), shown_as="Sage")


def _listed(package: Package) -> str:
    return ", ".join(sorted(package.modules)) or WORDS("no-compiled-module")


def _half_kernels(package: Package | None) -> Iterator[_OfModule]:
    # Every wheel of the woct0rdho fork compiles this module for 8.0 alone, which runs on 8.x and
    # nowhere else: on an RTX 50 it ends the process. Its builds carry the torch version in their
    # name; the upstream's and a local build carry none, and have the code of the card.
    wheel = package is not None and "torch" in package.build
    cards = AMPERE | ADA if wheel else AMPERE | ADA | RTX_50 | SPARK
    function = "sageattn_qk_int8_pv_fp16_cuda"
    backend = partial(Backend, capabilities=cards, head_dims=range(1, 257))
    yield (
        backend(
            name="sage2-int8-fp16",
            title="SageAttention 2: INT8 QK, FP16 PV, FP32 accumulator (the careful one)",
            load=_load(function, CAST, pv_accum_dtype="fp32"),
            also_called=(function,),
            tolerance=0.03,
        ),
        "_qattn_sm80",
    )
    yield (
        backend(
            name="sage2-int8-fp16-acc-fp16+fp32",
            title="SageAttention 2: INT8 QK, FP16 PV, FP16 accumulator flushed to FP32",
            load=_load(function, ACCUMULATED, pv_accum_dtype="fp16+fp32"),
            tolerance=0.03,
        ),
        "_qattn_sm80",
    )
    yield (
        backend(
            name="sage2-int8-fp16-acc-fp16",
            title="SageAttention 2: INT8 QK, FP16 PV, FP16 accumulator (overflows first)",
            load=_load(function, CAST, pv_accum_dtype="fp16", smooth_v=True),
            tolerance=0.05,
        ),
        "_qattn_sm80",
    )
    yield (
        Backend(
            name="sage2-int8-fp16-triton",
            title="SageAttention 2 (Triton): INT8 QK, FP16 PV",
            load=_load("sageattn_qk_int8_pv_fp16_triton", ACCUMULATED),
            also_called=("sageattn_qk_int8_pv_fp16_triton",),
            tolerance=0.03,
            capabilities=TURING | AMPERE | ADA | HOPPER | B200,
            head_dims=range(1, 257),
        ),
        "",
    )


def _fp8_kernels() -> Iterator[_OfModule]:
    function = "sageattn_qk_int8_pv_fp8_cuda"
    accumulators: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
        ("", "FP32 accumulator flushed to FP32", "fp32+fp32", (function,)),
        ("-acc-fp32+fp16", "FP16 accumulator flushed to FP32 (2++)", "fp32+fp16", (f"{function}++",)),
        ("-acc-fp32", "FP32 accumulator (22 bits on Ada)", "fp32", ()),
    )
    for end, title, accumulator, also_called in accumulators:
        yield (
            Backend(
                name=f"sage2-int8-fp8{end}",
                title=f"SageAttention 2: INT8 QK, FP8 PV, {title}",
                load=_load(function, pv_accum_dtype=accumulator, qk_quant_gran="per_warp"),
                also_called=also_called,
                tolerance=0.05,
                capabilities=ADA | B200 | RTX_50 | SPARK,
                head_dims=range(1, 257),
            ),
            "_qattn_sm89",
        )


def _hopper_kernel() -> _OfModule:
    return (
        Backend(
            name="sage2-int8-fp8-sm90",
            title="SageAttention 2 for Hopper: INT8 QK, FP8 PV",
            load=_load("sageattn_qk_int8_pv_fp8_cuda_sm90", pv_accum_dtype="fp32+fp32"),
            tolerance=0.05,
            capabilities=HOPPER,
            # Above 128 the fork pads to 256 and the process dies of a segmentation fault (H100).
            head_dims=range(1, 129),
        ),
        "_qattn_sm90",
    )


FAMILY = Family(_declare, distributions=(SAGEATTENTION,), in_comfyui=(IN_COMFYUI,))
