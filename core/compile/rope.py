"""Rotary embedding inside the graph: Comfy Kitchen's operator replaced by the arithmetic that it stands for.

To inductor the operator is opaque: its kernel reads what the norm before it has just written. As arithmetic
it becomes the end of the norm's own kernel. What goes to our attention and nowhere else is also written in
the order in memory in which attention kernels then answer, (batch, length, heads, head_dim), so that joining
the heads copies nothing. Where text and image have been joined before they are turned, each is turned by
itself and joined after: inductor then writes both in place, at the end of their own norms.
"""

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.fx import GraphModule, Node

from .rewriting import Emitter, erase_unused, is_known, is_operator, joined, value_of

# Where they stand among the arguments of our attention operator.
_Q, _K, _SKIP_RESHAPE = 0, 1, 5
_LENGTH = 2


def take_in(module: GraphModule) -> int:
    """Replaces the rotary embeddings of a graph where nobody can tell the difference; how many there were."""
    taken = 0
    for node in list(module.graph.nodes):
        turned = _turned_by(node)
        orders = [_order_of(part) for part, _ in turned]
        if not turned or None in orders:
            continue
        for (part, x), order in zip(turned, filter(None, orders), strict=True):
            part.replace_all_uses_with(order(Emitter(part, value_of(x).fake_mode), x, node.args[-1]))
            module.graph.erase_node(part)
        if node not in (part for part, _ in turned):
            module.graph.erase_node(node)
        erase_unused(*(x for _, x in turned if x.target is torch.cat))
        taken += 1
    if taken:
        module.graph.lint()
        module.recompile()
    return taken


def _turned_by(node: Node) -> list[tuple[Node, Node]]:
    """What a rotary embedding gave, each with the tensor that it turned; empty for a node that is none."""
    found: list[tuple[Node, Any]]
    if is_operator(node, "comfy_kitchen", "apply_rope1"):
        found = [(node, node.args[0])] if len(node.args) == 2 else []
    elif is_operator(node, "comfy_kitchen", "apply_rope"):
        parts = list(node.users) if len(node.args) == 3 else []
        if not all(part.target is operator.getitem for part in parts):
            return []
        found = [(part, node.args[_place(part)]) for part in parts]
    else:
        return []
    values = [value_of(one) for one in node.args]
    fits = all(isinstance(one, FakeTensor) for one in values) and values[-1].ndim == 6
    return found if fits and all(one.ndim == 4 for one in values[:-1]) else []


def _place(part: Node) -> int:
    """Which of what an embedding gave a node takes out."""
    place: Any = part.args[1]
    return int(place)


def _order_of(part: Node) -> Callable[[Emitter, Node, Node], Node] | None:
    """How what an embedding gave may be written; None where its order in memory has to be the operator's."""
    if all(_attends_to(user, part) for user in part.users):
        return _length_first
    x: Any = part.args[0]
    if not is_operator(part, "comfy_kitchen", "apply_rope1"):
        x = x.args[_place(part)]
    value = value_of(x)
    with value.fake_mode:
        # As the operator says what it gives; whoever looks at it next was traced with that.
        return _as_counted if torch.empty_like(value).is_contiguous() else None


def _attends_to(user: Node, part: Node) -> bool:
    if not is_operator(user, "sagekit", "attention") or not user.args[_SKIP_RESHAPE]:
        return False
    return all(one is not part for place, one in enumerate(user.args) if place not in (_Q, _K))


def _length_first(emit: Emitter, x: Node, freqs: Node) -> Node:
    """(batch, heads, length, head_dim) turned, with length before heads in memory."""
    ops, done = torch.ops.aten, []
    begin: int | Node = 0
    for part in joined(x, _LENGTH, emit.before) or (x,):
        end = emit.added(begin, emit.size(part, _LENGTH))
        turned = _turned(emit, part, freqs, begin, end)
        done.append(emit(ops.contiguous.default, emit(ops.transpose.int, turned, 1, 2)))
        begin = end
    whole = emit(ops.cat.default, done, 1) if len(done) > 1 else done[0]
    return emit(ops.transpose.int, whole, 1, 2)


def _as_counted(emit: Emitter, x: Node, freqs: Node) -> Node:
    """x turned, its dimensions in memory in the order in which they are counted."""
    turned = _turned(emit, x, freqs, 0, emit.size(x, _LENGTH))
    return emit(torch.ops.aten.contiguous.default, turned)


def _turned(emit: Emitter, x: Node, freqs: Node, begin: "int | Node", end: "int | Node") -> Node:
    """x turned by its position, as comfy_kitchen.apply_rope1 has it: in the dtype of freqs.

    Args:
        emit: Puts a call into the graph.
        x: (batch, heads, length, head_dim) or (batch, length, heads, head_dim).
        freqs: (..., head_dim / 2, 2, 2), each of the first three sizes that of x or 1; the third may be more,
            for positions that x does not have.
        begin: The first of the positions that are those of x.
        end: The one after the last of them.
    """
    ops = torch.ops.aten
    value, table = value_of(x), value_of(freqs)
    whole = begin == 0 and is_known(table.shape[_LENGTH], value.shape[_LENGTH])
    if not whole and not is_known(table.shape[_LENGTH], 1):
        freqs = emit(ops.slice.Tensor, freqs, _LENGTH, begin, end)
    pairs = emit(ops.unflatten.int, emit(ops.to.dtype, x, table.dtype), -1, (-1, 2))
    even, odd = (emit(ops.unsqueeze.default, emit(ops.select.int, pairs, -1, place), -1) for place in (0, 1))
    by_even, by_odd = (emit(ops.select.int, freqs, -1, place) for place in (0, 1))
    turned = emit(ops.add.Tensor, emit(ops.mul.Tensor, by_even, even), emit(ops.mul.Tensor, by_odd, odd))
    return emit(ops.to.dtype, emit(ops.flatten.using_ints, turned, -2), value.dtype)
