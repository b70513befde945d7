"""SageAttention 1 (Triton): INT8 QK, FP16 PV, for any card that Triton serves."""

from ...machine import Installed, generation, missing
from ..backend import Backend, Kernel
from ..catalogue import REASONS
from ..family import Family
from ..gpus import SINCE_TURING
from ..tensors import Mask, Scale, Tensor
from ._half_range import ACCUMULATED, undo, within
from ._layout import in_own_layout
from ._sageattention import IN_COMFYUI, SAGEATTENTION


def _load() -> Kernel:
    from sageattention import sageattn

    @in_own_layout
    def attend(q: Tensor, k: Tensor, v: Tensor, layout: str, mask: Mask, scale: Scale) -> Tensor:
        # Smoothed here: with smooth_k the package subtracts the mean from the caller's own k.
        smooth_k = k - k.mean(dim=1 if layout == "NHD" else 2, keepdim=True)
        small_v, factor = within(v, ACCUMULATED)
        out = sageattn(q, smooth_k, small_v, tensor_layout=layout, sm_scale=scale, smooth_k=False)
        return undo(out, factor)

    return Kernel(attend)


def _declare(packages: Installed) -> tuple[Backend, ...]:
    """The one kernel of 1.0.x; 2.x brings its own version of it."""
    machine = missing(packages, "sageattention", "triton|triton-windows")
    package = packages.get("sageattention")
    if package and generation(package) not in (1, None):
        machine += (REASONS("version", package="sageattention", version="1", installed=package.shown),)
    return (
        Backend(
            name="sage1-int8-fp16",
            shown_as="Sage",
            title="SageAttention 1 (Triton): INT8 QK, FP16 PV",
            load=_load,
            machine=machine,
            # Measured 0.022 (H200, 1.0.6, torch 2.11.0+cu130, Triton 3.6.0, 2026-11-24).
            tolerance=0.03,
            # bf16 needs Ampere; INT8 dot products on Turing need Triton 3.2 or older, which the
            # launch itself tells.
            capabilities=SINCE_TURING,
            head_dims=frozenset({64, 96, 128}),
            # The padded tail of the last block of 64 keys is counted by softmax: 77 keys come out
            # 28 % wrong, 257 keys 13 % (H100, 1.0.6). With k smoothed the mean score is 0, so a padded
            # key weighs no more than the average one, and the error is at most padded / all keys: 0.02 %
            # at the 32,760 keys of a Wan video.
            kv_multiple=64,
            kv_padding=0.002,
        ),
    )


FAMILY = Family(_declare, distributions=(SAGEATTENTION,), in_comfyui=(IN_COMFYUI,))
