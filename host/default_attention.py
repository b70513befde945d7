"""The attention that ComfyUI itself would run."""

import sys
from collections.abc import Callable, Iterable
from typing import Any

_MODULE = "comfy.ldm.modules.attention"


def default() -> Callable[..., Any]:
    """The function that ComfyUI chose at its start; it asks a MODEL's override first."""
    from comfy.ldm.modules import attention

    chosen: Callable[..., Any] = attention.optimized_attention
    return chosen


def default_itself() -> Callable[..., Any]:
    """The same without its look for overrides."""
    from comfy.ldm.modules import attention

    return attention.optimized_attention.__wrapped__  # type: ignore[no-any-return]


def is_any_set(flags: Iterable[str]) -> bool:
    """Whether ComfyUI was started with one of these options, named as attributes of its ``args``."""
    if _MODULE not in sys.modules:
        return False
    from comfy.cli_args import args

    return any(getattr(args, flag, False) for flag in flags)


def without_launch_flag(func: Callable[..., Any], flags: Callable[[], Iterable[str]]) -> Callable[..., Any]:
    """What ``func`` would be, had none of the flags made a flash or quantised kernel ComfyUI's default.

    Args:
        func: The host's own attention, as it is called.
        flags: Names those flags, as attributes of the host's ``args``.

    The order below is the one in which ComfyUI chooses at its start (comfy/ldm/modules/attention.py).
    """
    if _MODULE not in sys.modules:
        return func  # No ComfyUI, and so none of its flags.
    from comfy import model_management
    from comfy.cli_args import args
    from comfy.ldm.modules import attention

    is_default = func is getattr(attention.optimized_attention, "__wrapped__", None)
    if not is_default or not is_any_set(flags()):
        return func
    if model_management.xformers_enabled():
        own = attention.attention_xformers
    elif model_management.pytorch_attention_enabled():
        own = attention.attention_pytorch
    else:
        own = attention.attention_split if args.use_split_cross_attention else attention.attention_sub_quad
    return own  # type: ignore[no-any-return]
