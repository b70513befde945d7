"""Reads the arguments of ComfyUI's attention functions into the facts of a call, and into one layout.

``f(q, k, v, heads, mask=None, attn_precision=None, skip_reshape=False, skip_output_reshape=False, **kwargs)``
is their form in every host (comfy/ldm/modules/attention.py). q is (batch, q_len, heads * head_dim), or with
``skip_reshape`` (batch, heads, q_len, head_dim); the output is (batch, q_len, heads * head_dim), or with
``skip_output_reshape`` (batch, heads, q_len, head_dim).
"""

from typing import Any, NamedTuple

import torch

from ..kernels.call import ADDITIVE_MASK, BOOL_MASK, NO_MASK, Call
from ..machine.reason import Reason
from .capabilities import ignored
from .catalogue import REASONS

# Keywords whose meaning is honoured here. Any other may change the result, so such a call goes to the
# host, which knows it.
KNOWN = frozenset(
    {
        "q",
        "k",
        "v",
        "heads",
        "mask",
        "attn_precision",
        "skip_reshape",
        "skip_output_reshape",
        "transformer_options",
        "low_precision_attention",
        "enable_gqa",
        "scale",
        "_inside_attn_wrapper",
        "preferred_attention",
    }
)


class Arguments(NamedTuple):
    """The arguments of one call, by name."""

    q: torch.Tensor
    k: torch.Tensor
    v: torch.Tensor
    heads: Any
    mask: Any
    skip_reshape: bool
    skip_output_reshape: bool
    scale: Any
    gqa: bool
    exact: bool
    unknown: frozenset[str]

    def key(self, exact: bool) -> tuple[Any, ...]:
        """What a plan may depend on: equal keys, equal plans."""
        q, k, v, mask = self.q, self.k, self.v, self.mask
        return (
            q.shape,
            k.shape,
            v.shape,
            q.stride(),
            k.stride(),
            v.stride(),
            q.dtype,
            k.dtype,
            v.dtype,
            q.device,
            k.device,
            v.device,
            self.heads,
            self.skip_reshape,
            self.skip_output_reshape,
            self.scale,
            self.gqa,
            exact,
            self.unknown,
            None if mask is None else (mask.shape, mask.dtype, mask.device),
            torch.is_grad_enabled() and (q.requires_grad or k.requires_grad or v.requires_grad),
        )


def read(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments | None:
    """The arguments by name, wherever the caller put them; None where q, k, v are no plain tensors."""
    given = len(args)
    q, k, v = args[:3] if given >= 3 else (kwargs.get("q"), kwargs.get("k"), kwargs.get("v"))
    mask = args[4] if given > 4 else kwargs.get("mask")
    scale, gqa = kwargs.get("scale"), bool(kwargs.get("enable_gqa", False))
    if not_read := ignored():
        scale, gqa = None if "scale" in not_read else scale, gqa and "enable_gqa" not in not_read
    tensor = torch.Tensor
    if not (isinstance(q, tensor) and isinstance(k, tensor) and isinstance(v, tensor)):
        return None
    if mask is not None and not isinstance(mask, tensor):
        return None
    unknown = frozenset() if kwargs.keys() <= KNOWN else frozenset(kwargs.keys() - KNOWN)
    if not (scale is None or isinstance(scale, (int, float))):
        scale, unknown = None, unknown | {"scale"}
    precision = args[5] if given > 5 else kwargs.get("attn_precision")
    return Arguments(
        q,
        k,
        v,
        args[3] if given > 3 else kwargs.get("heads"),
        mask,
        bool(args[6] if given > 6 else kwargs.get("skip_reshape", False)),
        bool(args[7] if given > 7 else kwargs.get("skip_output_reshape", False)),
        scale,
        gqa,
        kwargs.get("low_precision_attention", True) is False or precision is torch.float32,
        unknown,
    )


def facts(given: Arguments, exact: bool) -> Call | Reason:
    """The facts of the call, or the reason for which only the host can make sense of it."""
    if given.unknown:
        return REASONS("unknown-argument", arguments=tuple(sorted(given.unknown)))
    shapes = _shapes(given)
    if isinstance(shapes, Reason):
        return shapes
    q, k, v = given.q, given.k, given.v
    if not (q.dtype == k.dtype == v.dtype and q.device == k.device == v.device):
        return REASONS("mixed-inputs", dtypes=tuple(str(one.dtype) for one in (q, k, v)))
    mask = _mask_kind(given.mask, shapes, q.device)
    if isinstance(mask, Reason):
        return mask
    is_cuda = q.device.type == "cuda" and torch.version.hip is None
    return Call(
        *shapes,
        dtype=str(q.dtype).removeprefix("torch."),
        device="hip" if q.device.type == "cuda" and not is_cuda else q.device.type,
        capability=torch.cuda.get_device_capability(q.device) if is_cuda else None,
        gpu=torch.cuda.get_device_name(q.device) if is_cuda else "",
        mask=mask,
        scale=given.scale,
        needs_exact=exact,
        needs_grad=torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (q, k, v)),
        unit_stride=all(tensor.stride(-1) == 1 for tensor in (q, k, v)),
        max_offset=max(map(_last_offset, (q, k, v))),
    )


