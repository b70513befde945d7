"""A setting of the whole process that models take turns with."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any


class Switch:
    """One setting of the process, for forwards that each want it their own way while they run.

    It is as the forward that began last wants it, and with the last one's end as it was before the first.
    The threads of several GPUs begin and end in any order: values saved in pairs would restore the
    wrong one.

    Args:
        read: Reads the setting.
        write: Writes it.
    """

    def __init__(self, read: Callable[[], Any], write: Callable[[Any], None]) -> None:
        self._read, self._write = read, write
        self._lock = threading.Lock()
        self._wanted: dict[object, Any] = {}
        self._before: Any = None

    @contextlib.contextmanager
    def held(self, wanted: Any) -> Iterator[None]:
        """Keeps the setting as wanted until the block ends, however it ends."""
        turn = object()
        with self._lock:
            if not self._wanted:
                self._before = self._read()
            self._wanted[turn] = wanted
            self._write(wanted)
        try:
            yield
        finally:
            with self._lock:
                del self._wanted[turn]
                self._write(next(reversed(self._wanted.values()), self._before))
