"""Everything that is installed or downloaded for attention, as one mapping."""

import sys
from collections.abc import Iterable
from functools import lru_cache

from .hub import cache_folder, read_hub
from .package import Installed, read_packages, user_site


@lru_cache(maxsize=1)
def installed() -> Installed:
    """What of this Python, and of the local cache of the Hugging Face Hub, matters to attention, by name."""
    return read_installed(sys.path, user_site(), cache_folder())


def read_installed(path: Iterable[str], user_folder: str | None, hub_cache: str) -> Installed:
    """The packages as ``read_packages`` finds them, and with them what ``read_hub`` finds."""
    return {**read_packages(path, user_folder), **read_hub(hub_cache)}
