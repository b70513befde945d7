"""What else of this machine decides how to install: read by the doctor alone, never at a start of ComfyUI."""

import os
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import Environment
from .dll import file_version
from .layout import Layout
from .redaction import names_to_hide

PORTABLE, EMBEDDED, VENV, CONDA, SYSTEM = "portable", "embedded", "venv", "conda", "system"
# A virtual environment that ComfyUI's desktop application makes with its own uv.
DESKTOP = "desktop"
# Of a machine that somebody described, and not its Python.
UNTOLD = "untold"
RUNTIME = ("msvcp140.dll", "vcruntime140.dll", "vcruntime140_1.dll")
_VARIABLES = ("PYTHONPATH", "PYTHONHOME", "CC", "CUDA_PATH", "TRITON_CACHE_DIR")
_NAMES = {
    PORTABLE: "ComfyUI portable",
    EMBEDDED: "an embeddable Python",
    VENV: "a virtual environment",
    DESKTOP: "ComfyUI Desktop",
    UNTOLD: "a Python of a kind that is not told",
}


@dataclass(frozen=True)
class Surroundings:
    """Facts that nothing but an installation needs. What was not read is None or empty.

    Attributes:
        kind: PORTABLE, EMBEDDED, VENV, CONDA, DESKTOP, SYSTEM or UNTOLD.
        host: "Kaggle" or "Colab".
        folder: Where include and libs belong: the folder Python is installed in.
        comfyui: ComfyUI's folder, where main.py is.
        base: The folder with its custom_nodes and user, the same one without --base-directory.
        options: ComfyUI's launch options that say so.
        home: The user's own folder.
        names: Of the user and the computer.
        pip: Whether this Python has pip.
        uv: The uv that installs into a Python without pip, where one was found.
        ensurepip: Whether it can get one without a download.
        managed: The system's package manager forbids pip here (PEP 668).
        packages_writable: Whether the folder of installed packages can be written.
        runtime: Of each file of the Visual C++ runtime, the version that this Python would load.
        long_paths: Whether Windows allows paths of more than 260 characters.
        not_ascii: The folders that have letters beyond ASCII, by the variable that names them.
        triton_cache: Where Triton keeps what it compiled.
        triton_cache_there: Whether that folder exists.
        triton_cache_writable: Whether it, or the folder it would be made in, can be written.
        compiler: Whether a C compiler is on PATH, on Linux.
        headers: Whether Python.h is there, on Linux.
        variables: Those set among the environment variables that mislead Python or Triton.
        own_python: The Python that belongs to this ComfyUI, where that is not the one that runs.
        other_pip: The pip that a plain ``pip`` would start, where it is another Python's.
    """

    kind: str = SYSTEM
    host: str = ""
    folder: str = ""
    comfyui: str = ""
    base: str = ""
    options: tuple[str, ...] = ()
    home: str = ""
    names: tuple[str, ...] = ()
    pip: bool = True
    uv: str = ""
    ensurepip: bool = True
    managed: bool = False
    packages_writable: bool | None = None
    runtime: Mapping[str, tuple[int, ...] | None] = field(default_factory=dict)
    long_paths: bool | None = None
    not_ascii: Mapping[str, str] = field(default_factory=dict)
    triton_cache: str = ""
    triton_cache_there: bool = False
    triton_cache_writable: bool | None = None
    compiler: bool | None = None
    headers: bool | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    own_python: str = ""
    other_pip: str = ""

    @property
    def uv_alone(self) -> str:
        """The uv to type where there is no pip; "" where pip does it, or no uv was found."""
        return "" if self.pip else self.uv

    @property
    def named(self) -> str:
        """ "ComfyUI portable", "a virtual environment on Kaggle"."""
        name = _NAMES.get(self.kind, f"a {self.kind} Python")
        return f"{name} on {self.host}" if self.host else name


@dataclass(frozen=True)
class Around:
    """Where to look. The defaults are this process and this machine."""

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    prefix: str = field(default_factory=lambda: sys.prefix)
    base: str = field(default_factory=lambda: sys.base_prefix)
    executable: str = field(default_factory=lambda: sys.executable)
    packages: str = field(default_factory=lambda: sysconfig.get_path("purelib"))
    standard: str = field(default_factory=lambda: sysconfig.get_path("stdlib"))
    include: str = field(default_factory=lambda: sysconfig.get_path("include"))
    path: tuple[str, ...] = field(default_factory=lambda: tuple(sys.path))
    home: str = field(default_factory=lambda: os.path.expanduser("~"))
    # Not platform.node(): on Windows it asks what can hang, and COMPUTERNAME says it.
    computer: str = field(default_factory=lambda: os.uname().nodename if hasattr(os, "uname") else "")
    which: Callable[[str], str | None] = shutil.which
    registry: Any = None


