"""Two folders that change places in one step, where the system can do that."""

import os
import sys
from collections.abc import Callable

# https://man7.org/linux/man-pages/man2/renameat2.2.html
_HERE, _EXCHANGE = -100, 2


def exchange(one: str, other: str) -> bool:
    """Has two folders change places at once; where that cannot be done it says False and changes nothing.

    Linux alone can, not with every file system and not in every C library; Windows cannot.
    """
    call = _renameat2()
    if call is None:
        return False
    # As os.rename says it, for whoever watches this process.
    sys.audit("os.rename", one, other, -1, -1)
    # Whatever keeps it from happening, two renames may still do, or say why they cannot either.
    return call(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0


def is_there() -> bool:
    """Whether it is worth trying."""
    return _renameat2() is not None


def _renameat2() -> Callable[..., int] | None:
    if sys.platform != "linux":
        return None
    try:
        import ctypes  # A Python can be built without it.

        call = ctypes.CDLL(None).renameat2
    except (ImportError, OSError, AttributeError):
        return None
    call.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    return call
