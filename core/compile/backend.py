"""Whom torch hands each graph: the backend that the user named, with what the pack rewrites before it."""

from typing import Any

from torch.fx import GraphModule

from . import linear, rope
from .rewriting import settle


class Family:
    """Models of one architecture and size: graphs of functions that their blocks call are right for all.

    Attributes:
        models: How many there are that have something compiled.
    """

    def __init__(self) -> None:
        self.models = 0


class Backend:
    """One of torch's, for the models of one family; torch finds an equal one's graphs and no others.

    Attributes:
        family: By which the graphs are found that have to go with its last model.
    """

    def __init__(self, name: str, family: Family) -> None:
        self.__name__ = name  # As torch calls it in its own messages.
        self.family = family

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Backend) and self._told_apart == other._told_apart

    def __hash__(self) -> int:
        return hash(self._told_apart)

    @property
    def _told_apart(self) -> tuple[str, int]:
        return self.__name__, id(self.family)

    def __call__(self, module: GraphModule, inputs: list[Any], **given: Any) -> Any:
        """The compiled graph."""
        if self.__name__ == "inductor":
            return inductor(module, inputs, **given)
        from torch._dynamo import lookup_backend

        return lookup_backend(self.__name__)(module, inputs, **given)


def inductor(
    module: GraphModule,
    inputs: list[Any],
    *,
    mode: str | None = None,
    options: dict[str, Any] | None = None,
) -> Any:
    """torch's backend of that name, given the graph as rewritten by ``rope`` and ``linear``."""
    from torch._inductor.compile_fx import compile_fx

    rope.take_in(module)
    linear.take_in(module, inputs)
    settle(module.graph)
    return compile_fx(module, inputs, config_patches=options)
