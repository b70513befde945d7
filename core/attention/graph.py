"""The override inside torch.compile: choosing, running, guarding and counting as one opaque operator.

A compiled graph outlives what it was traced with: ComfyUI drops the guards on transformer_options, so that a
graph traced with a patch may run without it, or with another one. The operator therefore holds no state. Each
time it runs it asks which patch the running forward belongs to; without one it is the host's own attention.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from ...host.arguments import KNOWN
from ...host.default_attention import default_itself
from ...host.options import KEY as OPTIONS_KEY

_HONOURED = KNOWN - {"q", "k", "v", "preferred_attention"}
_SCHEMA = (
    "attention(Tensor q, Tensor k, Tensor v, Tensor? mask, int heads, bool skip_reshape, "
    "bool skip_output_reshape, float? scale, bool enable_gqa, bool exact, bool upcast) -> Tensor"
)
_CALL_KEY = "sagekit_call"
_running = threading.local()


@contextmanager
def running(attend: Callable[..., Any], options: dict[str, Any]) -> Iterator[None]:
    """Tells the operator, in this thread and until the block ends, whose forward it runs in.

    Args:
        attend: The eager part of an override.
        options: What a call of that forward would find in its transformer_options.
    """
    before = getattr(_running, "now", None)
    _running.now = (attend, options, [0])
    try:
        yield
    finally:
        _running.now = before


def call_number(options: dict[str, Any]) -> int | None:
    """Which call of its forward this is, from 1 on, inside a compiled graph; None outside."""
    return options.get(_CALL_KEY)


def _attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    heads: int,
    skip_reshape: bool,
    skip_output_reshape: bool,
    scale: float | None,
    enable_gqa: bool,
    exact: bool,
    upcast: bool,
) -> Tensor:
    named: dict[str, Any] = {
        "skip_reshape": skip_reshape,
        "skip_output_reshape": skip_output_reshape,
        "mask": mask,
    }
    named |= {"attn_precision": torch.float32} if upcast else {}
    named |= {"scale": scale} if scale is not None else {}
    named |= {"enable_gqa": True} if enable_gqa else {}
    named |= {"low_precision_attention": False} if exact else {}
    host = default_itself()
    now = getattr(_running, "now", None)
    if now is None or (q.is_cuda and torch.cuda.is_current_stream_capturing()):
        # What a CUDA graph replays is never looked at again: only the host's own may be in it.
        out = host(q, k, v, heads, _inside_attn_wrapper=True, **named)
    else:
        attend, options, calls = now
        calls[0] += 1
        options = {**options, _CALL_KEY: calls[0]}
        out = attend(host, q, k, v, heads, **{OPTIONS_KEY: options}, _inside_attn_wrapper=True, **named)
    # As the graph was told below; a kernel may answer in another layout.
    answer: Tensor = out.contiguous()
    return answer


def _like_the_answer(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    heads: int,
    skip_reshape: bool,
    skip_output_reshape: bool,
    scale: float | None,
    enable_gqa: bool,
    exact: bool,
    upcast: bool,
) -> Tensor:
    batch, length, width = (q.shape[0], q.shape[2], q.shape[1] * q.shape[3]) if skip_reshape else q.shape
    if skip_output_reshape:
        return q.new_empty(batch, heads, length, width // heads)
    return q.new_empty(batch, length, width)


def _registered() -> tuple[torch.library.Library, Callable[..., Tensor]] | None:
    """The operator; None where this torch cannot have one, or another copy of the pack has it."""
    try:
        library = torch.library.Library("sagekit", "DEF")
        tags = [tag for tag in (getattr(torch.Tag, "cudagraph_unsafe", None),) if tag is not None]
        library.define(_SCHEMA, tags=tags)
        library.impl("attention", _attention, "CompositeExplicitAutograd")
        torch.library.register_fake("sagekit::attention", _like_the_answer, lib=library)
        return library, torch.ops.sagekit.attention.default
    except (AttributeError, RuntimeError, TypeError):
        return None


_REGISTERED = _registered()
OPERATOR: Callable[..., Tensor] | None = _REGISTERED[1] if _REGISTERED else None


def fits(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether the operator stands for a call; traced, so nothing but plain tests."""
    if OPERATOR is None or func is not default_itself() or len(args) < 3:
        return False
    if args[1].shape[-1] != args[2].shape[-1]:
        return False  # The answer would have the width of v, and the operator promises that of q.
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in args[:3]):
        return False
    return all(name in _HONOURED for name in kwargs)


def call(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    heads: int,
    mask: Tensor | None = None,
    attn_precision: torch.dtype | None = None,
    skip_reshape: bool = False,
    skip_output_reshape: bool = False,
    **kwargs: Any,
) -> Tensor:
    """Puts a call that ``fits`` into the graph that is being traced."""
    assert OPERATOR is not None
    exact = kwargs.get("low_precision_attention", True) is False
    scale = kwargs.get("scale")
    return OPERATOR(
        q,
        k,
        v,
        mask,
        heads,
        skip_reshape,
        skip_output_reshape,
        None if scale is None else float(scale),
        bool(kwargs.get("enable_gqa", False)),
        exact,
        attn_precision is torch.float32,
    )
