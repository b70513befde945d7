"""Finds the blocks of a network that repeat, whatever an architecture calls them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

_CONTAINERS = (nn.ModuleList, nn.ModuleDict, nn.Sequential)
# Of the network's weights, that a class of blocks must hold to be worth compiling.
_SHARE = 0.02


@dataclass(frozen=True)
class Kind:
    """Blocks of which one compiled graph fits all: one class with weights of the same shapes.

    Attributes:
        block: The class.
        shapes: Name and shape of every weight.
    """

    block: type
    shapes: tuple


def kind_of(module: nn.Module) -> Kind:
    return Kind(type(module), tuple((name, tuple(one.shape)) for name, one in module.named_parameters()))


def find_blocks(network: nn.Module) -> list[nn.Module]:
    """The network's transformer blocks in the order of its definition, none inside another.

    A block is an element of a list or dictionary of modules, no container itself, of a class that repeats,
    whose weights are mostly matrices and a good part of the network's. In Wan those are ``blocks``, in Flux
    ``double_blocks`` and ``single_blocks``, in a UNet the ``transformer_blocks`` inside its attention parts.
    """
    found = list(_elements(network))
    total = sum(map(_size, network.parameters())) or 1
    by_class: dict[type, list[nn.Module]] = {}
    for module in found:
        by_class.setdefault(type(module), []).append(module)
    taken = {kind for kind, modules in by_class.items() if _repeats(modules, total)}
    inside: set[int] = set()
    blocks = []
    for module in found:
        if type(module) in taken and id(module) not in inside:
            blocks.append(module)
            inside.update(id(part) for part in module.modules())
    return blocks


def _elements(network: nn.Module) -> Iterator[nn.Module]:
    """Every module, outer before inner, that lies in a list or dictionary and is no container."""
    for module in network.modules():
        if isinstance(module, (nn.ModuleList, nn.ModuleDict)):
            yield from (one for one in module.children() if not isinstance(one, _CONTAINERS))


def _repeats(modules: list[nn.Module], total: int) -> bool:
    if len(modules) < 2 or not any(modules[0].children()):
        return False
    weights = [weight for module in modules for weight in module.parameters()]
    size = sum(map(_size, weights))
    # Convolutions have more dimensions. One-dimensional weights are norms and biases, or packed (GGUF).
    matrices = sum(_size(weight) for weight in weights if len(weight.shape) <= 2)
    linears = sum(len(weight.shape) == 2 for weight in modules[0].parameters())
    return linears >= 2 and matrices > size / 2 and size >= _SHARE * total


def _size(weight) -> int:
    return math.prod(weight.shape)
