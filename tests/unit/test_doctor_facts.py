"""What a pasted log tells of its machine, and what of it counts where this machine is another."""

import re
from dataclasses import replace

import pytest
from sagekit.doctor.causes.answer import explain
from sagekit.doctor.causes.situation import fits, situation
from sagekit.doctor.paste.events import events
from sagekit.doctor.paste.paste import read
from sagekit.doctor.paste.told import Told, read_facts
from sagekit.doctor.plan.plan import make_plan
from support.environments import PLAIN_WINDOWS, RTX_4090, WINDOWS_312

WINDOWS_LOG = """\
C:\\Portable>.\\python_embeded\\python.exe -s ComfyUI\\main.py --fast fp16_accumulation --novram
** Python version: 3.13.9 (tags/v3.13.9:8183fa5, Oct 14 2025, 14:09:13) [MSC v.1944 64 bit (AMD64)]
pytorch version: 2.10.0+cu130
Enabled fp16 accumulation.
Device: cuda:0 NVIDIA GeForce RTX 5070 Ti : cudaMallocAsync
Using sage attention
Using pytorch attention in VAE
model weight dtype torch.bfloat16, manual cast: torch.float16
"""
REPORT = """\
## System Information
- **ComfyUI Version:** 0.7.0
- **Arguments:** main.py --use-flash-attention
- **OS:** posix
- **Python Version:** 3.12.8 (main, Jan 14 2025, 23:36:58) [GCC 13.3.0]
- **PyTorch Version:** 2.9.1+rocm7.2
## Devices
- **Name:** cuda:0 AMD Radeon RX 9060 XT : native
"""


def test_the_start_of_comfyui_tells_system_gpu_torch_flags_and_attention():
    told = read_facts(read(WINDOWS_LOG))
    assert (told.system, told.maker, told.gpu) == ("windows", "nvidia", "NVIDIA GeForce RTX 5070 Ti")
    assert (told.capability, told.torch, told.python, told.embedded) == (
        (12, 0),
        "2.10.0+cu130",
        "3.13.9",
        True,
    )
    # The VAE's attention is not the model's.
    assert (told.attention, told.compute) == ("sage", "float16")
    assert {"--fast", "fp16_accumulation", "--novram"} <= told.flags


def test_an_error_report_of_comfyui_tells_the_same():
    told = read_facts(read(REPORT))
    assert (told.system, told.maker, told.torch) == ("linux", "amd", "2.9.1+rocm7.2")
    assert told.gpu == "AMD Radeon RX 9060 XT" and told.flags == {"--use-flash-attention"}


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("Device: mps\n", {"system": "darwin", "maker": "apple"}),
        ("Device: xpu:0 Intel(R) Arc(TM) A770 Graphics\n", {"maker": "intel"}),
        ('File "/home/user/x.py", line 1\n', {"system": "linux"}),
        ("nothing of a machine", {"system": "", "maker": "", "gpu": "", "torch": "", "flags": frozenset()}),
        ("ptxas --gpu-name=sm_75", {"capability": (7, 5)}),
        ("I start it with --use-sage-attention", {"attention": "sage"}),
        ("black without --use-sage-attention too", {"attention": "", "flags": frozenset()}),
        ("try using: --use-split-cross-attention", {"flags": frozenset()}),
        (
            'File "D:\\p\\sageattention-2.0.0-py3.11-win-amd64.egg\\sageattention\\core.py"',
            {"sage_place": "egg"},
        ),
        (" - torch==2.10.0+cu128\n + torch==2.12.0\n", {"torch": "2.12.0"}),
        ("Patching comfy attention to use sageattn", {"attention": "sage"}),
    ],
)
def test_a_line_tells_what_it_tells_and_no_more(text, facts):
    told = read_facts(read(text))
    assert {name: getattr(told, name) for name in facts} == facts


def test_a_line_that_windows_alone_has_is_not_read_as_this_linuxs():
    (answer,) = explain("error: Microsoft Visual C++ 14.0 or greater is required.", None, RTX_4090)
    assert answer.code == "needs-compiler" and "Windows" in answer.note


