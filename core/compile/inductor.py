"""torch's backend ``inductor`` with what the pack rewrites in a graph before it."""

from collections.abc import Sequence

from torch.fx import GraphModule

from . import linear, rope
from .rewriting import settle


def inductor(module: GraphModule, inputs: Sequence, *, mode: str | None = None, options: dict | None = None):
    """torch's backend of that name, given the graph as rewritten by ``rope`` and ``linear``."""
    from torch._inductor.compile_fx import compile_fx

    rope.take_in(module)
    linear.take_in(module, inputs)
    settle(module.graph)
    return compile_fx(module, inputs, config_patches=options)
