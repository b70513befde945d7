"""Reads the real machine, in milliseconds: files and the registry, no torch and no process."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from .driver import Driver, Gpu, from_proc, from_registry, from_wsl
from .environment import Environment
from .hub import cache_folder
from .installed import read_installed
from .pack import Pack, read_comfyui, read_pack
from .package import Installed, user_site
from .python import read_python
from .sought import Sought
from .torch_build import ROCM, read_torch

_SYSTEMS = {"win32": "windows", "cygwin": "windows", "linux": "linux", "darwin": "darwin"}
_Found = TypeVar("_Found")


@dataclass(frozen=True)
class Places:
    """Where to look. The defaults are this process and this machine.

    Attributes:
        executable: The Python program.
        base: The folder it is installed in.
        path: The folders it searches for packages.
        user_site: The one among them that is the user's, None where it is not searched.
        hub_cache: Where the package `kernels` keeps what a user has it download.
        system: "windows", "linux" or "darwin".
        proc: The folder /proc.
        wsl_drivers: The folder through which WSL shares the Windows driver.
        pack: The folder of this pack.
        visible: The value of CUDA_VISIBLE_DEVICES.
        registry: The module winreg; None imports it.
    """

    executable: str = field(default_factory=lambda: sys.executable)
    base: str = field(default_factory=lambda: sys.base_prefix)
    path: tuple[str, ...] = field(default_factory=lambda: tuple(sys.path))
    user_site: str | None = field(default_factory=user_site)
    hub_cache: str = field(default_factory=cache_folder)
    system: str = _SYSTEMS.get(sys.platform, sys.platform)
    proc: Path = Path("/proc")
    wsl_drivers: Path = Path("/usr/lib/wsl/drivers")
    pack: Path = Path(__file__).resolve().parents[1]
    visible: str | None = field(default_factory=lambda: os.environ.get("CUDA_VISIBLE_DEVICES"))
    registry: Any = None


def read_environment(
    sought: Sought, comfyui: Path | None = None, flags: tuple[str, ...] = (), places: Places | None = None
) -> Environment:
    """This machine, read without torch. What cannot be read is None, and ``unread`` says why.

    Args:
        sought: The packages and downloads to look for.
        comfyui: The folder of the host, None without one.
        flags: Names of the host's launch options that are on.
        places: Where to look; None is here.
    """
    places = places or Places()
    unread: list[str] = []

    def read(what: str, probe: Callable[[], _Found], otherwise: _Found) -> _Found:
        # Whatever goes wrong in one probe, the rest of the answer is worth having.
        try:
            return probe()
        except Exception as error:
            unread.append(f"{what}: {_without_paths(error)}")
            return otherwise

    release = read("release", lambda: _release(places), "")
    wsl = "microsoft" in release.lower()
    nothing: Installed = {}
    packages = read(
        "packages",
        lambda: read_installed(sought, places.path, places.user_site, places.hub_cache),
        nothing,
    )
    driver = read("driver", lambda: _driver(places, wsl), None)
    if driver is not None and not driver.gpus:
        unread.append("gpus: the driver names none, only torch can tell")
    return Environment(
        python=read("python", lambda: read_python(places.executable, places.base, places.system), None),
        system=places.system,
        release=release,
        wsl=wsl,
        torch=read("torch", lambda: read_torch(places.path, packages.get("torch")), None),
        driver=driver,
        gpus=tuple(Gpu(index, name) for index, name in enumerate(driver.gpus)) if driver else (),
        packages=packages,
        sought=sought.names,
        comfyui=read("comfyui", lambda: read_comfyui(comfyui), None) if comfyui else None,
        flags=flags,
        pack=read("pack", lambda: read_pack(places.pack), Pack()),
        visible=places.visible,
        unread=tuple(unread),
    )


def with_gpus_from_torch(environment: Environment) -> Environment:
    """The same with the GPUs that torch can use, their capability and memory among them.

    Imports torch and starts CUDA, which takes seconds and hundreds of MiB: for the check's own process,
    or where torch is loaded and in use already.
    """
    import torch

    if not torch.cuda.is_available():
        return replace(environment, gpus=())
    # A ROCm build answers with AMD's own numbers, (11, 0) for an RX 7900, which mean nothing to CUDA.
    amd = environment.torch is not None and environment.torch.kind == ROCM
    gpus = []
    for index in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(index)
        capability = None if amd else (facts.major, facts.minor)
        gpus.append(Gpu(index, facts.name, capability, facts.total_memory // 2**20))
    return replace(environment, gpus=tuple(gpus))


def _driver(places: Places, wsl: bool) -> Driver | None:
    if places.system == "windows":
        return from_registry(places.registry or _winreg())
    if wsl:
        return from_wsl(places.wsl_drivers)
    return from_proc(places.proc) if places.system == "linux" else None


def _winreg() -> Any:
    import winreg

    return winreg


def _release(places: Places) -> str:
    if places.system == "linux":
        return (places.proc / "sys" / "kernel" / "osrelease").read_text(encoding="utf-8").strip()
    if sys.platform != "win32":
        return os.uname().release
    # Not platform.release(): see python.py.
    return "{}.{}.{}".format(*sys.getwindowsversion()[:3])


def _without_paths(error: Exception) -> str:
    """An error in words that can be shown to others."""
    return getattr(error, "strerror", None) or type(error).__name__
