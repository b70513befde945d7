"""One file per kernel family. Each declares its kernels, and whatever else is to be known of them.

A file in this folder joins by having ``FAMILY``: that alone makes its kernels looked for, proven, measured,
offered by the node and told of. A name that begins with an underscore is no family's.
"""

import importlib
import os
from functools import lru_cache

from ...machine import Installed, Sought
from ...machine import installed as read_installed
from ..backend import Backend
from ..family import Family, InComfyUI


@lru_cache(maxsize=1)
def families() -> dict[str, Family]:
    """Every family by the name of its file."""
    names = sorted(os.listdir(os.path.dirname(__file__)))
    files = [name[:-3] for name in names if name.endswith(".py") and name[0] != "_"]
    return {file: importlib.import_module(f"{__name__}.{file}").FAMILY for file in files}


@lru_cache(maxsize=1)
def sought() -> Sought:
    """What the kernels of all families come with: what is looked for on a machine."""
    every = families().values()
    return Sought.of(
        (one for family in every for one in family.distributions),
        (one for family in every for one in family.downloads),
    )


@lru_cache(maxsize=1)
def installed() -> Installed:
    """What of that is here."""
    return read_installed(sought())


def declare(packages: Installed) -> tuple[Backend, ...]:
    """Every kernel we know, as it is with these packages; the names are the same on every machine."""
    return tuple(backend for family in families().values() for backend in family.declare(packages))


@lru_cache(maxsize=1)
def backends() -> dict[str, Backend]:
    """Every kernel by name, as it is on this machine."""
    return {backend.name: backend for backend in declare(installed())}


def in_comfyui() -> tuple[InComfyUI, ...]:
    """What ComfyUI does by itself with the packages of all families, each package once."""
    every = (one for family in families().values() for one in family.in_comfyui)
    return tuple({one.distribution: one for one in every}.values())
