"""Finds the ComfyUI to test against, or says in one sentence what is missing."""

import functools
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PACK = Path(__file__).resolve().parent.parent.parent

# Where dev.py puts a ComfyUI of its own.
CLONE = PACK / ".demo" / "ComfyUI"

# What main.py imports before it can answer, in the order a reader would install it.
NEEDED = (
    "torch",
    "torchvision",
    "torchsde",
    "numpy",
    "aiohttp",
    "yaml",
    "safetensors",
    "comfyui_frontend_package",
)


@dataclass(frozen=True)
class Found:
    """A ComfyUI folder and how it was found."""

    folder: Path
    how: str


def is_host(folder: Path) -> bool:
    return (folder / "main.py").is_file() and (folder / "comfy").is_dir()


def find() -> Found | None:
    """The first ComfyUI among: the one named, the one around this pack, comfy-cli's default, our clone."""
    named = os.environ.get("COMFYUI_DIR")
    if named:
        folder = Path(named).expanduser().resolve()
        return Found(folder, "COMFYUI_DIR") if is_host(folder) else None
    for pack in _ways_here():
        if pack.parent.name == "custom_nodes" and is_host(pack.parent.parent):
            return Found(pack.parent.parent, "this pack is in its custom_nodes")
    default = Path.home() / "comfy" / "ComfyUI"
    if is_host(default):
        return Found(default, "comfy-cli's default folder")
    return Found(CLONE, "cloned before") if is_host(CLONE) else None


def holds_this_pack(folder: Path) -> bool:
    """Whether this ComfyUI is the one that the pack is installed in."""
    return any(pack.parent == folder / "custom_nodes" for pack in _ways_here())


def _ways_here() -> tuple[Path, ...]:
    """The pack's folder, also as it was started through a link in some custom_nodes."""
    return PACK, Path(sys.argv[0]).absolute().parent, Path(os.environ.get("PWD") or Path.cwd())


def find_oldest() -> Found | None:
    """The oldest ComfyUI that the pack supports."""
    named = os.environ.get("OLD_COMFYUI_DIR")
    folder = Path(named).expanduser().resolve() if named else Path.home() / "comfy" / "ComfyUI-0.3.64"
    return Found(folder, "OLD_COMFYUI_DIR" if named else "default folder") if is_host(folder) else None


def version(folder: Path) -> str:
    """The host's own version, as it would print it."""
    file = folder / "comfyui_version.py"
    for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else ():
        if line.startswith("__version__"):
            return line.partition("=")[2].strip().strip("\"'")
    return "unknown version"


@functools.cache
def missing_modules(python: str = sys.executable) -> str:
    """The first module that main.py needs and this Python cannot import, with the error; else nothing."""
    for name in NEEDED:
        child = subprocess.run([python, "-c", f"import {name}"], capture_output=True, text=True, check=False)
        if child.returncode:
            error = (child.stderr.strip().splitlines() or [f"exit code {child.returncode}"])[-1]
            return f"{python} cannot import {name}: {error}"
    return ""


def reason_to_skip(oldest: bool = False) -> str:
    """What is missing to start a host here; empty where nothing is."""
    if (find_oldest() if oldest else find()) is None:
        variable, default = ("OLD_COMFYUI_DIR", "ComfyUI-0.3.64") if oldest else ("COMFYUI_DIR", "ComfyUI")
        if os.environ.get(variable):
            return f"no ComfyUI in {variable}={os.environ[variable]}"
        return f"no ComfyUI: {variable} is not set and ~/comfy/{default} has no main.py"
    return missing_modules()
