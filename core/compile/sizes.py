"""What a block's inputs are like, put so that torch needs few graphs of the block."""

import torch

# (batch, frames, height, width, channels), in whatever order. Other networks make one sequence of it.
_GRID = 5


class Sizes:
    """The inputs of one kind of block.

    Args:
        grow: Whether graphs are made for the first size as it is and later ones for any size.
    """

    def __init__(self, grow: bool) -> None:
        self._grow = grow
        self._first: torch.Size | None = None

    def fitting(self, value):
        """The input as the block is to have it.

        A tensor whose dimensions lie in another order than they are counted is copied into that order. The
        first block gets one from the patch embedding (Wan, LTX); every graph would be made twice for it.

        The sides of a grid (Cosmos) become dynamic together, at the first size that is another. By itself
        torch makes them so one by one, with a graph for each.
        """
        if not isinstance(value, torch.Tensor):
            return value
        if not value.is_contiguous() and _is_dense(value):
            value = value.contiguous()
        if self._grow and value.dim() == _GRID:
            self._first = self._first or value.shape
            if value.shape != self._first:
                sides = [side for side in range(_GRID - 1) if value.shape[side] > 1]
                torch._dynamo.maybe_mark_dynamic(value, sides)
        return value


def _is_dense(tensor: torch.Tensor) -> bool:
    """Whether it is a permutation of a contiguous tensor: no part of one, and nothing repeated."""
    expected = 1
    for size, stride in sorted(zip(tensor.shape, tensor.stride(), strict=True), key=lambda one: one[1]):
        if size != 1 and stride != expected:
            return False
        expected *= size
    return True
