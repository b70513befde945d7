"""Whether compiling can work on this machine, and what an error of the compiler means."""

import functools
import os
import re
import shutil
import sys
import sysconfig
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import torch

from ...kernels.faults import REFUSED_BY_CUBLAS, leaves_the_gpu_usable
from .settings import Settings

# What inductor and Triton add to the cache folder: folders, a hash of 52, and the longest kernel names.
_BELOW_CACHE = 180
_WINDOWS_LIMIT = 260


class Fault(NamedTuple):
    """Why compiling failed.

    Attributes:
        text: The cause and the fix in one line.
        curable: Whether the user can mend it while ComfyUI runs and this model is loaded; then it is worth
            another try in the next run.
    """

    text: str
    curable: bool = False


# (what the error says, the fault), the first that fits. An error of a tool quotes the command line it was
# started with, so that the name of a compiler alone says nothing.
_KNOWN = (
    (
        r"fp8e4nv|float8_e4m3fn.*not supported|fp8 .*not supported",
        Fault("Triton cannot compile float8_e4m3fn for this GPU; load float8_e5m2 or 16-bit weights"),
    ),
    (
        r"No space left on device|WinError 112|There is not enough space on the disk",
        Fault("the disk with the compiled code is full; free some space there", curable=True),
    ),
    (
        r"WinError 206|ENAMETOOLONG|File name too long|path is too long",
        Fault(
            "a path of the compiled code is too long; set TORCHINDUCTOR_CACHE_DIR to a short folder such as "
            "C:\\tc, or allow long paths in Windows"
        ),
    ),
    (
        r"Python\.h|python3\d+t?\.lib",
        Fault(
            "Python's headers are missing; Linux: install python3-dev. ComfyUI portable: put the folders "
            "include and libs of the same Python version beside python.exe",
            curable=True,
        ),
    ),
    (
        r"Cannot find a working triton|TritonMissing|No module named 'triton",
        Fault("Triton is missing; install the triton (Windows: triton-windows) that belongs to this torch"),
    ),
    (
        r"GPUTooOldForTriton|too old to be supported by the triton",
        Fault("this GPU is too old for Triton; take this node off the model"),
    ),
    (
        r"Failed to find C compiler|No working C compiler|InvalidCxxCompiler|No working C\+\+ compiler"
        r"|cl is not found|FileNotFoundError.*['/\\](cl|cl\.exe|gcc|g\+\+|clang|clang\+\+)'",
        Fault(
            "no C++ compiler was found; Linux: install gcc and g++. Windows: install the Visual Studio Build "
            "Tools with the C++ workload and start ComfyUI where cl.exe is on the PATH",
            curable=True,
        ),
    ),
    (
        # torch's compilers import setuptools, which will not have the standard distutils that pip asked for.
        r"AssertionError: .*distutils[/\\]core\.py",
        Fault(
            "another node pack imported pip in this process, after which setuptools cannot be imported in "
            "Python 3.11 and older; set SETUPTOOLS_USE_DISTUTILS=stdlib in the environment that ComfyUI "
            "starts in"
        ),
    ),
    (
        r"FailOnRecompileLimitHit|recompile_limit|cache_size_limit",
        Fault(
            "torch has reached its limit of graphs for a part of this model, and fullgraph lets none run "
            "without; switch fullgraph off, or set dynamic to true, which needs fewer graphs",
            curable=True,
        ),
    ),
    (
        REFUSED_BY_CUBLAS,
        Fault("cuBLAS refuses a layer as compiled code calls it; update PyTorch and the NVIDIA driver"),
    ),
    (
        r"(?m)^Unsupported: ",
        Fault("a block cannot be taken as one graph; switch fullgraph off", curable=True),
    ),
)

# Frames that only compiling goes through; running compiled code does not.
_COMPILING = ("_dynamo/convert_frame.py", "_inductor/compile_fx.py", "_inductor/codecache.py")
_ERRORS_OF = ("torch._dynamo", "torch._inductor", "triton", "torch.fx.experimental", "torch._functorch")


