"""FlashAttention 2, 3 and 4 where their packages are installed: exact, 16-bit."""

import importlib

from ...machine import Installed, missing
from ..backend import Backend, Kernel

_SINCE_AMPERE = frozenset({(8, 0), (8, 6), (8, 7), (8, 9), (9, 0), (10, 0), (12, 0), (12, 1)})


def _load(module: str):
    """A load() for ``flash_attn_func`` of a module; its layout is (batch, length, heads, head_dim)."""

    def load() -> Kernel:
        flash = importlib.import_module(module).flash_attn_func

        def attend(q, k, v, *, mask=None, scale=None):
            out = flash(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), softmax_scale=scale)
            # Older FlashAttention 3 and FlashAttention 4 return (out, logsumexp).
            return (out[0] if isinstance(out, tuple) else out).transpose(1, 2)

        return Kernel(attend)

    return load


def declare(packages: Installed) -> tuple[Backend, ...]:
    """One per generation of the library; their packages install side by side."""
    # The forward alone, built without float16 (fa3_fwd_config.py of 0.0.3): on PyPI, as the whole is not.
    forward_alone = "fa3-fwd" in packages and "flash-attn-3" not in packages
    common = {"exact": True, "tolerance": 0.01, "offset_limit": None}
    return (
        Backend(
            name="flash2",
            title="FlashAttention 2 package, exact",
            load=_load("flash_attn"),
            machine=missing(packages, "flash-attn"),
            capabilities=_SINCE_AMPERE,
            head_dims=range(8, 257, 8),
            head_dims_text="a multiple of 8 up to 256",
            **common,
        ),
        Backend(
            name="flash3",
            title="FlashAttention 3 package for Hopper, exact",
            load=_load("fa3_fwd_interface" if forward_alone else "flash_attn_interface"),
            machine=missing(packages, "flash-attn-3|fa3-fwd"),
            capabilities=frozenset({(9, 0)}),
            dtypes=frozenset({"bfloat16"} if forward_alone else {"float16", "bfloat16"}),
            head_dims=range(8, 257, 8),
            head_dims_text="a multiple of 8 up to 256",
            **common,
        ),
        Backend(
            name="flash4",
            title="FlashAttention 4 package for Hopper and Blackwell, exact",
            load=_load("flash_attn.cute"),
            machine=missing(packages, "flash-attn-4"),
            capabilities=frozenset({(9, 0), (10, 0)}),
            # flash_attn/cute/interface.py lists these.
            head_dims=frozenset({64, 96, 128}),
            head_dims_text="64, 96 or 128",
            **common,
        ),
    )
