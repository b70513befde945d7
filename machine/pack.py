"""Which version of this pack it is, and of which ComfyUI: a verdict belongs to the code that gave it."""

import hashlib
import re
from pathlib import Path
from typing import NamedTuple

# What gives a verdict; nothing else changes one.
_ROOMS = ("check", "kernels", "machine")


class Pack(NamedTuple):
    """This pack.

    Attributes:
        version: As in pyproject.toml.
        code: Hash of the Python files that a verdict depends on.
    """

    version: str = ""
    code: str = ""


def read_pack(root: Path) -> Pack:
    """The pack in this folder. Names and contents are hashed, so that a moved pack stays the same."""
    stated = (root / "pyproject.toml").read_text(encoding="utf-8")
    version = re.search(r'^version\s*=\s*"([^"]+)"', stated, re.MULTILINE)
    code = hashlib.sha256()
    for file in sorted(file for room in _ROOMS for file in (root / room).rglob("*.py")):
        code.update(f"{file.relative_to(root).as_posix()}\0".encode())
        # A checkout on Windows may have other line ends.
        code.update(file.read_bytes().replace(b"\r\n", b"\n") + b"\0")
    return Pack(version[1] if version else "", code.hexdigest()[:16])


def read_comfyui(folder: Path) -> str:
    """The version of the ComfyUI in this folder, from the text of its comfyui_version.py."""
    text = (folder / "comfyui_version.py").read_text(encoding="utf-8", errors="replace")
    version = re.search(r"^__version__\s*=\s*['\"]([^'\"]+)", text, re.MULTILINE)
    if version is None:
        raise ValueError("no __version__ in comfyui_version.py")
    return version[1]
