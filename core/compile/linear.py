"""Linear layers inside the graph: activation and joining become part of the multiplication.

GELU after a linear layer is a pass over memory of its own, since inductor fuses nothing into cuBLAS. cuBLAS
has it as the end of the multiplication (``aten._addmm_activation``), on the float32 sums before they are
rounded. Where GELU takes one of two parts of what a layer gives, each part becomes a layer of its own.

A layer over two joined tensors first writes them side by side. As two layers, added, it need not.
"""

import functools
import logging
import operator
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as functional
from torch._subclasses.fake_tensor import FakeTensor
from torch.fx import GraphModule, Node

from ...check.reference import relative_error
from ...kernels.faults import leaves_the_gpu_usable
from .rewriting import Emitter, erase_unused, joined, value_of

log = logging.getLogger(__name__)

_LINEAR = functional.linear
_ACTIVATION = torch.ops.aten._addmm_activation.default
_SPLIT = (torch.split, torch.chunk, "split", "chunk")
# Where cuBLAS has GELU as the end of a multiplication: on a GPU, in 16 bit.
_DEVICE = "cuda"
_DTYPES = (torch.bfloat16, torch.float16)
# GELU by tanh, as cuBLAS has it, and by erf differ by less, and so do a rounding more or less.
_CLOSE = 0.01
# Numbers between the beginnings of two parts of a row: cuBLAS and its loads take 16 bytes at once.
_ALIGNED = 8


def take_in(module: GraphModule, inputs: Sequence) -> int:
    """Rewrites the linear layers of a graph that gain from it; how many there were.

    Args:
        module: As dynamo captured it.
        inputs: What it is to be called with first.
    """
    # The operator has no derivative.
    trained = torch.is_grad_enabled() and any(getattr(one, "requires_grad", False) for one in inputs)
    if trained or torch.version.hip is not None:
        return 0
    taken = sum(
        _with_activation(node) or _over_parts(node) for node in list(module.graph.nodes) if _is_layer(node)
    )
    if taken:
        module.graph.lint()
        module.recompile()
    return taken


def _is_layer(node: Node) -> bool:
    """Whether a node is a linear layer with a bias that runs in cuBLAS in 16 bit."""
    if node.op != "call_function" or node.target is not _LINEAR or len(node.args) != 3 or node.kwargs:
        return False
    values = [value_of(one) for one in node.args]
    if not all(isinstance(one, FakeTensor) and one.device.type == _DEVICE for one in values):
        return False
    x, weight, bias = values
    fits = x.ndim >= 2 and weight.ndim == 2 and bias.ndim == 1 and weight.is_contiguous()
    aligned = all(isinstance(size, int) and size % _ALIGNED == 0 for size in weight.shape)
    return fits and aligned and x.dtype in _DTYPES and {one.dtype for one in values} == {x.dtype}


def _has_gelu(node: Node) -> bool:
    """Whether cuBLAS has GELU as the end of this layer's multiplication."""
    x = value_of(node)
    accumulates = getattr(torch.backends.cuda.matmul, "allow_fp16_accumulation", None)
    return _gives_gelu(x.device, x.dtype, accumulates)


@functools.cache
def _gives_gelu(device: torch.device, dtype: torch.dtype, accumulates: bool | None) -> bool:
    """Whether the operator gives there what a layer and GELU give: tried once, on 64 rows.

    Args:
        device: The GPU.
        dtype: That of the layer.
        accumulates: torch's FP16 accumulation, which is another multiplication.
    """
    from torch._subclasses.fake_tensor import unset_fake_temporarily

    with unset_fake_temporarily(), torch.no_grad():
        x = torch.linspace(-3, 3, 64 * 64, device=device).sin().view(64, 64).to(dtype)
        weight, bias = x.cos() / 8, x[0]
        try:
            given = _ACTIVATION(bias, x, weight.t(), use_gelu=True)
        except RuntimeError as error:
            if not leaves_the_gpu_usable(error):
                raise
            log.info("SageKit: GELU stays behind its layers in compiled code: %s", error)
            return False
        right = functional.gelu(functional.linear(x, weight, bias), approximate="tanh")
        return bool(relative_error(given, right) < _CLOSE)


def _is_gelu(node: Node) -> bool:
    """Whether a node is GELU as cuBLAS has it, by tanh."""
    return (
        node.op == "call_function"
        and node.target is functional.gelu
        and len(node.args) == 1
        and node.kwargs == {"approximate": "tanh"}
    )


