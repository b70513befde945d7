"""Attention overrides that other packs, or ComfyUI's own node, have put on a model."""

import re
from collections.abc import Callable
from typing import Any

from .closure import held_by

# Names of functions: KJNodes' attention_override_sage, ComfyUI's attention_sage, attention3_sage and
# attention_comfy_kitchen_int8; no message and no usage.
_QUANTISED = re.compile(r"(?<!mes)(?<!u)sage|kitchen|int8|fp8|fp4", re.IGNORECASE)


def quantises(override: Callable[..., Any]) -> bool:
    """Whether an override is known to run a quantised kernel, by its name and those of what it holds.

    One that is not known may be there for what it computes (sparse, regional), and is left its calls.
    """
    return any(_QUANTISED.search(name) for name in _names(override))


def name(override: Callable[..., Any]) -> str:
    """What tells an override from others in a file of times."""
    return f"override {getattr(override, '__qualname__', type(override).__qualname__)}"


def _names(override: Callable[..., Any]) -> list[str]:
    """The qualified names of a function and of the functions in its closure.

    ComfyUI's own node wraps the function that it was asked for.
    """
    return [getattr(one, "__qualname__", "") for one in (override, *held_by(override)) if callable(one)]
