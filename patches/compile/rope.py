"""Rotary embedding inside the graph: Comfy Kitchen's operator replaced by the arithmetic that it stands for.

To inductor the operator is opaque: its kernel reads what the norm before it has just written. As arithmetic
it becomes the end of the norm's own kernel. What goes to our attention and nowhere else is also written in
the order in memory in which attention kernels then answer, (batch, length, heads, head_dim), so that joining
the heads copies nothing.
"""

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.fx import GraphModule, Node

# Where they stand among the arguments of our attention operator.
_Q, _K, _SKIP_RESHAPE = 0, 1, 5


def inductor(module: GraphModule, inputs: Sequence, *, mode: str | None = None, options: dict | None = None):
    """torch's backend of that name, given the graph with rotary embeddings as arithmetic."""
    from torch._inductor.compile_fx import compile_fx

    take_in(module)
    return compile_fx(module, inputs, config_patches=options)


def take_in(module: GraphModule) -> int:
    """Replaces the rotary embeddings of a graph where nobody can tell the difference; how many there were."""
    taken = 0
    for node in list(module.graph.nodes):
        turned = _turned_by(node)
        orders = [_order_of(part) for part, _ in turned]
        if not turned or None in orders:
            continue
        for (part, x), order in zip(turned, orders, strict=True):
            part.replace_all_uses_with(order(_Emitter(part), x, node.args[-1]))
            module.graph.erase_node(part)
        if node not in (part for part, _ in turned):
            module.graph.erase_node(node)
        taken += 1
    if taken:
        module.graph.lint()
        module.recompile()
    return taken


def _is(node: Node, library: str, name: str) -> bool:
    """Whether a node calls an operator, by its packet or by an overload of it."""
    target = getattr(node.target, "overloadpacket", node.target)
    packets = getattr(torch.ops, library)
    return node.op == "call_function" and hasattr(packets, name) and target is getattr(packets, name)


def _turned_by(node: Node) -> list[tuple[Node, Node]]:
    """What a rotary embedding gave, each with the tensor that it turned; empty for a node that is none."""
    if _is(node, "comfy_kitchen", "apply_rope1"):
        found = [(node, node.args[0])] if len(node.args) == 2 else []
    elif _is(node, "comfy_kitchen", "apply_rope"):
        parts = list(node.users) if len(node.args) == 3 else []
        if not all(part.target is operator.getitem for part in parts):
            return []
        found = [(part, node.args[part.args[1]]) for part in parts]
    else:
        return []
    values = [one.meta.get("example_value") for one in node.args]
    fits = all(isinstance(one, FakeTensor) for one in values) and values[-1].ndim == 6
    return found if fits and all(one.ndim == 4 for one in values[:-1]) else []


def _order_of(part: Node) -> Callable[["_Emitter", Node, Node], Node] | None:
    """How what an embedding gave may be written; None where its order in memory has to be the operator's."""
    if all(_attends_to(user, part) for user in part.users):
        return _length_first
    x = part.args[0] if _is(part, "comfy_kitchen", "apply_rope1") else part.args[0].args[part.args[1]]
    value = x.meta["example_value"]
    with value.fake_mode:
        # As the operator says what it gives; whoever looks at it next was traced with that.
        return _as_counted if torch.empty_like(value).is_contiguous() else None


def _attends_to(user: Node, part: Node) -> bool:
    if not _is(user, "sagekit", "attention") or not user.args[_SKIP_RESHAPE]:
        return False
    return all(one is not part for place, one in enumerate(user.args) if place not in (_Q, _K))


class _Emitter:
    """Puts calls into the graph before a node, each with the value that later passes look for."""

    def __init__(self, before: Node) -> None:
        self._before = before

    def __call__(self, function: Callable, *arguments: Any) -> Node:
        values = [one.meta["example_value"] if isinstance(one, Node) else one for one in arguments]
        with self._before.graph.inserting_before(self._before):
            made = self._before.graph.call_function(function, arguments)
        with values[0].fake_mode:
            made.meta["example_value"] = function(*values)
        return made


def _length_first(emit: _Emitter, x: Node, freqs: Node) -> Node:
    """(batch, heads, length, head_dim) turned, with length before heads in memory."""
    ops = torch.ops.aten
    swapped = emit(ops.transpose.int, _turned(emit, x, freqs), 1, 2)
    return emit(ops.transpose.int, emit(ops.contiguous.default, swapped), 1, 2)


def _as_counted(emit: _Emitter, x: Node, freqs: Node) -> Node:
    """x turned, its dimensions in memory in the order in which they are counted."""
    return emit(torch.ops.aten.contiguous.default, _turned(emit, x, freqs))


def _turned(emit: _Emitter, x: Node, freqs: Node) -> Node:
    """x turned by its position, as comfy_kitchen.apply_rope1 has it: in the dtype of freqs.

    Args:
        emit: Puts a call into the graph. Of operators alone: torch keeps no compiled code of other functions.
        x: (batch, heads, length, head_dim) or (batch, length, heads, head_dim).
        freqs: (..., head_dim / 2, 2, 2), each of the first three sizes that of x or 1; the third may be more,
            for positions that x does not have.
    """
    ops = torch.ops.aten
    value, table = x.meta["example_value"], freqs.meta["example_value"]
    if not _is_known(table.shape[2], value.shape[2]) and not _is_known(table.shape[2], 1):
        freqs = emit(ops.slice.Tensor, freqs, 2, 0, emit(ops.sym_size.int, x, 2))
    pairs = emit(ops.unflatten.int, emit(ops.to.dtype, x, table.dtype), -1, (-1, 2))
    even, odd = (emit(ops.unsqueeze.default, emit(ops.select.int, pairs, -1, place), -1) for place in (0, 1))
    by_even, by_odd = (emit(ops.select.int, freqs, -1, place) for place in (0, 1))
    turned = emit(ops.add.Tensor, emit(ops.mul.Tensor, by_even, even), emit(ops.mul.Tensor, by_odd, odd))
    return emit(ops.to.dtype, emit(ops.flatten.using_ints, turned, -2), value.dtype)


def _is_known(size, other) -> bool:
    """Whether two sizes are the same, whatever the sizes of later inputs."""
    from torch.fx.experimental.symbolic_shapes import statically_known_true

    return statically_known_true(size == other)
