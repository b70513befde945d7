"""PyTorch's own attention kernels, each called by itself: exact, 16-bit.

The functions are those that ``scaled_dot_product_attention`` calls once it has chosen. Called directly
they change no global switch; ``torch.nn.attention.sdpa_kernel`` changes one for every thread.
"""

from ..backend import Backend, Kernel
from ..environment import Installed, missing

# From Ampere on: torch's own checks of both kernels ask for 8.0 (aten/.../cuda/sdp_utils.cpp).
_SINCE_AMPERE = frozenset({(8, 0), (8, 6), (8, 7), (8, 9), (9, 0), (10, 0), (10, 3), (12, 0), (12, 1)})
_SINCE_VOLTA = _SINCE_AMPERE | {(7, 0), (7, 2), (7, 5)}

# ComfyUI splits larger batches before SDPA for the same reason (attention.py, SDP_BATCH_LIMIT).
_MAX_BATCH = 2**15


def _multiples_of_eight(limit: int) -> dict:
    """torch's caller pads other head_dims before it calls these; here they go to the host instead."""
    return {"head_dims": range(8, limit + 1, 8), "head_dims_text": f"a multiple of 8 up to {limit}"}


def _load_flash() -> Kernel:
    import torch

    flash = torch.ops.aten._scaled_dot_product_flash_attention.default

    def attend(q, k, v, *, mask=None, scale=None):
        return flash(q, k, v, 0.0, False, False, scale=scale)[0]

    return Kernel(attend)


def _load_cudnn() -> Kernel:
    import torch

    cudnn = torch.ops.aten._scaled_dot_product_cudnn_attention.default

    def attend(q, k, v, *, mask=None, scale=None):
        return cudnn(q, k, v, None, False, 0.0, False, False, scale=scale)[0]

    return Kernel(attend)


def _load_efficient() -> Kernel:
    import torch

    efficient = torch.ops.aten._scaled_dot_product_efficient_attention.default

    def attend(q, k, v, *, mask=None, scale=None):
        return efficient(q, k, v, None, False, 0.0, False, scale=scale)[0]

    return Kernel(attend)


def declare(packages: Installed) -> tuple[Backend, ...]:
    """flash, cuDNN and efficient (CUTLASS) as torch brings them."""
    torch_missing = missing(packages, "torch")
    common = {
        "machine": torch_missing,
        "of_torch": True,
        "exact": True,
        "tolerance": 0.01,
        "max_batch": _MAX_BATCH,
    }
    return (
        Backend(
            name="sdpa-flash",
            title="PyTorch's FlashAttention 2 kernel, exact",
            load=_load_flash,
            capabilities=_SINCE_AMPERE,
            offset_limit=None,
            **_multiples_of_eight(256),
            **common,
        ),
        Backend(
            name="sdpa-cudnn",
            title="cuDNN's attention kernel, exact",
            load=_load_cudnn,
            capabilities=_SINCE_AMPERE,
            **_multiples_of_eight(128),
            **common,
        ),
        Backend(
            name="sdpa-efficient",
            title="PyTorch's memory-efficient kernel, exact",
            load=_load_efficient,
            capabilities=_SINCE_VOLTA,
            gqa=False,
            max_batch_heads=65535,
            **_multiples_of_eight(256),
            **common,
        ),
    )
