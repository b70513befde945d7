"""Run by ComfyUI before it imports torch, kernel packages and its flags' kernels.

A kernel package that does not import, or brings the process down while it does, is kept out of this start. A
launch flag that asks for SageAttention or FlashAttention where their kernel does not work is turned off; none
is ever turned on. SAGEKIT_STARTUP=report only reports, SAGEKIT_STARTUP=off does nothing.
"""

import importlib
import importlib.util
import logging
import os
import sys
from pathlib import Path

PACK = Path(__file__).parent
AT_START = "sagekit_at_start"


def _ours(module: str):
    """A module of the pack, loaded by its path: ComfyUI has not imported it yet."""
    if AT_START not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            AT_START, PACK / "__init__.py", submodule_search_locations=[str(PACK)]
        )
        sys.modules[AT_START] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[AT_START])
    return importlib.import_module(f"{AT_START}.{module}")


def _look_ahead() -> None:
    mode = os.environ.get("SAGEKIT_STARTUP", "on").strip().lower()
    if mode == "off":
        return
    host = _ours("host.process")
    args, layout = host.flags(), host.folders()
    startup, imports = _ours("app.startup"), _ours("check.imports")
    flags = tuple(flag for flag in startup.FLAGS if getattr(args, flag, False))
    # What ComfyUI is told to leave out is none of ours.
    off = {name for name, one in imports.HOST_IMPORTS.items() if getattr(args, one.without, False)}
    packages = tuple(name for name in imports.present() if name not in off)
    store = layout.verdicts
    if not flags and not packages and not store.exists():
        return
    environment = _ours("machine").read_environment(_ours("kernels.families").sought(), layout.comfyui, flags)
    device = "cpu" if getattr(args, "cpu", False) else "cuda:0"
    acts = mode != "report"
    visible = host.visible_gpus()
    broken = startup.look(
        flags,
        packages,
        environment,
        store,
        device=device,
        visible=visible,
        say=logging.info,
        is_guarded=acts,
    )
    start = startup.Start(args, environment, PACK, acts)
    # Here the pack finds it when ComfyUI has loaded it under its own name for it: see app/background.py.
    sys.modules[AT_START].sagekit_start = start
    start.act_on(broken, packages)


try:
    _look_ahead()
except BaseException as error:  # Whatever is wrong here, ComfyUI starts as it would have without the pack.
    if isinstance(error, KeyboardInterrupt):
        raise
    logging.warning("SageKit: the start was not checked: %s: %s", type(error).__name__, error)
