"""Packages of this checkout that are loaded by their path, as ComfyUI loads the pack."""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from . import PACK


def load(name: str, folder: Path) -> None:
    """Makes a folder importable under a name that need not be its own."""
    if name in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


def support(name: str) -> ModuleType:
    """A module of tests/support, where what this program shares with the tests lies."""
    load("support", PACK / "tests" / "support")
    return importlib.import_module(f"support.{name}")