def _with_activation(node: Node) -> bool:
    """Makes GELU, of all that a layer gives or of one of two parts, the end of the multiplication."""
    users = list(node.users)
    if len(users) != 1:
        return False
    layer = _Layer(node)
    if _is_gelu(users[0]):
        if not _has_gelu(node):
            return False
        users[0].replace_all_uses_with(layer.rows(0, layer.width, activated=True))
        erase_unused(users[0], node)
        return True
    parts = _two_parts(users[0])
    gelus = [next(filter(_is_gelu, part.users), None) if len(part.users) == 1 else None for part in parts]
    # Of a layer with both parts activated nothing is known here; one of them is the common case.
    if sum(map(bool, gelus)) != 1 or not _has_gelu(node):
        return False
    begin = 0
    for part, gelu in zip(parts, gelus, strict=True):
        end = begin + value_of(part).shape[-1]
        (gelu or part).replace_all_uses_with(layer.rows(begin, end, activated=bool(gelu)))
        erase_unused(*([gelu] if gelu else []), part)
        begin = end
    erase_unused(users[0], node)
    return True


def _two_parts(node: Node) -> list[Node]:
    """The two parts into which a node splits the last dimension of what it takes; empty for others."""
    if node.target not in _SPLIT or len(node.args) + len(node.kwargs) != 3:
        return []
    dim = node.args[2] if len(node.args) == 3 else node.kwargs.get("dim")
    values = value_of(node)
    if len(values) != 2 or dim not in (-1, values[0].ndim - 1):
        return []
    places: dict[Any, Node] = {user.args[1]: user for user in node.users if user.target is operator.getitem}
    parts = [places[place] for place in sorted(places)]
    return parts if set(places) == {0, 1} and len(node.users) == 2 and _are_aligned(parts) else []


def _are_aligned(parts: Sequence[Node]) -> bool:
    """Whether every part's rows may begin inside of rows that hold all parts."""
    widths = [value_of(part).shape[-1] for part in parts]
    return all(isinstance(width, int) and width % _ALIGNED == 0 for width in widths)


def _over_parts(node: Node) -> bool:
    """Makes two layers of one over two joined tensors, where that moves less memory."""
    arguments: Any = node.args
    x, weight, bias = arguments
    parts, width = joined(x, -1, node), value_of(weight).shape[0]
    # One of the two sums could pass what float16 holds where both together do not.
    if not parts or {value_of(part).dtype for part in parts} != {torch.bfloat16}:
        return False
    if not _are_aligned(parts):
        return False
    # Joining reads and writes every number once, adding writes and reads once more what the layer gives.
    if value_of(x).shape[-1] < 2 * width:
        return False
    layer = _Layer(node)
    emit, ops = layer.emit, torch.ops.aten
    place = value_of(parts[0]).shape[-1]
    first, second = (
        emit(ops.t.default, emit(ops.slice.Tensor, weight, 1, begin, end))
        for begin, end in ((0, place), (place, value_of(x).shape[-1]))
    )
    products = (
        emit(ops.mm.default, layer.flat(parts[0]), first),
        emit(ops.addmm.default, bias, layer.flat(parts[1]), second),
    )
    node.replace_all_uses_with(layer.shaped(emit(ops.add.Tensor, *products)))
    erase_unused(node, x)
    return True


class _Layer:
    """A linear layer as multiplications of matrices, put where it stands in the graph.

    Attributes:
        emit: Puts calls before the layer.
        width: How many numbers it gives for each row.
    """

    def __init__(self, node: Node) -> None:
        arguments: Any = node.args
        self._x, self._weight, self._bias = arguments
        self.emit = Emitter(node, value_of(node).fake_mode)
        self.width = value_of(self._weight).shape[0]

    def rows(self, begin: int, end: int, activated: bool) -> Node:
        """What these rows of the weight give, with GELU behind or not."""
        emit, ops = self.emit, torch.ops.aten
        weight, bias = (
            one if end - begin == self.width else emit(ops.slice.Tensor, one, 0, begin, end)
            for one in (self._weight, self._bias)
        )
        given = bias, self.flat(self._x), emit(ops.t.default, weight)
        if activated:
            return self.shaped(emit(_ACTIVATION, *given, use_gelu=True))
        return self.shaped(emit(ops.addmm.default, *given))

    def flat(self, x: Node) -> Node:
        """x as (rows, numbers of a row)."""
        return self.emit(torch.ops.aten.flatten.using_ints, x, 0, -2) if value_of(x).ndim > 2 else x

    def shaped(self, flat: Node) -> Node:
        """The other way round, with as many dimensions as the layer's x."""
        dims = value_of(self._x).ndim - 1
        if dims == 1:
            return flat
        sizes = [self.emit.size(self._x, dim) for dim in range(dims)]
        return self.emit(torch.ops.aten.unflatten.int, flat, 0, sizes)
