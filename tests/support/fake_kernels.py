"""Kernels that are plain maths, for tests on any machine, and the wrong ones that every check must catch."""

from sagekit.check.reference import attention
from sagekit.kernels.backend import Backend, Kernel
from sagekit.kernels.call import ADDITIVE_MASK, BOOL_MASK
from sagekit.kernels.kinds import EXACT, QUANTISED

CPU_BACKEND = {
    "machine": (),
    "tolerance": 0.001,
    "kind": EXACT,
    "dtypes": frozenset({"float16", "bfloat16", "float32"}),
    "head_dims": range(1, 257),
    "masks": frozenset({BOOL_MASK, ADDITIVE_MASK}),
    "unit_stride": False,
}


class CpuBackend(Backend):
    """A declaration without the rule that a kernel runs on CUDA."""

    def reasons(self, call):
        return [reason for reason in super().reasons(call) if reason.code not in ("device", "capability")]


def backend(name: str = "fake", attend=None, attend_owned=None, **facts) -> Backend:
    """A backend that runs ``attend`` (default: float32 maths) on the CPU."""
    kernel = Kernel(attend or float32_attention, attend_owned)
    return CpuBackend(name=name, title=name, load=lambda: kernel, **(CPU_BACKEND | facts))


def float32_attention(q, k, v, *, mask=None, scale=None):
    """Attention as it is defined, in the dtype of q."""
    return attention(q, k, v, mask, scale).to(q.dtype)


def drops_the_mask(q, k, v, *, mask=None, scale=None):
    return float32_attention(q, k, v, mask=None, scale=scale)


def drops_the_scale(q, k, v, *, mask=None, scale=None):
    return float32_attention(q, k, v, mask=mask, scale=None)


def swaps_the_layout(q, k, v, *, mask=None, scale=None):
    out = float32_attention(q, k, v, mask=mask, scale=scale)
    return out.transpose(1, 2).reshape(out.shape)


def shifts_the_rows(q, k, v, *, mask=None, scale=None):
    return float32_attention(q, k, v, mask=mask, scale=scale).roll(1, dims=2)


def doubles(q, k, v, *, mask=None, scale=None):
    return 2 * float32_attention(q, k, v, mask=mask, scale=scale)


def rough(q, k, v, *, mask=None, scale=None):
    """4.5 % off: inside the budget of "balanced", and seen in the latent."""
    return 1.045 * float32_attention(q, k, v, mask=mask, scale=scale)


class Turning:
    """Right for a while, then NaN for ever."""

    def __init__(self, calls: int = 6) -> None:
        self.left = calls

    def __call__(self, q, k, v, *, mask=None, scale=None):
        self.left -= 1
        out = float32_attention(q, k, v, mask=mask, scale=scale)
        return out if self.left >= 0 else out * float("nan")


def is_cancelled(q, k, v, *, mask=None, scale=None):
    raise KeyboardInterrupt


def in_a_model() -> dict[str, dict]:
    """Facts of the kernels that tests put into a model, by name.

    "rough" shows in the latent where it ran; declared as quantised, so that exactness keeps it out.
    """
    return {
        "right": {},
        "rough": {"attend": rough, "kind": QUANTISED, "tolerance": 0.05},
        "wrong": {"attend": doubles, "kind": QUANTISED},
        "turning": {"attend": Turning(), "kind": QUANTISED},
        "stopping": {"attend": is_cancelled},
    }
