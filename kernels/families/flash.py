"""FlashAttention 2, 3 and 4 where their packages are installed: exact, 16-bit."""

import importlib
from collections.abc import Callable
from functools import partial

from ...machine import Distribution, Installed, Module, missing
from ..backend import Backend, Kernel
from ..family import Family, InComfyUI
from ..gpus import B200, HOPPER, SINCE_AMPERE
from ..kinds import EXACT
from ..tensors import Mask, Scale, Tensor


def _load(module: str) -> Callable[[], Kernel]:
    """A load() for ``flash_attn_func`` of a module; its layout is (batch, length, heads, head_dim)."""

    def load() -> Kernel:
        flash = importlib.import_module(module).flash_attn_func

        def attend(q: Tensor, k: Tensor, v: Tensor, *, mask: Mask = None, scale: Scale = None) -> Tensor:
            out = flash(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), softmax_scale=scale)
            # Older FlashAttention 3 and FlashAttention 4 return (out, logsumexp).
            return (out[0] if isinstance(out, tuple) else out).transpose(1, 2)

        return Kernel(attend)

    return load


def _declare(packages: Installed) -> tuple[Backend, ...]:
    """One per generation of the library; their packages install side by side."""
    # The forward alone, built without float16 (fa3_fwd_config.py of 0.0.3): on PyPI, as the whole is not.
    forward_alone = "fa3-fwd" in packages and "flash-attn-3" not in packages
    backend = partial(Backend, kind=EXACT, tolerance=0.01, offset_limit=None)
    return (
        backend(
            name="flash2",
            shown_as="Flash 2",
            title="FlashAttention 2 package, exact",
            load=_load("flash_attn"),
            machine=missing(packages, "flash-attn"),
            capabilities=SINCE_AMPERE,
            head_dims=range(8, 257, 8),
        ),
        backend(
            name="flash3",
            shown_as="Flash 3",
            title="FlashAttention 3 package for Hopper, exact",
            load=_load("fa3_fwd_interface" if forward_alone else "flash_attn_interface"),
            machine=missing(packages, "flash-attn-3|fa3-fwd"),
            capabilities=HOPPER,
            dtypes=frozenset({"bfloat16"} if forward_alone else {"float16", "bfloat16"}),
            head_dims=range(8, 257, 8),
        ),
        backend(
            name="flash4",
            shown_as="Flash 4",
            title="FlashAttention 4 package for Hopper and Blackwell, exact",
            load=_load("flash_attn.cute"),
            machine=missing(packages, "flash-attn-4"),
            capabilities=HOPPER | B200,
            # flash_attn/cute/interface.py lists these.
            head_dims=frozenset({64, 96, 128}),
        ),
    )


def _load_for_comfyui() -> Kernel:
    from flash_attn import flash_attn_func

    def attend(q: Tensor, k: Tensor, v: Tensor, *, mask: Mask = None, scale: Scale = None) -> Tensor:
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        return flash_attn_func(q, k, v, dropout_p=0.0, causal=False, softmax_scale=scale).transpose(1, 2)

    return Kernel(attend)


_SIGN = b"flash_attn_func"
FAMILY = Family(
    _declare,
    distributions=(
        Distribution("flash-attn", Module("flash_attn", _SIGN, files=("flash_attn_2_cuda",))),
        Distribution("flash-attn-3", Module("flash_attn_interface", _SIGN, files=("flash_attn_3",))),
        Distribution("fa3-fwd", Module("fa3_fwd_interface", _SIGN, files=("fa3_fwd",))),
        Distribution("flash-attn-4", Module("flash_attn.cute", _SIGN)),
    ),
    in_comfyui=(
        InComfyUI(
            "flash-attn",
            ("flash_attn",),
            ("flash_attn_func",),
            flag="use_flash_attention",
            load=_load_for_comfyui,
            exact=True,
        ),
    ),
)
