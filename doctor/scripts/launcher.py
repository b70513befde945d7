"""A launch file of its own beside ComfyUI's, which stay as they are."""

import shlex
from pathlib import Path

from ...machine import Environment
from ...machine.surroundings import PORTABLE, Surroundings
from ...machine.user_error import UserError
from ..commands.quoting import Command, in_batch
from . import batch
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
        why = (
            "Where main.py is for this base directory is not known until ComfyUI has run with this pack."
            if around.base
            else "This pack is in no ComfyUI's custom_nodes, so there is nothing to start."
        )
        raise UserError(f"{why} Nothing was written.")
    comfyui, base = Path(around.comfyui), Path(around.base or around.comfyui)
    portable = around.kind == PORTABLE
    # A base directory is its user's own to write to; Desktop's main.py lies among installed programs.
    home = comfyui.parent if portable else base
    windows = environment.system == "windows"
    ending = ".bat" if windows else ".sh"
    file = file or home / f"run_sagekit{ending}"
    if file.suffix.lower() != ending:
        raise UserError(f"{file} must end in {ending} on this system. Nothing was written.")
    program = environment.python.executable if environment.python else ""
    if not program:
        raise UserError("Where the Python is that runs ComfyUI is not known. Nothing was written.")
    options = (*around.options, *((FLAG,) if flag else ()))
    if windows:
        text = _for_windows(file, home, comfyui, program, around, options, flag)
    else:
        text = _for_posix(comfyui, program, options, flag)
    write(file, text)
    return file


def _for_windows(
    file: Path,
    home: Path,
    comfyui: Path,
    program: str,
    around: Surroundings,
    options: Command,
    flag: bool,
) -> str:
    beside = file.absolute().parent == home.absolute()
    if around.kind == PORTABLE:
        # As the stock files: they still work where the whole folder has been moved.
        there = '"%~dp0"' if beside else in_batch((_folder(home),))
        start: Command = (
            ".\\python_embeded\\python.exe",
            "-s",
            f"{comfyui.name}\\main.py",
            "--windows-standalone-build",
        )
    else:
        there = '"%~dp0"' if beside and home == comfyui else in_batch((_folder(comfyui),))
        start = (program, "main.py")
    lines = ["@echo off", f"rem {_WITH_FLAG if flag else _NO_FLAG}.", "setlocal DisableDelayedExpansion"]
    lines += _letters(around, home, beside)
    # Where the folder is gone, nothing of the same name in another one may start.
    lines += [f"cd /d {there}", 'if not "%errorlevel%"=="0" goto :gone', f"{in_batch((*start, *options))} %*"]
    lines += [batch.echo("If this window closes at once, start it from a command line."), "pause", "exit /b"]
    lines += [":gone", batch.echo("ComfyUI's folder is not where it was; write this file again."), "pause"]
    text = "\n".join(lines)
    # cmd.exe reads a file in the console's own letters, from the next line on in these.
    return text if text.isascii() else text.replace("@echo off", "@echo off\nchcp 65001 >nul", 1)


def _letters(around: Surroundings, home: Path, beside: bool) -> list[str]:
    """Plain folders for compilers that may not read the letters of the user's own."""
    if not around.not_ascii:
        return []
    plain = "%~dp0sagekit_cache" if str(home).isascii() and beside else "%SystemDrive%\\sagekit_cache"
    names = ("TEMP", "TMP", "TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR")
    return [
        "rem The user folder has letters that compilers may not read, so their files go here.",
        f'if not exist "{plain}" mkdir "{plain}"',
        *(f'set "{name}={plain}"' for name in names),
    ]


def _for_posix(comfyui: Path, program: str, options: Command, flag: bool) -> str:
    start = " ".join(map(shlex.quote, (program, "main.py", *options)))
    return (
        f"#!/bin/sh\n# {_WITH_FLAG if flag else _NO_FLAG}.\n"
        f'cd {shlex.quote(str(comfyui))} && exec {start} "$@"\n'
    )


def _folder(path: Path) -> str:
    # Quotes hold what has a space or a sign in it; a backslash at the end would hold the closing one.
    return str(path).rstrip("\\") + ("\\." if str(path).endswith(("\\", ":")) else "")
