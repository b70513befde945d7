"""What ComfyUI's layers tell of how they multiply and where their weights are."""

from collections.abc import Iterable
from typing import Any

import torch


def is_in_place(module: torch.nn.Module, device: torch.device) -> bool:
    """Whether no weight of the module has to be fetched or patched while it runs."""
    for part in module.modules():
        if getattr(part, "weight_function", None) or getattr(part, "bias_function", None):
            return False
    return all(weight.device.type == device.type for weight in module.parameters())


def packages_of(network: torch.nn.Module) -> set[str]:
    """The packages of layers that the network's classes are from: "fp8_ops" for ``fp8_ops.Linear``.

    A class that stands on the package cublas_ops counts as cublas_ops, as other packs make their own.
    """
    return {_package(type(module)) for module in network.modules()}


def _package(kind: type) -> str:
    if any(base.__module__.partition(".")[0] == "cublas_ops" for base in kind.__mro__):
        return "cublas_ops"
    return kind.__qualname__.partition(".")[0]


def linears(network: torch.nn.Module) -> list[Any]:
    """The linear layers of a network, ComfyUI's own among them."""
    return [one for one in network.modules() if hasattr(one, "in_features") and hasattr(one, "out_features")]


def in_own_format(layers: Iterable[Any]) -> list[Any]:
    """Those that multiply in a format of their own, by ComfyUI's layers for quantised weights.

    Where the GPU lacks the format, a layer is told to multiply in full precision.
    """
    return [
        one
        for one in layers
        if getattr(one, "layout_type", None) is not None
        and not getattr(one, "_full_precision_mm", False)
        and not getattr(one, "comfy_force_cast_weights", False)
    ]


def format_of(layer: Any) -> str:
    """The name of the format of one of those."""
    return str(getattr(layer, "quant_format", layer.layout_type))
