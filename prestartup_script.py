"""Run by ComfyUI before it imports torch and reads its flags.

It only ever turns a flag off: one that asks for SageAttention or FlashAttention where their kernel does not
work on this machine, so that ComfyUI starts on PyTorch's attention. SAGEKIT_STARTUP=report only reports,
SAGEKIT_STARTUP=off does nothing.
"""

import importlib
import importlib.util
import logging
import os
import sys
from pathlib import Path

PACK = Path(__file__).parent


def _kernels_check(module: str):
    """A module of kernels_check, loaded by its path: the pack itself is not imported yet."""
    name = "sagekit_kernels_check"
    if name not in sys.modules:
        folder = PACK / "kernels_check"
        spec = importlib.util.spec_from_file_location(
            name, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return importlib.import_module(f"{name}.{module}")


def _clear_broken_flags() -> None:
    mode = os.environ.get("SAGEKIT_STARTUP", "on").strip().lower()
    if mode == "off":
        return
    import folder_paths
    from comfy.cli_args import args

    startup = _kernels_check("startup")
    flags = tuple(flag for flag in startup.FLAGS if getattr(args, flag, False))
    layout = _kernels_check("layout").of_server(folder_paths)
    store = layout.verdicts
    if not flags and not store.exists():
        return
    environment = _kernels_check("environment").read_environment(layout.comfyui, flags)
    device = "cpu" if getattr(args, "cpu", False) else "cuda:0"
    broken = startup.broken_flags(flags, environment, store, device=device, say=logging.info)
    for flag, verdict in broken.items():
        if mode != "report":
            setattr(args, flag, False)
            startup.cleared[flag] = verdict
        logging.warning(startup.block(flag, verdict, environment, PACK, cleared=mode != "report"))


try:
    _clear_broken_flags()
except Exception as error:  # Whatever is wrong here, ComfyUI starts as it would have without the pack.
    logging.warning("SageKit: the launch flags were not checked: %s: %s", type(error).__name__, error)
