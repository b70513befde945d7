"""Where torch and Triton keep compiled code: folders that the environment names, for the whole process."""

import contextlib
import os
from collections.abc import Iterator

from ..switch import Switch

VARIABLES = ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")


class Caches:
    """Holds the folders as a model wants them while it runs."""

    def __init__(self) -> None:
        self._switch = Switch(_read, _write)

    @contextlib.contextmanager
    def held(self, folder: str | None) -> Iterator[None]:
        """torch's folder as it is to be until the block ends; None leaves it as it is named.

        torch names them in the environment itself where nobody has; that is undone as well.
        """
        named, of_triton = _read()
        with self._switch.held((folder or named, of_triton)):
            yield


def _read() -> tuple[str | None, ...]:
    return tuple(os.environ.get(name) for name in VARIABLES)


def _write(values: tuple[str | None, ...]) -> None:
    for name, value in zip(VARIABLES, values, strict=True):
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