def why_not(settings: Settings, device: torch.device, dtypes: Iterable[torch.dtype]) -> str:
    """Why compiling cannot work here, with the fix; empty where nothing speaks against it.

    Args:
        settings: What the node asked for; only inductor needs compilers.
        device: Where the model runs.
        dtypes: Those of the weights to be compiled.
    """
    if settings.backend != "inductor":
        return ""
    if device.type == "cuda" and torch.version.cuda is not None:
        capability = torch.cuda.get_device_capability(device)
        if capability < (7, 0):
            return f"Triton needs compute capability 7.0, got {capability[0]}.{capability[1]}"
        if torch.float8_e4m3fn in set(dtypes) and capability < (8, 9) and not _emulates_fp8():
            number = f"{capability[0]}.{capability[1]}"
            return (
                f"Triton compiles float8_e4m3fn weights for compute capability 8.9 and newer, got {number}; "
                "load float8_e5m2 or 16-bit weights"
            )
    return _missing_tools(device.type)


# Kinds of device for which nothing was missing. What is missing is looked for anew: it may be installed.
_complete: set[str] = set()


def _missing_tools(device: str) -> str:
    if device not in _complete:
        if missing := _find_missing(device):
            return missing
        _complete.add(device)
    return ""


def _find_missing(device: str) -> str:
    if device == "cuda":
        if not _has_triton():
            return _known("Cannot find a working triton").text
        # triton-windows brings a C compiler of its own.
        if sys.platform != "win32" and not _has_c_compiler():
            return _known("Failed to find C compiler").text
    elif device == "cpu" and (error := _error_of_cpp_compiler()):
        return _known(f"InvalidCxxCompiler {error}").text
    if not (Path(sysconfig.get_path("include")) / "Python.h").is_file():
        return _known("Python.h").text
    return ""


def _has_triton() -> bool:
    try:
        import triton  # noqa: F401
    except Exception:  # Of a broken one whatever its libraries raise.
        return False
    return True


def _has_c_compiler() -> bool:
    named = os.environ.get("CC")
    return bool(named and shutil.which(named)) or any(map(shutil.which, ("gcc", "clang", "cc")))


def _error_of_cpp_compiler() -> str:
    """What inductor's own search for a C++ compiler raises; empty where it finds one."""
    try:
        from torch._inductor.cpp_builder import get_cpp_compiler
    except ImportError:  # Older versions keep it elsewhere; they raise at the first compile.
        return ""
    try:
        get_cpp_compiler()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _emulates_fp8() -> bool:
    """Whether Triton is triton-windows 3.5.0.post21 or newer, which compiles that type for any GPU."""
    try:
        import triton
    except Exception:
        return False
    match = re.match(r"(\d+)\.(\d+)\.(\d+)(?:\.post(\d+))?", triton.__version__)
    return (
        sys.platform == "win32"
        and bool(match)
        and tuple(int(n or 0) for n in match.groups())
        >= (
            3,
            5,
            0,
            21,
        )
    )


def is_of_compiling(error: BaseException) -> bool:
    """Whether compiling failed, or what it made, after which the model can run uncompiled.

    Out of memory and CUDA faults are not that, nor is what a model or a cancel raises while it runs.
    """
    chain = list(_chain(error))
    if not all(leaves_the_gpu_usable(one) for one in chain):
        return False
    if any(type(one).__name__ == "InterruptProcessingException" for one in chain):
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
    return _known(text) or Fault(next((line.strip() for line in text.splitlines() if line.strip()), text))


def _known(text: str) -> Fault | None:
    return next((fault for pattern, fault in _KNOWN if re.search(pattern, text)), None)


def cache_folder(named: str | None) -> Path | None:
    """Where compiled code is kept; None where the user named a folder, or ours would be too deep.

    Deleting the folder is all it takes to start afresh.

    Args:
        named: The folder in TORCHINDUCTOR_CACHE_DIR; torch puts its own default there by itself.
    """
    if named is not None and named != _default_folder():
        return None
    import folder_paths

    folder = Path(folder_paths.get_user_directory()) / "sagekit" / "tc"
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
    import winreg

    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"SYSTEM\CurrentControlSet\Control\FileSystem") as key:
            return bool(winreg.QueryValueEx(key, "LongPathsEnabled")[0])
    except OSError:
        return False