def _shapes(given: Arguments) -> tuple[int, int, int, int, int, int] | Reason:
    """(batch, heads, kv_heads, q_len, kv_len, head_dim)."""
    q, k, v = (tuple(tensor.shape) for tensor in (given.q, given.k, given.v))
    odd = REASONS("layout", q=str(q), k=str(k), v=str(v), heads=str(given.heads))
    dims = 4 if given.skip_reshape else 3
    if not (len(q) == len(k) == len(v) == dims) or k != v or q[0] != k[0] or 0 in q + k:
        return odd
    if given.skip_reshape:
        (batch, heads, q_len, head_dim), (_, kv_heads, kv_len, k_dim) = q, k
        if given.heads != heads and not given.skip_output_reshape:
            return odd  # The host puts the answer into so many heads as it is told, whatever q has.
    else:
        if not isinstance(given.heads, int) or given.heads < 1 or q[2] % given.heads:
            return odd
        batch, q_len, heads, head_dim = q[0], q[1], given.heads, q[2] // given.heads
        if k[2] % head_dim:
            return odd
        kv_len, kv_heads, k_dim = k[1], k[2] // head_dim, head_dim
    if k_dim != head_dim or heads % kv_heads or (kv_heads != heads and not given.gqa):
        return odd
    return batch, heads, kv_heads, q_len, kv_len, head_dim


def _mask_kind(mask: Any, shapes: tuple[int, ...], device: torch.device) -> str | Reason:
    if mask is None:
        return NO_MASK
    batch, heads, _, q_len, kv_len, _ = shapes
    shape = tuple(mask.shape)
    full = (batch, 1, q_len, kv_len) if mask.ndim == 3 else (batch, heads, q_len, kv_len)
    padded = {2: (1, 1, *shape), 3: (shape[0], 1, *shape[1:]), 4: shape}.get(mask.ndim)
    if padded is None or any(size not in (1, whole) for size, whole in zip(padded, full, strict=True)):
        return REASONS("mask-shape", whole=str(full), shape=str(shape))
    if mask.device != device:
        return REASONS("mask-device", device=str(device), mask_device=str(mask.device))
    if mask.dtype == torch.bool:
        return BOOL_MASK
    if mask.is_floating_point():
        return ADDITIVE_MASK
    return REASONS("mask-dtype", dtype=str(mask.dtype))


def _last_offset(tensor: torch.Tensor) -> int:
    return sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))


def heads_apart(tensor: torch.Tensor, call: Call, kv: bool, skip_reshape: bool) -> torch.Tensor:
    """The tensor as (batch, heads, length, head_dim), a view."""
    if skip_reshape:
        return tensor
    heads, length = (call.kv_heads, call.kv_len) if kv else (call.heads, call.q_len)
    return tensor.view(call.batch, length, heads, call.head_dim).transpose(1, 2)


def heads_joined(out: torch.Tensor, call: Call, skip_output_reshape: bool) -> torch.Tensor:
    """(batch, heads, q_len, head_dim) in the form the caller expects."""
    if skip_output_reshape:
        return out
    return out.transpose(1, 2).reshape(call.batch, call.q_len, call.heads * call.head_dim)


def broadcastable(mask: torch.Tensor | None) -> torch.Tensor | None:
    """The mask with 4 dimensions: 2-D is (q_len, kv_len), 3-D is (batch, q_len, kv_len)."""
    if mask is None or mask.ndim == 4:
        return mask
    return mask[None, None] if mask.ndim == 2 else mask[:, None]
