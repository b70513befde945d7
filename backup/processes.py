"""The programs that run from a folder, read without starting anything."""

import os
import stat
from pathlib import Path
from typing import Any

from ..machine.user_error import UserError
from . import disk
from .catalogue import MESSAGES
from .place import is_within

_PROC = Path("/proc")
_PROGRAMS = (".exe", ".dll", ".pyd")


def running(folder: str, proc: Path = _PROC) -> list[str]:
    """Who runs from a folder, "python (process 123)" each; this process is none of them."""
    if (proc / "self").exists():
        return [who for one in proc.iterdir() if one.name.isdigit() and (who := _by_proc(one, folder))]
    try:
        import psutil  # type: ignore[import-untyped]  # ComfyUI brings it; this package must do without.
    except ImportError:
        return _by_locks(folder)
    return _by_psutil(psutil, folder)


def _by_proc(one: Path, folder: str) -> str:
    if int(one.name) == os.getpid():
        return ""
    try:
        arguments = (one / "cmdline").read_bytes().split(b"\0")
        program = os.readlink(one / "exe")
        started_as = os.path.normpath(os.path.join(os.readlink(one / "cwd"), os.fsdecode(arguments[0])))
        maps = (one / "maps").read_bytes()
        variables = (one / "environ").read_bytes().split(b"\0")
    except OSError:
        # Gone since, a kernel thread, or another user's: that one is not ours to see.
        return ""
    # A venv's Python is a link: what is loaded and how it was started tell more than the program does.
    python = os.path.basename(program).startswith("python")
    activated = python and os.fsencode(f"VIRTUAL_ENV={folder}") in variables and _by_name_alone(arguments[0])
    mapped = os.fsencode(folder + os.sep) in maps
    if mapped or activated or is_within(program, folder) or (python and is_within(started_as, folder)):
        return MESSAGES("program-of-a-process", program=os.path.basename(program), number=one.name)
    return ""


def _by_name_alone(argument: bytes) -> bool:
    return b"/" not in argument


def _by_psutil(psutil: Any, folder: str) -> list[str]:
    found: list[str] = []
    for process in psutil.process_iter(["pid", "name", "exe", "cmdline"]):
        about = process.info
        places = [about["exe"] or "", *(about["cmdline"] or [])[:1]]
        inside = any(os.path.isabs(one) and is_within(disk.reach(one), folder) for one in places)
        if inside and about["pid"] != os.getpid():
            found.append(MESSAGES("program-of-a-process", program=about["name"], number=about["pid"]))
    return found


def _by_locks(folder: str) -> list[str]:
    """Windows lets nobody write to a program that runs; elsewhere there is no such sign."""
    if os.name != "nt":
        raise UserError(MESSAGES("programs-not-known", folder=disk.shown(folder)))
    return [disk.shown(file) for file in _programs(folder) if _is_locked(file)]


def _programs(folder: str) -> list[str]:
    found = []
    for inside, _, names in os.walk(folder):
        found += [os.path.join(inside, name) for name in names if name.lower().endswith(_PROGRAMS)]
    return found


def _is_locked(file: str) -> bool:
    if not os.stat(file).st_mode & stat.S_IWRITE:
        return False
    try:
        with open(file, "r+b"):
            return False
    except PermissionError:
        return True
