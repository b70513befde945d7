"""Whether the kernel packages that ComfyUI imports at a start can be imported: found out in a child process.

ComfyUI imports them whether or not a launch flag asks for them, and lives with an ImportError alone: a DLL
that fails in another way, a syntax error, a crash or a hang ends its start.
"""

import importlib.util
import os
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

from ..kernels.families import in_comfyui
from .process import Child
from .verdicts import CRASHED, NOT_IMPORTABLE, OK, TIMED_OUT, Verdict

# Seconds for torch, which on a cold disk takes longest, and for each package after it; the variable of the
# environment sets the latter.
TORCH_LIMIT, LIMIT, LIMIT_VARIABLE = 180.0, 60.0, "SAGEKIT_IMPORT_LIMIT"
# One slow start is no hang. After so many, a package is not waited for until something is installed anew.
HANGS = 2


# What ComfyUI imports, by the name under which it does.
HOST_IMPORTS = {one.modules[0]: one for one in in_comfyui() if one.modules}


def present() -> tuple[str, ...]:
    """Those that an import would find now and that nobody has imported yet. Imports nothing itself."""
    return tuple(name for name in HOST_IMPORTS if name not in sys.modules and _is_there(name))


def _is_there(name: str) -> bool:
    try:
        spec = importlib.util.find_spec(name)
    except Exception:  # A finder of somebody else: what it does at an import is found out in the child.
        return True
    # A folder of that name without code in it has no loader that runs anything.
    return spec is not None and spec.origin is not None


def is_settled(verdict: Verdict | None, is_relied_on: bool) -> bool:
    """Whether a stored verdict spares the import in a child.

    What failed is tried again at every start: what it failed for may be outside of what is watched, a
    library of the system or a package that it needs, and once that is mended it must not be kept out. What
    only raised is tried by ComfyUI itself, behind the guard; but where a launch flag asks for it, its kernel
    has to be proven before ComfyUI relies on it.

    Args:
        verdict: None where there is none.
        is_relied_on: A launch flag asks for the package, or nothing would catch what it raises.
    """
    if verdict is None:
        return False
    if verdict.state == TIMED_OUT:
        return verdict.cases >= HANGS
    return verdict.is_good or (verdict.state == NOT_IMPORTABLE and not is_relied_on)


def check(
    names: Iterable[str],
    hangs: Callable[[str], int] = lambda name: 0,
    *,
    limit: float | None = None,
    torch_limit: float = TORCH_LIMIT,
) -> tuple[dict[str, Verdict], str]:
    """A verdict on each package, and a remark ("" without one) where the rest could not be found out.

    Args:
        names: Of ``HOST_IMPORTS``.
        hangs: How often a package has hung in the starts before.
        limit: Seconds for one package; None for the user's own, else ``LIMIT``.
        torch_limit: Seconds for torch, which is imported first.
    """
    limit = limit or _limit()
    found: dict[str, Verdict] = {}
    child: Child | None = None
    try:
        for name in names:
            if child is None or not child.runs:
                child = Child("--imports")
                if remark := _without_torch(child, torch_limit):
                    return found, remark
            found[name] = _verdict(child, name, limit, hangs(name))
    except OSError as error:
        return (
            found,
            f"kernel packages could not be tried in a process of their own: {error.strerror or error}",
        )
    finally:
        if child is not None:
            child.kill()
    return found, ""


def _limit() -> float:
    try:
        return max(1.0, float(os.environ[LIMIT_VARIABLE]))
    except (KeyError, ValueError):
        return LIMIT


def _without_torch(child: Child, limit: float) -> str:
    """Why nothing can be said of packages that need torch: ComfyUI itself will say more of it."""
    try:
        message = child.hear(limit)
    except TimeoutError:
        return f"kernel packages were not tried: torch did not import within {limit:.0f} s"
    if message is None:
        return f"kernel packages were not tried: {child.death('while torch was imported')}"
    return (
        f"kernel packages were not tried: torch does not import: {message['error']}"
        if message["error"]
        else ""
    )


def _verdict(child: Child, name: str, limit: float, hangs: int) -> Verdict:
    begin = time.monotonic()
    try:
        child.tell(name)
        message = _heard(child, name, limit)
    except TimeoutError:
        child.kill()
        detail = f"its import did not end within {limit:.0f} s"
        return Verdict(TIMED_OUT, None, detail, time.monotonic() - begin, cases=hangs + 1)
    except OSError:
        message = None
    seconds = time.monotonic() - begin
    if message is None:
        return Verdict(CRASHED, None, child.death("while it was imported"), seconds)
    if message["error"]:
        return Verdict(NOT_IMPORTABLE, None, message["error"], seconds)
    return Verdict(OK, seconds=seconds)


def _heard(child: Child, name: str, limit: float) -> dict[str, Any] | None:
    """What it says of this package: what an earlier one left running speaks of another."""
    end = time.monotonic() + limit
    while True:
        message = child.hear(end - time.monotonic())
        if message is None or message.get("package") == name:
            return message


def take_names(name: str) -> None:
    """What ComfyUI does with a package that it has imported, which may raise as the import itself may.

    A name that is missing is left out: ComfyUI lives with that.
    """
    wanted = HOST_IMPORTS.get(name)
    if wanted is None:
        return
    for part in wanted.names:
        value = getattr(sys.modules[name], part, None)
        if value is not None and wanted.reads_signature:
            import inspect  # Torch loads it anyway; a start without these packages does without.

            inspect.signature(value)


def keep_out(name: str) -> None:
    """An import of it in this process fails as that of a package that is not installed."""
    # Python's own way to say so.
    modules: dict[str, Any] = sys.modules
    modules[name] = None
