"""torch's backend ``inductor`` with what the pack rewrites in a graph before it."""

from collections.abc import Sequence

from torch.fx import GraphModule

from . import rope
from .rewriting import settle


def inductor(module: GraphModule, inputs: Sequence, *, mode: str | None = None, options: dict | None = None):
    """torch's backend of that name, given the graph as rewritten by ``rope``."""
    from torch._inductor.compile_fx import compile_fx

    rope.take_in(module)
    settle(module.graph)
    return compile_fx(module, inputs, config_patches=options)
