"""Whether compiling can work, and what an error of it means, for machines that this one is not."""

import errno
import sys

import pytest
import torch
import torch._dynamo.exc
from sagekit.core.compile import machine
from sagekit.core.compile.settings import Settings
from sagekit.knowledge import compiling
from sagekit.knowledge.facts import table

CUDA = torch.device("cuda", 0)
HALF = (torch.float16,)


@pytest.fixture
def gpu(monkeypatch, tmp_path):
    """gpu(capability, platform=..., tools=..., triton=..., headers=...): a machine that has all it takes."""

    def make(capability=(8, 9), platform="linux", tools=("gcc", "g++"), triton="3.5.1", headers=True):
        monkeypatch.setattr(torch.version, "cuda", "12.8")
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
        monkeypatch.setattr(machine.sys, "platform", platform)
        monkeypatch.setattr(machine.shutil, "which", lambda name: name if name in tools else None)
        monkeypatch.delenv("CC", raising=False)
        stand_in = type(sys)("triton")
        stand_in.__version__ = triton
        monkeypatch.setitem(sys.modules, "triton", stand_in if triton else None)
        monkeypatch.setattr(machine.sysconfig, "get_path", lambda name: str(tmp_path))
        header = tmp_path / "Python.h"
        header.touch() if headers else header.unlink()

    make()
    yield make


def test_nothing_is_missing_on_a_machine_that_has_all(gpu):
    assert machine.why_not(Settings(), CUDA, HALF) is None


@pytest.mark.parametrize(
    ("facts", "named"),
    [
        ({"capability": (6, 1)}, "needs compute capability 7.0, got 6.1"),
        ({"triton": ""}, "Triton is missing"),
        ({"tools": ()}, "no C++ compiler was found"),
        ({"headers": False}, "Python's headers are missing"),
        ({"headers": False, "platform": "win32", "tools": ()}, "ComfyUI portable: put the folders include"),
    ],
    ids=str,
)
def test_what_is_missing_is_named_with_the_fix(gpu, facts, named):
    gpu(**facts)
    assert named in machine.why_not(Settings(), CUDA, HALF)


@pytest.mark.parametrize("facts", [{"capability": (7, 0)}, {"tools": ("clang",)}], ids=str)
def test_one_step_inside_nothing_is_missing(gpu, facts):
    gpu(**facts)
    assert machine.why_not(Settings(), CUDA, HALF) is None


def test_triton_on_windows_brings_its_own_c_compiler(gpu):
    gpu(platform="win32", tools=())
    assert machine.why_not(Settings(), CUDA, HALF) is None


def test_only_inductor_needs_tools(gpu):
    gpu(tools=(), triton="", headers=False)
    assert machine.why_not(Settings(backend="eager"), CUDA, HALF) is None


@pytest.mark.parametrize(
    ("facts", "dtype", "works"),
    [
        ({"capability": (8, 9)}, torch.float8_e4m3fn, True),
        ({"capability": (8, 6)}, torch.float8_e4m3fn, False),
        ({"capability": (8, 6)}, torch.float8_e5m2, True),
        ({"capability": (8, 6), "platform": "win32", "triton": "3.5.0.post20"}, torch.float8_e4m3fn, False),
        ({"capability": (8, 6), "platform": "win32", "triton": "3.5.0.post21"}, torch.float8_e4m3fn, True),
    ],
    ids=str,
)
def test_fp8_weights_need_a_gpu_or_a_triton_that_knows_them(gpu, facts, dtype, works):
    gpu(**facts)
    why = machine.why_not(Settings(), CUDA, (torch.bfloat16, dtype))
    assert (why is None) is works
    assert works or "capability 8.9 and newer, got 8.6" in why


