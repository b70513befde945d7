"""Whether compiling can work on this machine, and what an error of the compiler means."""

import functools
import os
import shutil
import sys
import sysconfig
import traceback
from collections.abc import Iterable
from pathlib import Path

import torch

from ...host.process import folders, is_cancel
from ...kernels.faults import REFUSED_BY_CUBLAS, leaves_the_gpu_usable
from ...knowledge.compiling import Fault, fault, fault_in
from ...knowledge.prose import known
from ...knowledge.tables import dotted, numbers
from ...machine.message import Message
from ...machine.printable import printable
from ...machine.redaction import of_this_machine
from ..catalogue import COMPILE
from .settings import Settings

# What inductor and Triton add to the cache folder: folders, a hash of 52, and the longest kernel names.
_BELOW_CACHE = 180
_WINDOWS_LIMIT = 260


# Frames that only compiling goes through; running compiled code does not.
_COMPILING = ("_dynamo/convert_frame.py", "_inductor/compile_fx.py", "_inductor/codecache.py")
_ERRORS_OF = ("torch._dynamo", "torch._inductor", "triton", "torch.fx.experimental", "torch._functorch")


def why_not(
    settings: Settings,
    device: torch.device,
    dtypes: Iterable[torch.dtype],
    toolchain: "Toolchain | None" = None,
) -> Message | None:
    """Why compiling cannot work here, with the fix; None where nothing speaks against it.

    Args:
        settings: What the node asked for; only inductor needs compilers.
        device: Where the model runs.
        dtypes: Those of the weights to be compiled.
        toolchain: What was there before; None looks anew.
    """
    if settings.backend != "inductor":
        return None
    if device.type == "cuda" and torch.version.cuda is not None:
        capability = torch.cuda.get_device_capability(device)
        oldest, fp8 = known()["triton_gpu"], known()["fp8_gpu"]
        if capability < numbers(oldest):
            return COMPILE("triton-capability", oldest=oldest, capability=dotted(capability))
        if torch.float8_e4m3fn in set(dtypes) and capability < numbers(fp8) and not _emulates_fp8():
            return COMPILE("triton-fp8-capability", oldest=fp8, capability=dotted(capability))
    return (toolchain or Toolchain()).missing(device.type)


class Toolchain:
    """What a compiler needs on this machine. What is missing is looked for anew: it may be installed."""

    def __init__(self) -> None:
        self._complete: set[str] = set()

    def missing(self, device: str) -> Message | None:
        """Why nothing can be compiled for a kind of device; None where all is there."""
        if device not in self._complete:
            if missing := _find_missing(device):
                return missing
            self._complete.add(device)
        return None


def _find_missing(device: str) -> Message | None:
    if device == "cuda":
        if not _has_triton():
            return fault("triton").text
        # triton-windows brings a C compiler of its own.
        if sys.platform != "win32" and not _has_c_compiler():
            return fault("compiler").text
    elif device == "cpu" and not _has_cpp_compiler():
        return fault("compiler").text
    if not (Path(sysconfig.get_path("include")) / "Python.h").is_file():
        return fault("headers").text
    return None


def _has_triton() -> bool:
    try:
        import triton  # noqa: F401
    except (Exception, SystemExit):  # Of a broken one whatever its libraries raise.
        return False
    return True


def _has_c_compiler() -> bool:
    named = os.environ.get("CC")
    return bool(named and shutil.which(named)) or any(map(shutil.which, ("gcc", "clang", "cc")))


def _has_cpp_compiler() -> bool:
    """Whether inductor's own search finds a C++ compiler."""
    try:
        from torch._inductor.cpp_builder import get_cpp_compiler
    except ImportError:  # Older versions keep it elsewhere; they raise at the first compile.
        return True
    try:
        get_cpp_compiler()
    except (Exception, SystemExit):
        return False
    return True


def _emulates_fp8() -> bool:
    """Whether Triton is a triton-windows that compiles that type for any GPU."""
    try:
        import triton
    except (Exception, SystemExit):
        return False
    return sys.platform == "win32" and numbers(triton.__version__) >= numbers(known()["fp8_triton"])


def is_of_compiling(error: BaseException) -> bool:
    """Whether compiling failed, or what it made, after which the model can run uncompiled.

    Out of memory and CUDA faults are not that, nor is what a model or a cancel raises while it runs.
    """
    chain = list(_chain(error))
    if not all(leaves_the_gpu_usable(one) for one in chain):
        return False
    if any(map(is_cancel, chain)):
        return False
    # Compiled code asks of cuBLAS what the model itself does not: GELU in a multiplication.
    if any(type(one).__module__.startswith(_ERRORS_OF) or REFUSED_BY_CUBLAS in str(one) for one in chain):
        return True
    frames = (
        frame.f_code.co_filename.replace("\\", "/") for frame, _ in traceback.walk_tb(error.__traceback__)
    )
    return any(name.endswith(_COMPILING) for name in frames)


def _chain(error: BaseException | None) -> Iterable[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__ or getattr(error, "inner_exception", None)


def fault_of(error: BaseException) -> Fault:
    """What an error of compiling comes from; for an unknown one, its own first line."""
    text = "\n".join(f"{type(one).__name__}: {one}" for one in _chain(error))
    first = next((line.strip() for line in text.splitlines() if line.strip()), text)
    return fault_in(text) or Fault(
        COMPILE("compiler-error", error=of_this_machine().redact(printable(first)))
    )


def cache_folder(named: str | None) -> Path | None:
    """Where compiled code is kept; None where the user named a folder, or ours would be too deep.

    Deleting the folder is all it takes to start afresh.

    Args:
        named: The folder in TORCHINDUCTOR_CACHE_DIR; torch puts its own default there by itself.
    """
    if named is not None and named != _default_folder():
        return None
    if (kept := folders().kept) is None:
        return None
    folder = kept / "tc"
    if sys.platform == "win32" and len(str(folder)) + _BELOW_CACHE > _WINDOWS_LIMIT and not _long_paths():
        return None
    return folder


@functools.cache
def _default_folder() -> str:
    try:
        from torch._inductor.runtime.cache_dir_utils import default_cache_dir
    except ImportError:
        return ""
    return os.path.abspath(default_cache_dir())


def _long_paths() -> bool:
    """Whether Windows is set to take paths of more than 260 characters."""
    if sys.platform != "win32":
        return True
    import winreg

    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"SYSTEM\CurrentControlSet\Control\FileSystem") as key:
            return bool(winreg.QueryValueEx(key, "LongPathsEnabled")[0])
    except OSError:
        return False