def read_surroundings(
    environment: Environment, layout: Layout | None = None, around: Around | None = None
) -> Surroundings:
    """What is around this Python, and around the ComfyUI with these folders."""
    layout, around = layout or Layout(), around or Around()
    windows, linux = environment.system == "windows", environment.system == "linux"
    cache = _triton_cache(around)
    return Surroundings(
        kind=_kind(environment, around, layout.comfyui),
        host=_host(around.environ),
        folder=around.base,
        comfyui=str(layout.comfyui or ""),
        base=str(layout.base or ""),
        options=layout.arguments,
        home=around.home,
        names=tuple(names_to_hide(around.environ, around.home, around.computer, environment.sought)),
        pip=any((Path(folder) / "pip" / "__init__.py").is_file() for folder in around.path),
        uv=_uv(around, layout.comfyui),
        ensurepip=(Path(around.standard) / "ensurepip" / "__init__.py").is_file(),
        managed=around.prefix == around.base and (Path(around.standard) / "EXTERNALLY-MANAGED").is_file(),
        packages_writable=_writable(Path(around.packages)),
        runtime=_runtime(around) if windows else {},
        long_paths=_long_paths(around.registry) if windows else None,
        not_ascii=_not_ascii(around) if windows else {},
        triton_cache=str(cache),
        triton_cache_there=cache.is_dir(),
        triton_cache_writable=_writable(cache),
        compiler=any(around.which(name) for name in _compilers(around.environ)) if linux else None,
        headers=(Path(around.include) / "Python.h").is_file() if linux else None,
        variables={name: around.environ[name] for name in _VARIABLES if around.environ.get(name)},
        own_python=_own_python(around, layout),
        other_pip=_other_pip(around),
    )


def _kind(environment: Environment, around: Around, comfyui: Path | None) -> str:
    if environment.python is not None and environment.python.embedded:
        # ComfyUI portable spells its folder with one "d".
        return PORTABLE if Path(around.base).name.lower() == "python_embeded" else EMBEDDED
    if (Path(around.prefix) / "conda-meta").is_dir():
        return CONDA
    if around.prefix != around.base:
        return DESKTOP if _is_desktops(Path(around.prefix), comfyui) else VENV
    return SYSTEM


def _is_desktops(prefix: Path, comfyui: Path | None) -> bool:
    """Its .venv and uv-cache lie side by side (Comfy-Org/desktop, src/virtualEnvironment.ts)."""
    beside = prefix.name == ".venv" and (prefix.parent / "uv-cache").is_dir()
    return beside or (comfyui is not None and comfyui.parent.name.lower() == "resources")


def _uv(around: Around, comfyui: Path | None) -> str:
    """Beside this Python, in the desktop application's resources, or "uv" where PATH has it."""
    own = [Path(around.executable).parent / name for name in ("uv", "uv.exe")]
    if comfyui is not None:
        resources = comfyui.parent / "uv"
        own += [resources / "win" / "uv.exe", resources / "macos" / "uv", resources / "linux" / "uv"]
    there = [str(program) for program in own if program.is_file()]
    # Its folder on PATH may be the user's own, and a terminal needs the name alone.
    return there[0] if there else "uv" if around.which("uv") else ""


def _host(environ: Mapping[str, str]) -> str:
    # Both set by the notebooks' own images; kagglehub (src/kagglehub/env.py) tells them so too.
    if environ.get("KAGGLE_KERNEL_RUN_TYPE"):
        return "Kaggle"
    return "Colab" if environ.get("COLAB_RELEASE_TAG") else ""


def _writable(folder: Path) -> bool | None:
    """Whether a file can be made in a folder, or in the nearest one above it that exists.

    Tried, because on Windows os.access looks at an attribute and not at permissions.
    """
    while not folder.is_dir():
        if folder == folder.parent:
            return None
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _runtime(around: Around) -> dict[str, tuple[int, ...] | None]:
    """The folder of python.exe is searched before that of the system."""
    system = Path(around.environ.get("SystemRoot", r"C:\Windows")) / "System32"
    found = {}
    for name in RUNTIME:
        beside = Path(around.executable).parent / name
        found[name] = file_version(beside if beside.is_file() else system / name)
    return found


def _long_paths(registry: Any) -> bool | None:
    if registry is None:
        import winreg as registry
    try:
        with registry.OpenKey(
            registry.HKEY_LOCAL_MACHINE, r"SYSTEM\CurrentControlSet\Control\FileSystem"
        ) as key:
            return bool(registry.QueryValueEx(key, "LongPathsEnabled")[0])
    except OSError:
        return None


def _not_ascii(around: Around) -> dict[str, str]:
    folders = {name: around.environ.get(name, "") for name in ("USERPROFILE", "TEMP", "TRITON_CACHE_DIR")}
    return {name: folder for name, folder in folders.items() if not folder.isascii()}


def _triton_cache(around: Around) -> Path:
    """As triton/knobs.py finds it."""
    if stated := around.environ.get("TRITON_CACHE_DIR"):
        return Path(stated)
    return Path(around.environ.get("TRITON_HOME") or around.home) / ".triton" / "cache"


def _compilers(environ: Mapping[str, str]) -> list[str]:
    return [name for name in (environ.get("CC"), "gcc", "clang") if name]


def _own_python(around: Around, layout: Layout) -> str:
    """ComfyUI portable's Python, or a virtual environment in ComfyUI's folders: "" if it is this one."""
    # Desktop keeps its environment in the base.
    folders = dict.fromkeys(folder for folder in (layout.comfyui, layout.base) if folder)
    here = Path(around.prefix)
    own = [
        *(folder.parent / "python_embeded" / "python.exe" for folder in folders),
        *(
            folder / venv / tail
            for folder in folders
            for venv in (".venv", "venv")
            for tail in ("Scripts/python.exe", "bin/python")
        ),
    ]
    there = [python for python in own if python.is_file()]
    if any(_within(python, here) for python in there):
        return ""
    return str(there[0]) if there else ""


def _other_pip(around: Around) -> str:
    found = around.which("pip")
    return found if found and not _within(Path(found), Path(around.prefix)) else ""


def _within(file: Path, folder: Path) -> bool:
    # The folder is resolved, the file is not: a virtual environment's python is a link out of it.
    above = os.path.normcase(os.path.realpath(file.parent))
    return (above + os.sep).startswith(os.path.normcase(os.path.realpath(folder)) + os.sep)
