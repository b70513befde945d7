"""Stands between ComfyUI's start and a kernel package that fails in a way that ComfyUI does not expect.

What raises, while it is imported or as ComfyUI takes its names, becomes the ImportError that ComfyUI lives
with. A crash cannot be caught in this way: that the package does not bring down a process has been found out
in a child before.
"""

import contextlib
import sys
from collections.abc import Callable, Iterable
from typing import Any

from ..check import imports
from ..machine.printable import words
from .catalogue import STARTUP


class Guard:
    """A finder in front of all others, for a few names alone; importlib.abc costs a start 3 ms.

    Args:
        names: Of modules; those below them are not watched unless they are named, too.
        failed: Called with (name, error) before the import fails.
    """

    def __init__(self, names: Iterable[str], failed: Callable[[str, BaseException], None]) -> None:
        self._names, self._failed = frozenset(names), failed

    def install(self) -> None:
        if self._names:
            sys.meta_path.insert(0, self)

    def remove(self) -> None:
        """From here on an import is what it would be without the pack."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name not in self._names:
            return None
        for finder in sys.meta_path:
            find = None if finder is self else getattr(finder, "find_spec", None)
            spec = find(name, path, target) if find else None
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = _Loader(spec.loader, name, self._failed)
                return spec
        return None


class _Loader:
    """The package's own loader, which is put back once it has run."""

    def __init__(self, own: Any, name: str, failed: Callable[[str, BaseException], None]) -> None:
        self._own, self._name, self._failed = own, name, failed

    def create_module(self, spec: Any) -> Any:
        return self._own.create_module(spec)

    def exec_module(self, module: Any) -> None:
        module.__spec__.loader = module.__loader__ = self._own
        try:
            self._own.exec_module(module)
            imports.take_names(self._name)
        except (ImportError, KeyboardInterrupt) as error:
            if isinstance(error, ImportError):
                self._tell(error)
            raise
        except BaseException as error:
            self._tell(error)
            said = STARTUP("no-import-because", package=self._name, error=words(error))
            raise ImportError(said, name=self._name) from error

    def _tell(self, error: BaseException) -> None:
        # Whatever is wrong here, the package's own failure is what its import ends with.
        with contextlib.suppress(Exception):
            self._failed(self._name, error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own, name)
