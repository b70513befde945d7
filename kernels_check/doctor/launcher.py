"""A launch file of its own beside ComfyUI's, which stay as they are."""

import shlex
from pathlib import Path

from ..environment import Environment
from . import batch
from .surroundings import PORTABLE, Surroundings
from .trouble import DoctorError
from .written import write

FLAG = "--use-sage-attention"
_NO_FLAG = "The node Patch Sage Attention needs no launch flag"
_WITH_FLAG = f"{FLAG} sends every model through SageAttention; the node Patch Sage Attention needs no flag"


def write_launcher(file: Path | None, environment: Environment, around: Surroundings, *, flag: bool) -> Path:
    """Writes a launch file and returns its path.

    Args:
        file: Where to; None is run_sagekit.bat or .sh beside ComfyUI's own.
        environment: The machine.
        around: What the doctor read besides; it names ComfyUI's folder.
        flag: Start with --use-sage-attention.
    """
    if not around.comfyui:
        raise DoctorError(
            "This pack is in no ComfyUI's custom_nodes, so there is nothing to start. Nothing was written."
        )
    comfyui = Path(around.comfyui)
    portable = around.kind == PORTABLE
    home = comfyui.parent if portable else comfyui
    windows = environment.system == "windows"
    ending = ".bat" if windows else ".sh"
    file = file or home / f"run_sagekit{ending}"
    if file.suffix.lower() != ending:
        raise DoctorError(f"{file} must end in {ending} on this system. Nothing was written.")
    program = environment.python.executable if environment.python else "python"
    if windows:
        text = _for_windows(file, home, comfyui, program, around, flag)
    else:
        text = _for_posix(comfyui, program, flag)
    write(file, text)
    return file


def _for_windows(
    file: Path, home: Path, comfyui: Path, program: str, around: Surroundings, flag: bool
) -> str:
    beside = file.absolute().parent == home.absolute()
    # As the stock files: they still work where the whole folder has been moved.
    there = '"%~dp0"' if beside else f'"{_literal(str(home))}"'
    if around.kind == PORTABLE:
        start = f".\\python_embeded\\python.exe -s {comfyui.name}\\main.py --windows-standalone-build"
    else:
        start = f'"{_literal(program)}" main.py'
    lines = ["@echo off", f"rem {_WITH_FLAG if flag else _NO_FLAG}.", f"cd /d {there}"]
    if around.not_ascii:
        plain = "%~dp0sagekit_cache" if str(home).isascii() and beside else "%SystemDrive%\\sagekit_cache"
        lines += ["rem The user folder has letters that compilers may not read, so their files go here."]
        lines += [f'if not exist "{plain}" mkdir "{plain}"']
        lines += [
            f'set "{name}={plain}"' for name in ("TEMP", "TMP", "TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR")
        ]
    lines += [f"{start} {FLAG} %*" if flag else f"{start} %*"]
    return "\n".join(
        [*lines, batch.echo("If this window closes at once, start it from a command line."), "pause"]
    )


def _for_posix(comfyui: Path, program: str, flag: bool) -> str:
    arguments = f" {FLAG}" if flag else ""
    return (
        f"#!/bin/sh\n# {_WITH_FLAG if flag else _NO_FLAG}.\n"
        f'cd {shlex.quote(str(comfyui))} && exec {shlex.quote(program)} main.py{arguments} "$@"\n'
    )


def _literal(path: str) -> str:
    return path.replace("%", "%%")
