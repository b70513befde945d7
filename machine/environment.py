"""The machine as one value, so that any machine can be tested on any machine."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .build import fork
from .driver import Driver, Gpu
from .pack import Pack
from .package import Package
from .python import Python
from .torch_build import Torch


@dataclass(frozen=True)
class Environment:
    """Everything that decides which kernels can work here.

    Attributes:
        python: The Python that runs; None where it could not be read.
        system: "windows", "linux" or "darwin".
        release: Of the system: the kernel's on Linux, "10.0.26100" on Windows.
        wsl: Linux under Windows.
        torch: The torch that is installed, None without one.
        driver: NVIDIA's, None without one.
        gpus: What torch can use where it was asked, else all that the driver names.
        packages: What is installed of what was looked for, by distribution name, and what of the Hugging Face
            Hub was downloaded, by the name of its repository.
        sought: The names of all that was looked for.
        comfyui: Version of the host, None without one.
        flags: Names of the host's launch options that are on.
        pack: This pack.
        visible: CUDA_VISIBLE_DEVICES, None where it is not set.
        unread: What could not be read, and why.
    """

    python: Python | None = None
    system: str = ""
    release: str = ""
    wsl: bool = False
    torch: Torch | None = None
    driver: Driver | None = None
    gpus: tuple[Gpu, ...] = ()
    packages: Mapping[str, Package] = field(default_factory=dict)
    sought: tuple[str, ...] = ()
    comfyui: str | None = None
    flags: tuple[str, ...] = ()
    pack: Pack = field(default_factory=Pack)
    visible: str | None = None
    unread: tuple[str, ...] = ()

    @property
    def capabilities(self) -> frozenset[tuple[int, int]]:
        """Of the GPUs that torch was asked about."""
        return frozenset(gpu.capability for gpu in self.gpus if gpu.capability is not None)

    @property
    def in_user_site(self) -> tuple[str, ...]:
        """The packages that lie in the user's site-packages."""
        return tuple(name for name, package in self.packages.items() if package.in_user_site)

    def as_data(self) -> dict[str, Any]:
        """Values for JSON, with no path, user name or host name among them."""
        return {
            "python": self.python and _python_data(self.python),
            "system": self.system,
            "release": self.release,
            "wsl": self.wsl,
            "torch": self.torch and _torch_data(self.torch),
            "driver": self.driver and self.driver.version,
            "gpus": [_gpu_data(gpu) for gpu in self.gpus],
            "packages": {name: _package_data(name, package) for name, package in self.packages.items()},
            "comfyui": self.comfyui,
            "flags": list(self.flags),
            "pack": self.pack.version,
            "unread": list(self.unread),
        }


def _python_data(python: Python) -> dict[str, Any]:
    return {
        "version": python.version,
        "tag": python.tag,
        "machine": python.machine,
        "executable": python.shown_executable,
        "embedded": python.embedded,
        "has_headers": python.has_headers,
    }


def _torch_data(torch: Torch) -> dict[str, Any]:
    return {"version": torch.version, "build": torch.build, "kind": torch.kind, "cuda": torch.cuda}


def _gpu_data(gpu: Gpu) -> dict[str, Any]:
    capability = gpu.capability and "{}.{}".format(*gpu.capability)
    return {
        "index": gpu.index,
        "name": gpu.name,
        "capability": capability,
        "memory_mib": gpu.memory_mib,
    }


def _package_data(name: str, package: Package) -> dict[str, Any]:
    data = {
        "version": package.version,
        "build": package.build,
        "modules": sorted(package.modules),
        "files": hashlib.sha256(repr(package.files).encode()).hexdigest()[:16] if package.files else None,
        "in_user_site": package.in_user_site,
        "copies": list(package.copies),
        "as_module": package.as_module,
    }
    return data | ({"fork": fork(package)} if name == "sageattention" else {})
