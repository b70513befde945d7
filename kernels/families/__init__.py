"""One file per kernel family. Each declares its kernels for the packages that are installed."""

import importlib
import pkgutil
from functools import lru_cache

from ...machine import Installed, installed
from ..backend import Backend


def declare(packages: Installed) -> tuple[Backend, ...]:
    """Every kernel we know, as it is with these packages; the names are the same on every machine.

    A file in this folder joins by having ``declare(packages)``.
    """
    files = sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name[0] != "_")
    families = (importlib.import_module(f"{__name__}.{file}") for file in files)
    return tuple(backend for family in families for backend in family.declare(packages))


@lru_cache(maxsize=1)
def backends() -> dict[str, Backend]:
    """Every kernel by name, as it is on this machine."""
    return {backend.name: backend for backend in declare(installed())}
