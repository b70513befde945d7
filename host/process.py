"""ComfyUI as a process: its flags and folders, its nodes, and the user's wish to stop."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..machine.layout import Layout


def flags() -> Any:
    """The launch flags, as attributes. On an older host one may be missing."""
    from comfy.cli_args import args

    return args


def flags_that_are_on(names: Iterable[str]) -> tuple[str, ...]:
    """Those of the names that were given at the start."""
    given = flags()
    return tuple(name for name in names if getattr(given, name, False))


def visible_gpus() -> str | None:
    """CUDA_VISIBLE_DEVICES as ComfyUI will have it: it sets it before its packs' startup hooks, or after.

    As main.py does: --cuda-device names those that are visible, --default-device the first of all.
    """
    given = flags()
    chosen, first = getattr(given, "cuda_device", None), getattr(given, "default_device", None)
    if chosen not in (None, "all"):
        return str(chosen)
    if chosen is None and first is not None:
        return ",".join(map(str, (first, *(one for one in range(32) if one != first))))
    return os.environ.get("CUDA_VISIBLE_DEVICES")


def folders() -> Layout:
    """Where the ComfyUI that runs has its code and its users' things."""
    import folder_paths

    return Layout(
        # That module lies beside main.py, whatever the base directory is.
        Path(os.path.abspath(folder_paths.__file__)).parent,
        Path(folder_paths.base_path),
        Path(folder_paths.get_user_directory()),
        told=True,
    )


def node_classes() -> dict[str, Any]:
    """Every node that is registered now, by its id."""
    import nodes

    classes: dict[str, Any] = nodes.NODE_CLASS_MAPPINGS
    return classes


def is_cancel(error: BaseException) -> bool:
    """Whether an error is what ComfyUI raises for a cancel; by its name: importing it may wake the GPU."""
    return type(error).__name__ == "InterruptProcessingException"


def raise_if_cancelled() -> None:
    """Raises what ComfyUI raises where the user has cancelled; nothing without a ComfyUI."""
    management = sys.modules.get("comfy.model_management")
    if management is not None:
        management.throw_exception_if_processing_interrupted()
