"""Functions of other packs that a compiled block would call, and what is done about them."""

import functools
from collections.abc import Callable
from typing import Any

import torch

from .options import KEY, OVERRIDE_KEY

# Where the override of another pack stands while ``_outside_graph`` has its place.
FOREIGN_KEY = "sagekit_override"
# Lists of functions that ComfyUI's networks call around their blocks, never inside one.
_AROUND_BLOCKS = frozenset(
    {
        "double_block",
        "single_block",
        "emb_patch",
        "forward_timestep_embed_patch",
        "input_block_patch",
        "input_block_patch_after_skip",
        "middle_block_after_patch",
        "noise_refiner",
        "output_block_patch",
        "post_input",
    }
)


def inside_blocks(options: dict[str, Any]) -> list[str]:
    """Names of the patches of other packs that run inside blocks.

    Traced into a graph, such a function would go on with the block number and the conditioning that it saw
    when the graph was made.
    """
    lists = [name for name, functions in options.get("patches", {}).items() if functions]
    replaced = [name for name, functions in options.get("patches_replace", {}).items() if functions]
    return sorted({name for name in lists if name not in _AROUND_BLOCKS} | (set(replaced) - {"dit"}))


def with_override_outside(options: dict[str, Any]) -> dict[str, Any]:
    """The options with another pack's attention override called outside the graph; ours knows graphs."""
    override = options.get(OVERRIDE_KEY)
    if override is None or hasattr(override, "sagekit_previous"):
        return options
    return {**options, OVERRIDE_KEY: _outside_graph(), FOREIGN_KEY: override}


@functools.cache
def _outside_graph() -> Callable[..., Any]:
    """One function for every override there will be, so that another one needs no other graph."""

    def override(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return kwargs[KEY][FOREIGN_KEY](func, *args, **kwargs)

    outside: Callable[..., Any] = torch.compiler.disable(override)  # type: ignore[no-untyped-call]
    return outside
