"""What this machine is, as one value: read here, and handed as an argument to everything that decides."""

from .build import Build, fork, generation
from .driver import Driver, Gpu
from .environment import Environment
from .fingerprint import fingerprint
from .hub import HubKernel, read_hub
from .installed import installed
from .module import Module
from .pack import Pack
from .package import Installed, InstalledFile, Package, missing, read_packages
from .python import Python
from .read import Places, read_environment, with_gpus_from_torch
from .sought import Distribution, Sought
from .torch_build import Torch

__all__ = [
    "Build",
    "Distribution",
    "Driver",
    "Environment",
    "Gpu",
    "HubKernel",
    "Installed",
    "InstalledFile",
    "Module",
    "Pack",
    "Package",
    "Places",
    "Python",
    "Sought",
    "Torch",
    "fingerprint",
    "fork",
    "generation",
    "installed",
    "missing",
    "read_environment",
    "read_hub",
    "read_packages",
    "with_gpus_from_torch",
]
