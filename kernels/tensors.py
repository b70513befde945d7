"""The types of what a kernel is called with; torch, which takes seconds to import, is not imported."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor as Tensor
else:
    Tensor = Any

Mask = Tensor | None
Scale = float | None
