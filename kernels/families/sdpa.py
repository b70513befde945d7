"""PyTorch's own attention kernels, each called by itself: exact, 16-bit.

The functions are those that ``scaled_dot_product_attention`` calls once it has chosen. Called directly
they change no global switch; ``torch.nn.attention.sdpa_kernel`` changes one for every thread.
"""

from functools import partial

from ...machine import Installed, missing
from ..backend import Backend, Kernel
from ..call import ADDITIVE_MASK, BOOL_MASK
from ..family import Family
from ..gpus import B300, SINCE_AMPERE, TURING, VOLTA
from ..kinds import EXACT
from ..tensors import Mask, Scale, Tensor

# From Ampere on: torch's own checks of both kernels ask for 8.0 (aten/.../cuda/sdp_utils.cpp).
_SINCE_AMPERE = SINCE_AMPERE | B300

# ComfyUI splits larger batches before SDPA for the same reason (attention.py, SDP_BATCH_LIMIT).
_MAX_BATCH = 2**15
# torch's caller pads other head_dims before it calls these; here they go to the host instead.
_UP_TO_128, _UP_TO_256 = range(8, 129, 8), range(8, 257, 8)


def _load_flash() -> Kernel:
    import torch

    flash = torch.ops.aten._scaled_dot_product_flash_attention.default

    def attend(q: Tensor, k: Tensor, v: Tensor, *, mask: Mask = None, scale: Scale = None) -> Tensor:
        return flash(q, k, v, 0.0, False, False, scale=scale)[0]

    return Kernel(attend)


def _load_cudnn() -> Kernel:
    import torch

    cudnn = torch.ops.aten._scaled_dot_product_cudnn_attention.default

    def attend(q: Tensor, k: Tensor, v: Tensor, *, mask: Mask = None, scale: Scale = None) -> Tensor:
        bias = None if mask is None else _as_bias(mask, q, k)
        return cudnn(q, k, v, bias, False, 0.0, False, False, scale=scale)[0]

    return Kernel(attend)


def _as_bias(mask: Tensor, q: Tensor, k: Tensor) -> Tensor:
    """The mask in q's dtype, (batch, heads, q_len, kv_len), a view where it broadcasts.

    Half of the lowest value stands for "not this key": weight 0 in float32, and no NaN in a row without one.
    """
    import torch

    lowest = torch.finfo(q.dtype).min / 2
    if mask.dtype == torch.bool:
        bias = torch.zeros(mask.shape, dtype=q.dtype, device=q.device).masked_fill_(~mask, lowest)
    else:
        bias = mask.clamp(min=lowest).to(q.dtype)
    return bias.expand(q.shape[0], q.shape[1], q.shape[2], k.shape[2])


def _load_efficient() -> Kernel:
    import torch

    efficient = torch.ops.aten._scaled_dot_product_efficient_attention.default

    def attend(q: Tensor, k: Tensor, v: Tensor, *, mask: Mask = None, scale: Scale = None) -> Tensor:
        return efficient(q, k, v, None, False, 0.0, False, scale=scale)[0]

    return Kernel(attend)


def _declare(packages: Installed) -> tuple[Backend, ...]:
    """flash, cuDNN and efficient (CUTLASS) as torch brings them."""
    # Its bias was seen right in torch 2.11, in both forms, at lengths from 1 on (H200, 2026-11-24).
    knows_masks = "torch" in packages and packages["torch"].release >= (2, 11)
    backend = partial(
        Backend,
        machine=missing(packages, "torch"),
        of_torch=True,
        kind=EXACT,
        # Measured 0.0024 in bfloat16, 0.0003 in float16 (H200, torch 2.11.0+cu130, 2026-11-24).
        tolerance=0.01,
        max_batch=_MAX_BATCH,
    )
    return (
        backend(
            name="sdpa-flash",
            shown_as="Flash",
            title="PyTorch's FlashAttention 2 kernel, exact",
            load=_load_flash,
            capabilities=_SINCE_AMPERE,
            offset_limit=None,
            head_dims=_UP_TO_256,
        ),
        backend(
            name="sdpa-cudnn",
            shown_as="cuDNN",
            title="cuDNN's attention kernel, exact",
            load=_load_cudnn,
            capabilities=_SINCE_AMPERE,
            masks=frozenset({BOOL_MASK, ADDITIVE_MASK}) if knows_masks else frozenset(),
            head_dims=_UP_TO_128,
        ),
        backend(
            name="sdpa-efficient",
            shown_as="PyTorch",
            title="PyTorch's memory-efficient kernel, exact",
            load=_load_efficient,
            capabilities=VOLTA | TURING | _SINCE_AMPERE,
            gqa=False,
            max_batch_heads=65535,
            head_dims=_UP_TO_256,
        ),
    )


FAMILY = Family(_declare)
