"""``<python> <pack>/kernels_check``: what this machine can do. Runs under -I -s and from any folder."""

import sys

# A script's own folder comes first on sys.path; its select.py would then stand for Python's own.
sys.path[:] = [path for path in sys.path if not path.rstrip("/\\").endswith("kernels_check")]

import importlib  # noqa: E402
import importlib.util  # noqa: E402
from pathlib import Path  # noqa: E402

_FOLDER = Path(__file__).resolve().parent
_NAME = "sagekit_kernels_check"


def _package(module: str):
    """A module of this folder, loaded as part of a package by its path."""
    if _NAME not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            _NAME, _FOLDER / "__init__.py", submodule_search_locations=[str(_FOLDER)]
        )
        sys.modules[_NAME] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[_NAME])
    return importlib.import_module(f"{_NAME}.{module}")


# What a process of the pack's own is started with; anything else is the command line.
_CHILDREN = {"--child": "child", "--imports": "import_child"}

if __name__ == "__main__":
    sys.exit(_package(_CHILDREN.get(" ".join(sys.argv[1:]), "command")).main())
