"""The child process that imports kernel packages as ComfyUI will, and may die of any of them.

It hears, line by line on stdin, first a JSON object with where to import from, then the names of packages.
It says JSON lines on what was its stdout, the first of them about torch. When stdin ends, it ends.
"""

import importlib
import threading
import time
from collections.abc import Callable
from functools import partial

from .child import begin, last_words, lines_until_eof
from .imports import HOST_IMPORTS, take_names

# Seconds that a package's own threads are given to end, or to bring the process down here and not in ComfyUI.
SETTLE = 5.0


def main() -> int:
    """Serves until stdin ends."""
    say, _ = begin()
    names = lines_until_eof()
    say({"event": "torch", "error": _error(lambda: importlib.import_module("torch"))})
    for name in iter(names.get, None):
        say({"event": "imported", "package": name, "error": _error(partial(_import, name))})
    return 0


def _import(package: str) -> None:
    """The modules that ComfyUI imports, and what it takes of them."""
    before = set(threading.enumerate())
    try:
        for module in HOST_IMPORTS[package].modules:
            importlib.import_module(module)
        take_names(package)
    finally:
        # One that raises may have started threads before it did; ComfyUI would live with what it raises.
        end = time.monotonic() + SETTLE
        for thread in set(threading.enumerate()) - before:
            thread.join(max(0.0, end - time.monotonic()))


def _error(act: Callable[[], object]) -> str:
    """What an act raised in words, "" where it raised nothing."""
    try:
        act()
    except BaseException as error:  # SystemExit, too, would end the server.
        return last_words(error)
    return ""
