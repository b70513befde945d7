"""Where ComfyUI's desktop programs put a ComfyUI and its Python.

Comfy Desktop (since June 2026) keeps installs in a folder of its own, each with main.py and .venv. Before it,
ComfyUI Desktop had ComfyUI's source among its own files, and custom_nodes, models and .venv in a base
directory that its settings name.
https://docs.comfy.org/installation/desktop and https://github.com/Comfy-Org/desktop, read on 2026-11-26.
"""

import json
import os
import sys
from pathlib import Path


def installs() -> list[Path]:
    """Every folder with a main.py that one of the programs has put here."""
    kept = [place / "ComfyUI-Installs" for place in _places_of_installs()]
    found = [main.parent for folder in kept for main in sorted(folder.glob("*/ComfyUI/main.py"))]
    sources = [folder / "ComfyUI" for folder in _resources()]
    return [*found, *(source for source in sources if (source / "main.py").is_file())]


def base_of(folder: Path) -> Path | None:
    """The base directory, with .venv, of a ComfyUI among ComfyUI Desktop's own files; None for any other."""
    if not any(folder == resources / "ComfyUI" for resources in _resources()):
        return None
    for file in _settings():
        try:
            named = json.loads(file.read_text(encoding="utf-8")).get("basePath")
        except (OSError, ValueError, AttributeError):
            continue
        if isinstance(named, str) and named:
            return Path(named)
    return Path.home() / "Documents" / "ComfyUI"


def _places_of_installs() -> list[Path]:
    home = Path.home()
    if sys.platform == "win32":
        own = _named_by("LOCALAPPDATA", home / "AppData" / "Local") / "Comfy-Desktop"
    elif sys.platform == "darwin":
        own = home / "Library" / "Application Support" / "Comfy-Desktop"
    else:
        own = _named_by("XDG_DATA_HOME", home / ".local" / "share") / "Comfy-Desktop"
    return [own, home]


def _resources() -> list[Path]:
    """The folders of ComfyUI Desktop's own files, the newest first."""
    if sys.platform == "win32":
        programs = _named_by("LOCALAPPDATA", Path.home() / "AppData" / "Local") / "Programs"
        names = ("ComfyUI", "@comfyorgcomfyui-electron", "comfyui-electron")
        return [programs / name / "resources" for name in names]
    if sys.platform == "darwin":
        applications = (Path("/Applications"), Path.home() / "Applications")
        return [folder / "ComfyUI.app" / "Contents" / "Resources" for folder in applications]
    return [Path("/opt/ComfyUI/resources")]


def _settings() -> list[Path]:
    home = Path.home()
    if sys.platform == "win32":
        shared = _named_by("ProgramData", Path("C:/ProgramData")) / "ComfyUI" / "machine-config.json"
        own = _named_by("APPDATA", home / "AppData" / "Roaming")
        return [own / "ComfyUI" / "config.json", own / "comfy-desktop" / "config.json", shared]
    if sys.platform == "darwin":
        return [home / "Library" / "Application Support" / "ComfyUI" / "config.json"]
    return [_named_by("XDG_CONFIG_HOME", home / ".config") / "ComfyUI" / "config.json"]


def _named_by(variable: str, default: Path) -> Path:
    return Path(os.environ.get(variable) or default)
