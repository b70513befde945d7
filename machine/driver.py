"""The NVIDIA driver and its GPUs, from /proc or the registry: no torch, no process, no library loaded."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# The class key of display adapters, one numbered key below it for each:
# https://learn.microsoft.com/windows-hardware/drivers/install/system-defined-device-setup-classes-available-to-vendors
_DISPLAY_CLASS = r"SYSTEM\CurrentControlSet\Control\Class\{4d36e968-e325-11ce-bfc1-08002be10318}"


@dataclass(frozen=True)
class Gpu:
    """One GPU.

    Attributes:
        index: Its number, torch's own where torch was asked, else the driver's.
        name: "NVIDIA GeForce RTX 4090".
        capability: CUDA compute capability, which only torch tells; None off NVIDIA too.
        memory_mib: Its memory in MiB, which only torch tells.
    """

    index: int
    name: str
    capability: tuple[int, int] | None = None
    memory_mib: int | None = None


@dataclass(frozen=True)
class Driver:
    """What the driver itself says, which needs no torch and so is there at every start.

    Attributes:
        version: "576.52", None where it is not told.
        gpus: Names of all its GPUs, hidden ones included, in its own order.
        store: Under WSL, which tells neither: the names of the folders it is shared from, which change
            with every driver.
    """

    version: str | None = None
    gpus: tuple[str, ...] = ()
    store: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.version or "of unknown version"


def from_proc(proc: Path) -> Driver | None:
    """The driver of a Linux machine, None without one.

    The files are described in the driver's README, chapter "Using the /proc File System Interface".

    Args:
        proc: The folder /proc.
    """
    folder = proc / "driver" / "nvidia"
    if not (folder / "version").exists():
        return None
    text = (folder / "version").read_text(encoding="utf-8", errors="replace")
    # "NVIDIA UNIX x86_64 Kernel Module  550.54.15" or "... Open Kernel Module for x86_64  580.65.06".
    version = re.search(r"Kernel Module\s+(?:for \S+\s+)?(\d+(?:\.\d+)+)", text)
    files = sorted((folder / "gpus").glob("*/information"))
    models = (re.search(r"^Model:\s*(.+?)\s*$", file.read_text(errors="replace"), re.M) for file in files)
    return Driver(version[1] if version else None, tuple(model[1] for model in models if model))


def from_wsl(drivers: Path) -> Driver | None:
    """The Windows driver as WSL shares it, None without one.

    Args:
        drivers: The folder /usr/lib/wsl/drivers.
    """
    folders = tuple(sorted(folder.name for folder in drivers.glob("nv*.inf_*")))
    return Driver(store=folders) if folders else None


def from_registry(registry: Any) -> Driver | None:
    """The driver of a Windows machine, None without one.

    An entry of a card that has been taken out may still be among them.

    Args:
        registry: The module winreg.
    """
    versions, names = [], []
    with registry.OpenKey(registry.HKEY_LOCAL_MACHINE, _DISPLAY_CLASS) as display:
        for key in _numbered_keys(registry, display):
            with registry.OpenKey(display, key) as adapter:
                if "nvidia" in _value(registry, adapter, "ProviderName").lower():
                    versions.append(_value(registry, adapter, "DriverVersion"))
                    names.append(_value(registry, adapter, "DriverDesc"))
    return Driver(_nvidia_version(versions[0]), tuple(names)) if names else None


def _numbered_keys(registry: Any, display: Any) -> list[str]:
    """0000, 0001 ...; the key "Properties" among them may not even be opened."""
    found: list[str] = []
    while True:
        try:
            key = registry.EnumKey(display, len(found))
        except OSError:
            return [key for key in found if key.isdigit()]
        found.append(key)


def _value(registry: Any, key: Any, name: str) -> str:
    try:
        return str(registry.QueryValueEx(key, name)[0])
    except OSError:
        return ""


def _nvidia_version(windows: str) -> str | None:
    """NVIDIA's number of a driver: the last five digits of Windows' one, 32.0.15.7652 is 576.52."""
    parts = windows.split(".")
    if len(parts) != 4 or not all(part.isdigit() for part in parts):
        return None
    digits = parts[2][-1] + parts[3].zfill(4)
    return f"{digits[:3]}.{digits[3:]}"
