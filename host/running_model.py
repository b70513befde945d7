"""What is read of a model that ComfyUI runs: of its MODEL (ModelPatcher) and of what holds its weights.

All of it is asked for where it is needed and may be missing: a host may not have it yet, and a guider of
another pack may run a model that no MODEL stands behind.
"""

from collections.abc import Callable
from typing import Any

import torch

from .wrappers import around_forward_of

_BLOCK_LISTS = ("double_blocks", "single_blocks")


def patcher_of(model: Any) -> Any | None:
    """The MODEL under which a model is being sampled; None where it does not tell."""
    return getattr(model, "current_patcher", None)


def own_wrapper(model: Any, key: str, called: Callable[..., Any]) -> Callable[..., Any] | None:
    """The wrapper that the running model has under the key around its forward, None where it has none.

    A guider with two models (DualModelGuider) runs the second with the options of the first, wrappers
    included: the one called may be another model's. A model that ComfyUI samples knows its MODEL.

    Args:
        model: The one that runs.
        key: The key of the wrapper.
        called: The wrapper itself, which is right where the running model does not tell.
    """
    patcher = patcher_of(model)
    if patcher is None:
        return called
    return next(iter(around_forward_of(patcher, key)), None)


def own_options(model: Any) -> dict[str, Any] | None:
    """The transformer_options of the MODEL that the model runs under; None where it does not tell."""
    patcher = patcher_of(model)
    if patcher is None:
        return None
    options: dict[str, Any] = patcher.model_options.get("transformer_options", {})
    return options


def weights_of(patcher: Any) -> Any:
    """The model with its weights, which all clones of a MODEL share."""
    return patcher.model


def name_of(patcher: Any) -> str:
    """The name of a MODEL's architecture, as "Flux"."""
    return type(patcher.model).__name__


def network_of(model: Any) -> torch.nn.Module | None:
    """The network that denoises; None where there is none under its usual name."""
    return getattr(model, "diffusion_model", None)


def block_lists(network: Any) -> frozenset[str]:
    """Lists of blocks that a network counts apart, each from 0 on."""
    return frozenset(name for name in _BLOCK_LISTS if hasattr(network, name))


def device_of(model: Any) -> torch.device:
    """Where the model computes."""
    patcher = patcher_of(model)
    if patcher is not None:
        return device_of_patcher(patcher)
    device: torch.device = next(model.parameters()).device
    return device


def device_of_patcher(patcher: Any) -> torch.device:
    """Where a MODEL computes."""
    device: torch.device = patcher.load_device
    return device


def resident_bytes(model: Any) -> int | None:
    """Bytes of the model that ComfyUI has put on its device."""
    return getattr(model, "model_loaded_weight_memory", None)


def replaced_parts(model: Any) -> tuple[str, ...]:
    """The names of what other nodes have replaced in the model as a whole."""
    return tuple(sorted(getattr(patcher_of(model), "object_patches", ())))


def compute_dtype(patcher: Any) -> torch.dtype:
    """What the MODEL computes in."""
    dtype: torch.dtype = patcher.get_model_object("manual_cast_dtype") or patcher.model.get_dtype()
    return dtype


def sigma_at(model: Any, percent: float) -> float:
    """The sigma at a part of the sampling, 0 at its begin and 1 at its end."""
    return float(model.model_sampling.percent_to_sigma(percent))


def has_dynamic_vram(patcher: Any) -> bool:
    """Whether each layer is handed its weights anew in every step; no on a host that cannot do that."""
    return bool(getattr(patcher, "is_dynamic", lambda: False)())


def without_dynamic_vram(patcher: Any, known: Any) -> tuple[Any, Any]:
    """A clone whose weights stay in their places while it runs, and what makes another one share them.

    Args:
        patcher: A MODEL that has dynamic VRAM.
        known: The second of an earlier answer for the same weights, so that they are loaded once; or None.

    Raises:
        RuntimeError: It cannot be had.
    """
    patched = patcher.clone(disable_dynamic=True, model_override=known)
    return patched, patched.get_clone_model_override()
