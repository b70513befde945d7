"""How a function of SageAttention 2 is called, whichever package it came with."""

from collections.abc import Callable

from ..backend import Kernel
from ..tensors import Mask, Scale, Tensor
from ._half_range import undo, within
from ._layout import in_own_layout


def calling(kernel: Callable[..., Tensor], v_limit: float | None = None, **fixed: object) -> Kernel:
    """The function, called with named arguments that it declares and no other.

    Args:
        kernel: One of sageattn_qk_int8_pv_...
        v_limit: For kernels that cast v to float16, the largest magnitude that they can hold.
        fixed: Further arguments, the same at every call.
    """

    # No **kwargs: every function takes and drops any keyword that it does not know, a mask among them.
    @in_own_layout
    def attend(q: Tensor, k: Tensor, v: Tensor, layout: str, mask: Mask, scale: Scale) -> Tensor:
        v, factor = (v, None) if v_limit is None else within(v, v_limit)
        return undo(kernel(q, k, v, tensor_layout=layout, sm_scale=scale, **fixed), factor)

    return Kernel(attend)