@pytest.mark.parametrize(
    ("log", "words"),
    [
        (
            "Using sage attention\nEnabled fp16 accumulation.\ntorch.compile\nthe image is pure noise",
            "any two",
        ),
        (
            "Using sage attention\nEnabled fp16 accumulation.\nthe image is pure noise",
            "bypass the patch node",
        ),
        ("Using pytorch attention\nthe image is pure noise", "the model's files"),
    ],
)
def test_noise_is_put_down_to_what_the_log_shows_alone(log, words):
    (answer,) = explain(log)
    assert words in answer.cause + answer.fix and "One of these" not in answer.cause


def test_the_machine_tells_what_the_log_does_not():
    found = situation(
        read("CUDA error: no kernel image is available for execution on the device"), WINDOWS_312
    )
    assert found.elsewhere == "" and found.facts.system == "windows" and found.facts.maker == "nvidia"


def test_a_log_of_another_machine_is_said_to_be_one_and_no_command_of_this_one_is_given():
    log = "pytorch version: 2.9.1+rocm7.2\nDevice: cuda:0 AMD Radeon RX 7800 XT : native\n"
    error = log + "File \"D:\\ComfyUI\\x.py\"\nModuleNotFoundError: No module named 'sageattention'"
    plan = make_plan(PLAIN_WINDOWS)
    (answer,) = explain(error, plan, PLAIN_WINDOWS)
    assert "another machine" in answer.note and "RX 7800 XT" in answer.note
    assert not {"windows", "linux"} & set(answer.note.split()), "systems have names"
    assert [one["code"] for one in answer.as_data()["said"]] == ["log-of-another-machine"]
    assert answer.commands == () and "AMD" in answer.cause
    # Nothing of the machine here is taken for that one.
    assert situation(read(error), PLAIN_WINDOWS).facts.python == ""


def test_other_names_of_the_same_gpu_and_torch_are_no_other_machine():
    gpu = PLAIN_WINDOWS.gpus[0]
    here = replace(PLAIN_WINDOWS, gpus=(replace(gpu, name="NVIDIA GeForce RTX 4090"),))
    log = f"- GPU: RTX 4090\n- PyTorch {here.torch.version}\nNo module named 'sageattention'"
    assert explain(log, None, here)[0].note == ""


def test_a_log_of_any_of_several_gpus_is_of_this_machine_and_about_that_gpu():
    first, second = (
        replace(PLAIN_WINDOWS.gpus[0], name=f"NVIDIA GeForce RTX {number}", capability=capability)
        for number, capability in ((3060, (8, 6)), (5090, (12, 0)))
    )
    here = replace(PLAIN_WINDOWS, gpus=(first, second))
    found = situation(read("Device: cuda:0 NVIDIA GeForce RTX 5090 : cudaMallocAsync"), here)
    assert found.elsewhere == "" and found.facts.capability == (12, 0)
    assert situation(read("a line"), here).facts.gpu == first.name


def test_a_condition_is_true_false_or_open():
    facts = Told(system="windows", capability=(8, 9), torch="2.6.0+cu126")
    found = replace(situation(read("a line")), facts=facts)
    assert (
        fits({"os": ["windows"], "capability": ">=8.0 <10.0", "torch": "<2.7", "cuda": "<12.8"}, found, {})
        is True
    )
    assert fits({"capability": ">=12.0", "maker": ["amd"]}, found, {}) is False
    assert fits({"os": ["windows"], "maker": ["amd"]}, found, {}) is None
    # With ! it has to be known.
    assert fits({"maker!": ["amd"]}, found, {}) is False
    assert fits({"match": {"arch": "^sm12"}}, found, {"arch": "sm120"}) is True


