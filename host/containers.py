"""Tensor containers: q, k and v that ComfyUI hands over in boxes, so that their memory can be freed early.

Hosts from 0.31 on put a call with containers to the ``container_function`` of a function where it has one.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch


def taken(containers: Iterable[Any]) -> tuple[torch.Tensor, ...]:
    """The tensors, taken out: the containers are empty then."""
    return tuple(container.take() for container in containers)


def looked_at(containers: Iterable[Any]) -> tuple[torch.Tensor, ...]:
    """The tensors, left in."""
    return tuple(container.peek() for container in containers)


def of(function: Callable[..., Any]) -> Callable[..., Any] | None:
    """What a function does with containers; None where it takes none."""
    return getattr(function, "container_function", None)
