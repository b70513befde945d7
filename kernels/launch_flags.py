"""The kernels behind ComfyUI's launch flags, checked as ComfyUI itself would call them.

A flag sends every call of every model to one function. ComfyUI catches what it raises and uses PyTorch's
attention instead, so raising at some calls is no fault here; crashing, hanging, answering wrongly and
raising at every call are.
"""

from ..machine import Installed, missing
from ..machine.reason import Reason
from .backend import Backend, Kernel
from .call import Call

# Flag of ComfyUI (comfy/cli_args.py), and the entry here that stands for it.
FLAGS = {"use_sage_attention": "flag-sage", "use_flash_attention": "flag-flash"}


class _AnyDevice(Backend):
    """Takes what ComfyUI would hand over: any device and size, no mask (ComfyUI keeps those)."""

    def reasons(self, call: Call) -> list[Reason]:
        masked = [Reason("mask", "no mask", call.mask)] if call.mask not in ("none",) else []
        grouped = [Reason("gqa", "as many kv heads", "fewer")] if call.heads != call.kv_heads else []
        return [*self.machine, *masked, *grouped]


def _load_sage() -> Kernel:
    from sageattention import sageattn

    def attend(q, k, v, *, mask=None, scale=None):
        # Version 1 subtracts the mean from the caller's k unless told not to, as ComfyUI does.
        return sageattn(q, k, v, tensor_layout="HND", is_causal=False, sm_scale=scale, smooth_k=False)

    return Kernel(attend)


def _load_flash() -> Kernel:
    from flash_attn import flash_attn_func

    def attend(q, k, v, *, mask=None, scale=None):
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        return flash_attn_func(q, k, v, dropout_p=0.0, causal=False, softmax_scale=scale).transpose(1, 2)

    return Kernel(attend)


def declare(packages: Installed) -> tuple[Backend, ...]:
    """One entry for each flag."""
    return (
        _AnyDevice(
            name="flag-sage",
            title="--use-sage-attention",
            load=_load_sage,
            machine=missing(packages, "sageattention"),
            # What ComfyUI runs under the flag is what the user sees in every model: no looser than the
            # widest budget of the node.
            tolerance=0.10,
            may_raise=True,
            hard_data=False,
        ),
        _AnyDevice(
            name="flag-flash",
            title="--use-flash-attention",
            load=_load_flash,
            machine=missing(packages, "flash-attn"),
            tolerance=0.01,
            may_raise=True,
            hard_data=False,
            exact=True,
        ),
    )
