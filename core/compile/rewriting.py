"""What the rewrites of a captured graph share: recognising calls, and putting other calls in their place."""

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch.fx import Graph, Node
from torch.fx.node import map_arg

# Where dynamo leaves what a node gives, and where it is kept by what that is yet to be found out.
_VALUE, _FAKE_MODE = "example_value", "sagekit_fake_mode"
_IN_PLACE = {
    getattr(operator, f"i{name}")
    for name in (
        *("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul"),
        *("and", "or", "xor", "lshift", "rshift"),
    )
}


def is_operator(node: Node, library: str, name: str) -> bool:
    """Whether a node calls an operator, by its packet or by an overload of it."""
    target = getattr(node.target, "overloadpacket", node.target)
    packets = getattr(torch.ops, library)
    return node.op == "call_function" and hasattr(packets, name) and target is getattr(packets, name)


def is_untouched(since: Node, until: Node) -> bool:
    """Whether nothing between two nodes of a graph writes into a tensor that was there before."""
    node = since.next
    while node is not until:
        if node.op == "root" or _writes(node):
            return False
        node = node.next
    return True


def joined(x: Node, dim: int, until: Node) -> tuple[Node, Node] | None:
    """The two tensors that x joins, where they can be used in its place.

    Args:
        x: Any node.
        dim: The dimension along which they are to be joined.
        until: Where they would be used; nobody else looks at x, and nothing is written to before.
    """
    if x.target is not torch.cat or len(x.users) > 1 or not is_untouched(x, until):
        return None
    arguments: Any = x.args
    parts, *rest = arguments
    along: Any = rest[0] if rest else x.kwargs.get("dim", 0)
    dims = value_of(x).ndim
    return tuple(parts) if along % dims == dim % dims and len(parts) == 2 else None


def _writes(node: Node) -> bool:
    if node.op not in ("call_function", "call_method"):
        return node.op == "call_module"
    if node.kwargs.get("inplace") or node.kwargs.get("out") is not None:
        return True
    if node.target in _IN_PLACE or node.target in (operator.setitem, operator.delitem):
        return True
    overloads: list[Any] = [node.target]
    if isinstance(node.target, torch._ops.OpOverloadPacket):
        overloads = [getattr(node.target, name) for name in node.target.overloads()]
    if isinstance(overloads[0], torch._ops.OpOverload):
        return any(overload._schema.is_mutable for overload in overloads)
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "_")
    return name.endswith("_") and not name.endswith("__")


def is_known(size, other) -> bool:
    """Whether two sizes are the same, whatever the sizes of later inputs."""
    from torch.fx.experimental.symbolic_shapes import statically_known_true

    return statically_known_true(size == other)


def value_of(node: Any) -> Any:
    """What a node gives, as a fake tensor or several, or a size; None for what is no node.

    dynamo has left it with its own nodes. For one that was put in it is found out when somebody asks, as for
    few it is, since torch finds out all of them anew.
    """
    if not isinstance(node, Node):
        return None
    if _FAKE_MODE in node.meta:
        with node.meta.pop(_FAKE_MODE):
            target: Any = node.target
            arguments: Any = map_arg(node.args, value_of)
            named: Any = map_arg(node.kwargs, value_of)
            node.meta[_VALUE] = target(*arguments, **named)
    return node.meta.get(_VALUE)


def settle(graph: Graph) -> None:
    """Leaves with the nodes put into a graph what torch looks for.

    It keeps compiled code on disk where each method in the graph is called on what dynamo knows as a tensor.
    """
    for node in graph.nodes:
        if _FAKE_MODE in node.meta and any(user.op == "call_method" for user in node.users):
            value_of(node)
    for node in graph.nodes:
        node.meta.pop(_FAKE_MODE, None)


def erase_unused(*nodes: Node) -> None:
    """Takes those nodes out, in this order, that nobody looks at.

    torch.fx does so for a whole graph, but not knowing which methods write, it would take those out as well.
    """
    for node in dict.fromkeys(nodes):
        if not node.users:
            node.graph.erase_node(node)


class Emitter:
    """Puts calls into the graph before a node.

    Of operators alone: torch keeps no compiled code of other functions.
    """

    def __init__(self, before: Node, fake_mode) -> None:
        self.before = before
        self._fake_mode = fake_mode

    def __call__(self, function: Callable, *arguments: Any, **named: Any) -> Node:
        with self.before.graph.inserting_before(self.before):
            made = self.before.graph.call_function(function, arguments, named)
        made.meta[_FAKE_MODE] = self._fake_mode
        return made

    def size(self, x: Node, dim: int) -> "int | Node":
        """The size of a dimension: a number where it is one, else what reads it when the graph runs."""
        size = value_of(x).shape[dim]
        return size if isinstance(size, int) else self(torch.ops.aten.sym_size.int, x, dim)

    def added(self, one: "int | Node", other: "int | Node") -> "int | Node":
        """The sum of two sizes: a number where both are."""
        if isinstance(one, int) and isinstance(other, int):
            return one + other
        return self(operator.add, one, other)
