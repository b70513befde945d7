"""SageAttention 3: FP4 attention for Blackwell."""

from ...machine import Installed, missing
from ..backend import Backend, Kernel


def _load(per_block_mean: bool):
    def load() -> Kernel:
        from sageattn3 import sageattn3_blackwell

        def attend(q, k, v, *, mask=None, scale=None):
            # Smoothed into a new tensor first: the package subtracts the mean from the caller's own k.
            smooth_k = k - k.mean(dim=-2, keepdim=True)
            return sageattn3_blackwell(q, smooth_k, v, is_causal=False, per_block_mean=per_block_mean)

        return Kernel(attend)

    return load


def declare(packages: Installed) -> tuple[Backend, ...]:
    """With one mean of q per block of 128 rows, and with one per head."""
    common = {
        "machine": missing(packages, "sageattn3", "triton|triton-windows"),
        # The authors' own figure, cosine similarity 0.9955, is a relative error of 0.095
        # (SageAttention3, arXiv 2505.11594, table of attention accuracy). Not measured here.
        "tolerance": 0.10,
        # A B200 (10.0) is refused by the package itself (thu-ml/SageAttention#346).
        "capabilities": frozenset({(12, 0), (12, 1)}),
        "head_dims": frozenset({64, 128}),
        "head_dims_text": "64 or 128",
        "gqa": False,
        # api.py fixes the scale at head_dim ** -0.5 and takes no argument for it.
        "any_scale": False,
    }
    return (
        Backend(
            name="sage3-fp4-block-mean",
            title="SageAttention 3: FP4, mean of q per block",
            load=_load(per_block_mean=True),
            **common,
        ),
        Backend(
            name="sage3-fp4",
            title="SageAttention 3: FP4, one mean of q",
            load=_load(per_block_mean=False),
            **common,
        ),
    )
