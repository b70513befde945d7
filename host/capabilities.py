"""What the ComfyUI that runs can do, found out by looking at it and never by its version."""

import contextlib
import functools
import importlib
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager

_ATTENTION, _PREFETCH = "comfy.ldm.modules.attention", "comfy.model_prefetch"
# Keywords of an attention call that hosts before 0.4 take and do not look at.
OFTEN_IGNORED = frozenset({"scale", "enable_gqa"})


@functools.cache
def ignored() -> frozenset[str]:
    """Those of ``OFTEN_IGNORED`` that the host's own attention does not read: no name of them in its code.

    A kernel that honoured one would compute another image than the host. None without a ComfyUI.
    """
    module = sys.modules.get(_ATTENTION)
    if module is None:
        return frozenset()
    function = module.attention_pytorch
    code = getattr(function, "__wrapped__", function).__code__
    read = {name for one in (*code.co_consts, code.co_varnames) for name in _names(one)}
    return OFTEN_IGNORED - read


def _names(constant: object) -> tuple[object, ...]:
    return constant if isinstance(constant, tuple) else (constant,)


def unrecorded() -> AbstractContextManager[None]:
    """A context for allocations that outlive the block of a model in which they are made.

    Newer hosts record what a block allocates, to have it ready in the next step, and end the process where
    something of it is still held at the block's end. What is allocated in here they do not look at.
    """
    return _pause()()


@functools.cache
def _pause() -> Callable[[], AbstractContextManager[None]]:
    """The host's own way to make it look away; nothing to be done on a host that does not record."""
    try:
        module = importlib.import_module(_PREFETCH) if "comfy" in sys.modules else None
    except ImportError:
        module = None
    pause: Callable[[], AbstractContextManager[None]] | None = getattr(module, "pause_malloc_graph", None)
    return pause or contextlib.nullcontext