MSVC = "Command: cl /I C:/x /Fe:y.pyd z.cpp\nOutput: cl.exe : "
GCC = "Command: g++ z.cpp -o z.so\nOutput: "
CUBLAS = "CUDA error: CUBLAS_STATUS_NOT_SUPPORTED when calling `cublasLtMatmulAlgoGetHeuristic(...)`"
CAUSES = [
    (RuntimeError("Failed to find C compiler. Please specify via CC"), "no C++ compiler", True),
    (RuntimeError("Compiler: cl is not found."), "no C++ compiler", True),
    (FileNotFoundError(errno.ENOENT, "No such file or directory", "g++"), "no C++ compiler", True),
    (RuntimeError(GCC + "main.c:2:10: fatal error: Python.h: No such file"), "Python's headers", True),
    (
        RuntimeError(MSVC + "fatal error C1083: Cannot open include file: 'Python.h'"),
        "Python's headers",
        True,
    ),
    (RuntimeError("LINK : fatal error LNK1104: cannot open file 'python312.lib'"), "Python's headers", True),
    (RuntimeError("LINK : fatal error LNK1104: cannot open file 'python313t.lib'"), "Python's headers", True),
    (RuntimeError(GCC + "fatal error: error writing to z.s: No space left on device"), "disk", True),
    (ValueError("type fp8e4nv not supported in this architecture"), "float8_e4m3fn", False),
    (RuntimeError("Cannot find a working triton installation."), "Triton is missing", False),
    (
        RuntimeError("GPU X is too old to be supported by the triton GPU compiler"),
        "too old for Triton",
        False,
    ),
    (AssertionError("/usr/lib/python3.11/distutils/core.py"), "imported pip", False),
    (AssertionError("C:\\Python310\\Lib\\distutils\\core.py"), "imported pip", False),
    (OSError(errno.ENAMETOOLONG, "File name too long"), "too long", False),
    (OSError("[WinError 206] The filename or extension is too long"), "too long", False),
    (OSError(errno.ENOSPC, "No space left on device"), "disk", True),
    (OSError("[WinError 112] There is not enough space on the disk"), "disk", True),
    (
        torch._dynamo.exc.FailOnRecompileLimitHit("recompile_limit reached, because fullgraph=True was set"),
        "limit of graphs",
        True,
    ),
    (RuntimeError(CUBLAS), "cuBLAS refuses", False),
    (torch._dynamo.exc.Unsupported("Skip inlining `torch.compiler.disable()`d"), "as one graph", True),
]


@pytest.mark.parametrize(("error", "cause", "curable"), CAUSES, ids=str)
def test_the_cause_is_named_whatever_wraps_the_error(error, cause, curable):
    outer = RuntimeError("backend='inductor' raised:")
    outer.__cause__ = error
    for one in (error, outer):
        fault = machine.fault_of(one)
        assert cause in fault.text and fault.curable is curable


@pytest.mark.parametrize(
    "error",
    [
        KeyError("something new"),
        RuntimeError(MSVC + "error C2065: 'x': undeclared identifier"),
        RuntimeError(GCC + "z.cpp:1:1: error: expected unqualified-id"),
        RuntimeError("ptxas fatal : Unsupported gpu-name sm_999"),
        FileNotFoundError(errno.ENOENT, "No such file or directory", "/tmp/clangs/x.json"),
    ],
    ids=str,
)
def test_an_error_that_only_looks_like_a_known_one_is_told_in_its_own_words(error):
    fault = machine.fault_of(error)
    assert fault.text.startswith(f"{type(error).__name__}: ") and not fault.curable


def test_every_known_error_has_a_case():
    texts = {machine.fault_of(error).text for error, *_ in CAUSES}
    rows, names = table("symptoms")["symptoms"], table("symptoms")["compiling"]["faults"]
    assert {row["compiling"] for row in rows if "compiling" in row} == set(names)
    assert [name for name in names if compiling.fault(name).text not in texts] == []


def _raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as raised:
        return raised


@pytest.mark.parametrize(
    "error",
    [
        ValueError("of a model"),
        torch.OutOfMemoryError("CUDA out of memory"),
        torch._dynamo.exc.BackendCompilerFailed(print, torch.OutOfMemoryError("CUDA out of memory"), None),
        torch._dynamo.exc.TorchDynamoException("CUDA error: an illegal memory access was encountered"),
        type("InterruptProcessingException", (Exception,), {})(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_that_are_not_of_compiling_go_up(error):
    assert not machine.is_of_compiling(_raised(error))


@pytest.mark.parametrize(
    "error",
    [
        torch._dynamo.exc.Unsupported("graph break"),
        torch._dynamo.exc.BackendCompilerFailed(print, ValueError("of the compiler"), None),
        RuntimeError(CUBLAS),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_of_compiling_are_known(error):
    assert machine.is_of_compiling(_raised(error))
