"""Which of the two layouts a tensor lies in, so that a kernel writes its output in the same one."""

from collections.abc import Callable

from ..backend import Attend
from ..tensors import Mask, Scale, Tensor

# (q, k, v, layout, mask, scale): the tensors and the output in the layout named, "HND" or "NHD".
AttendInLayout = Callable[[Tensor, Tensor, Tensor, str, Mask, Scale], Tensor]


def is_nhd(tensor: Tensor) -> bool:
    """Whether (batch, heads, length, head_dim) is a transposed view of (batch, length, heads, head_dim).

    A model that projects to (batch, length, heads * head_dim) gives such views. A kernel told NHD
    returns its output that way round too, and joining the heads again is then free.
    """
    return tensor.shape[1] > 1 and tensor.stride(1) < tensor.stride(2)


def in_own_layout(attend: AttendInLayout) -> Attend:
    """Wraps ``attend(q, k, v, layout, mask, scale)`` for (batch, heads, length, head_dim) tensors.

    Args:
        attend: Gets q, k, v in the layout named, and returns its output in it.
    """

    def attend_hnd(q: Tensor, k: Tensor, v: Tensor, *, mask: Mask = None, scale: Scale = None) -> Tensor:
        if not is_nhd(q):
            return attend(q, k, v, "HND", mask, scale)
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        return attend(q, k, v, "NHD", mask, scale).transpose(1, 2)

    return attend_hnd
