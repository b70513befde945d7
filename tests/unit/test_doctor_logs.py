"""Logs as people paste them: colours, broken lines, code pages, and much around the one line that matters."""

import pytest
from sagekit.doctor.causes.answer import decode, explain

COLOURED = """\
\x1b[36mgot prompt\x1b[0m
\x1b[1;31m!!! Exception during processing !!!\x1b[0m \x1b[35mNo module named \x1b[1m'triton'\x1b[0m
  File \x1b[35m"D:\\AI\\ComfyUI\\execution.py"\x1b[0m, line \x1b[35m349\x1b[0m, in \x1b[35mexecute\x1b[0m
    output = \x1b[31mattention\x1b[0m\x1b[1;31m(q, k, v)\x1b[0m
\x1b[1;35mModuleNotFoundError\x1b[0m: \x1b[35mNo module named \x1b[0m'triton'
"""
STARTUP = """\
Total VRAM 12288 MB, total RAM 32581 MB\r
pytorch version: 2.9.1+cu130\r
Set vram state to: NORMAL_VRAM\r
Device: cuda:0 NVIDIA GeForce RTX 3060 : cudaMallocAsync\r
\r
To use the `--use-sage-attention` feature, the `sageattention` package must be installed first.\r
command:\r
\tD:\\ComfyUI\\python_embeded\\python.exe -m pip install sageattention\r
\r
D:\\ComfyUI>pause\r
"""
WRONG_BUILD = """\
Traceback (most recent call last):
  File "E:\\Comfy\\custom_nodes\\ComfyUI-KJNodes\\nodes\\model_optimization_nodes.py", line 35, in sage_func
    from sageattention import sageattn
  File "E:\\py\\Lib\\site-packages\\sageattention\\core.py", line 20, in <module>
ImportError: DLL load failed while importing _fused: The specified procedure could not be found.
"""
NO_HEADERS = """\
!!! Exception during processing !!! Command '['C:\\\\portable\\\\triton\\\\runtime\\\\tcc\\\\tcc.exe', \
'C:\\\\Temp\\\\cuda_utils.c', '-O3', '-shared']' returned non-zero exit status 1.
Traceback (most recent call last):
  File "C:\\portable\\ComfyUI\\execution.py", line 510, in execute
subprocess.CalledProcessError: Command '['C:\\\\portable\\\\tcc.exe']' returned non-zero exit status 1.
C:/Temp/cuda_utils.c:13: error: include file 'Python.h' not found
"""
PIP = """\
Collecting sageattention==2.2.0
  Getting requirements to build wheel: started
  error: subprocess-exited-with-error
  x Getting requirements to build wheel did not run successfully.
  +-> [22 lines of output]
        File "/tmp/pip-build-env-abc/overlay/lib/python3.12/site-packages/setuptools/build_meta.py", line 1
      ModuleNotFoundError: No module named 'torch'
      [end of output]
"""
BAR = "\r  5%|#         | 1/20 [00:03<01:02,  3.11s/it]"
NOISE = "100%|##########| 20/20 [01:02<00:00,  3.11s/it]\nPrompt executed in 75.03 seconds\n"
LOGS = {
    "colours": (COLOURED, "no-triton"),
    "colours whose escape is lost": (COLOURED.replace("\x1b", ""), "no-triton"),
    "colours in caret notation": (COLOURED.replace("\x1b", "^["), "no-triton"),
    "lines of Windows": (STARTUP, "core-hint"),
    "a file of PowerShell": (WRONG_BUILD.replace("\n", "\r\n").encode("utf-16"), "fused-proc"),
    "PowerShell's without its mark": (WRONG_BUILD.encode("utf-16-le"), "fused-proc"),
    "Chinese Windows": (
        "DLL load failed while importing _fused: \u627e\u4e0d\u5230\u6307\u5b9a\u7684\u6a21\u5757".encode(
            "gbk"
        ),
        "fused-any",
    ),
    "German Windows": (
        "DLL load failed while importing libtriton: Das Modul wurde nicht gefunden. (\xe4)".encode("cp1252"),
        "dll-libtriton",
    ),
    "the cause under its consequence": (NO_HEADERS, "tcc-python-h"),
    "quoted in a forum": (WRONG_BUILD.replace("\n", "\n> "), "fused-proc"),
    "a line that the terminal broke": (
        WRONG_BUILD.replace("specified procedure", "specified\nprocedure"),
        "fused-proc",
    ),
    "another one": ("ModuleNotFoundError: No module\r\n named 'triton'", "no-triton"),
    "quotes of a word processor": ("ModuleNotFoundError: No module named \u2018triton\u2019", "no-triton"),
    "the source of a web page": ("No module named &#39;sageattention&#39;", "no-sage"),
    "docker's names and times": (
        "comfyui-1  | 2026-02-01T10:11:12.123Z ModuleNotFoundError: No module named 'sageattention'",
        "no-sage",
    ),
    "after a progress bar on one line": (
        BAR * 20_000 + "\r!!! CUDA error: no kernel image is available for execution on the device",
        "no-kernel-image",
    ),
    "at the start of a long session": ("No module named 'triton'\n" + NOISE * 40_000, "no-triton"),
    "at the end of a long session": (NOISE * 40_000 + "No module named 'triton'", "no-triton"),
    "pip's": (PIP, "build-no-torch"),
    "torch.compile without a compiler": (
        "torch._inductor.exc.InductorError: RuntimeError: Compiler: cl is not found.",
        "no-cc",
    ),
    "a black picture": (
        "nodes.py:1577: RuntimeWarning: invalid value encountered in cast\n  img = Image.fromarray(i)\n"
        + NOISE,
        "nan-output",
    ),
}


@pytest.mark.parametrize("name", LOGS)
def test_a_log_as_it_is_pasted_is_understood(name):
    text, code = LOGS[name]
    found = explain(decode(text if isinstance(text, bytes) else text.encode()))
    assert found and found[0].code == code
    # What is shown of it goes to a terminal and into an issue.
    assert found[0].line.isprintable() and "[1;3" not in found[0].line
    # A general answer to the same line is not told beside a specific one.
    assert [one.code for one in found if one.general and not found[0].general] in ([], ["tcc-generic"])


def test_a_log_of_running_out_of_memory_is_said_to_be_that_and_nothing_else():
    text = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 12.00 GiB"
    assert [one.code for one in explain(text)] == ["kind-memory"]
