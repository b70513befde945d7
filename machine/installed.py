"""Everything that is installed or downloaded for attention, as one mapping."""

import sys
from collections.abc import Iterable

from .hub import cache_folder, read_hub
from .package import Installed, read_packages, user_site
from .sought import Sought


def installed(sought: Sought) -> Installed:
    """What of this Python, and of the local cache of the Hugging Face Hub, is there of it, by name."""
    return read_installed(sought, sys.path, user_site(), cache_folder())


def read_installed(sought: Sought, path: Iterable[str], user_folder: str | None, hub_cache: str) -> Installed:
    """The packages as ``read_packages`` finds them, and with them what ``read_hub`` finds."""
    packages = read_packages(path, sought.distributions, user_folder)
    return {**packages, **read_hub(hub_cache, sought.downloads)}