@pytest.mark.parametrize(
    ("text", "kind", "groups"),
    [
        (
            "Command '['C:\\\\x\\\\tcc.exe', 'C:\\\\cuda_utils.c', '-O3']' returned non-zero exit status 1.",
            "program",
            {"program": "tcc", "target": "cuda_utils.c", "status": "1"},
        ),
        (
            "Command '['/usr/bin/x86_64-linux-gnu-gcc-13', '/tmp/main.c']' returned non-zero\nexit status 2.",
            "program",
            {"program": "gcc", "target": "main.c", "status": "2"},
        ),
        ("`ptxas` failed with error code 4294967295", "program", {"program": "ptxas"}),
        (
            "'C:\\\\T\\\\cuda_utils.cp313-win_amd64.pyd', '-lcuda']' returned non-zero exit status 1.",
            "program",
            {"program": "tcc", "target": "cuda_utils.c"},
        ),
        (
            "DLL load failed while importing _qattn_sm89: Die angegebene Prozedur wurde nicht gefunden.",
            "module",
            {"module": "_qattn_sm89", "package": "sageattention", "reason": "procedure"},
        ),
        (
            "/v/site-packages/flash_attn_2_cuda.cpython-312-x86_64-linux-gnu.so: undefined symbol: _ZN3c10",
            "module",
            {"package": "flash-attn", "reason": "symbol", "what": "_ZN3c10"},
        ),
        (
            '[WinError 1114] x. Error loading "D:\\\\torch\\\\lib\\\\c10.dll"',
            "module",
            {"package": "torch", "reason": "start"},
        ),
        (
            "  x Failed to build `flash-attn==2.8.3`\nThe build backend returned an error",
            "build",
            {"package": "flash-attn"},
        ),
        (
            'Fatal Python error: Aborted\nFile "sageattention/core.py", line 149 in sageattn',
            "crash",
            {"package": "sageattention"},
        ),
        (
            'File "/v/site-packages/triton/runtime/jit.py", line 1\nRuntimeError: something',
            "exception",
            {"type": "RuntimeError", "message": "something", "package": "triton"},
        ),
    ],
)
def test_what_happened_is_a_value_of_its_kind(text, kind, groups):
    found = [one.groups for one in events(read(text)) if one.kind == kind]
    assert any(groups.items() <= one.items() for one in found), found


@pytest.mark.parametrize("width", [80, 120])
def test_a_line_that_a_terminal_broke_in_words_is_read_whole(width):
    line = "x" * (width - 20) + " PY_SSIZE_T_CLEAN macro must be defined for '#' formats"
    broken = "\n".join(line[start : start + width] for start in range(0, len(line), width))
    assert [one.code for one in explain(broken)] == ["ssize-t"]


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        (
            "Traceback (most recent call last):\n  File \"/u/custom_nodes/x/nodes.py\"\nKeyError: 'image'",
            ["kind-exception"],
        ),
        ("RuntimeError: CUDA error: out of memory", ["kind-memory"]),
        (
            "torch.OutOfMemoryError: Allocation on device\nGot an OOM, unloading all loaded models.",
            ["kind-memory"],
        ),
        (
            "Failed to validate prompt for output 9:\n* CheckpointLoaderSimple 4:\n  - Value not in list",
            ["prompt-refused"],
        ),
        (
            "RuntimeError: mat1 and mat2 shapes cannot be multiplied (77x2048 and 768x320)",
            ["model-parts"],
        ),
        (
            "ImportError: libGL.so.1: cannot open shared object file: No such file or directory",
            ["kind-module"],
        ),
        ("UnicodeDecodeError: 'utf-8' codec can't decode byte 0xff in position 0", ["text-encoding"]),
        (
            "Found comfy_kitchen backend triton: {'ok': False, 'reason': \"No module named 'triton'\"}",
            [],
        ),
    ],
)
def test_a_log_of_something_else_is_answered_by_its_kind_alone(text, codes):
    answers = explain(text, make_plan(PLAIN_WINDOWS))
    assert [one.code for one in answers] == codes
    for one in answers:
        assert one.general and one.confidence != "high" and not one.commands
        assert not re.search("sage|triton|flash", one.cause + one.fix, re.IGNORECASE)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('File "/v/site-packages/sageattention/core.py", line 9\nRuntimeError: not seen before', "exc-sage"),
        ("torch._inductor.exc.InductorError: KeyError: not seen before", "exc-inductor"),
        ("NotImplementedError: xformers said what was not heard before", "exc-named"),
        ("RuntimeError: CUDA error: not seen before", "gpu-error"),
        ("DLL load failed while importing _strange: words of a language that is new here", "module-unknown"),
        (
            "error: subprocess-exited-with-error\n Preparing metadata (pyproject.toml) did not run",
            "pip-build-failed",
        ),
    ],
)
def test_an_unknown_failure_is_named_by_its_kind_without_an_install_command(text, code):
    (answer,) = explain(text, make_plan(PLAIN_WINDOWS))
    assert answer.code == code and answer.general
    assert not any("install" in command for command in answer.commands)
