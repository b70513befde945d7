"""``<python> <pack>/kernels_check``: what this machine can do. Runs under -I -s and from any folder."""

import sys

# A script's own folder comes first on sys.path; its modules would then stand for others of their names.
sys.path[:] = [path for path in sys.path if not path.rstrip("/\\").endswith("kernels_check")]

import importlib  # noqa: E402
import importlib.util  # noqa: E402
from pathlib import Path  # noqa: E402

_PACK = Path(__file__).resolve().parent.parent
_NAME = "sagekit"


def _package(module: str):
    """A module of the pack, which is loaded as a package by its path."""
    if _NAME not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            _NAME, _PACK / "__init__.py", submodule_search_locations=[str(_PACK)]
        )
        assert spec is not None and spec.loader is not None
        sys.modules[_NAME] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[_NAME])
    return importlib.import_module(f"{_NAME}.{module}")


# What a process of the pack's own is started with; anything else is the command line.
_CHILDREN = {"--child": "check.child", "--imports": "check.import_child"}

if __name__ == "__main__":
    sys.exit(_package(_CHILDREN.get(" ".join(sys.argv[1:]), "kernels_check.command")).main())
