"""Answers come from the kind of what happened: without its rule the doctor is unsure, never misleading."""

import re
from functools import lru_cache

import pytest
from sagekit.doctor.causes import answer, symptom
from sagekit.doctor.causes.answer import Answer, explain
from sagekit.doctor.described import read_machine
from sagekit.doctor.paste.events import events
from sagekit.doctor.paste.paste import read
from sagekit.doctor.plan.plan import make_plan
from support.doctor_cases import MISLEADING, Case, cases, judged
from support.environments import PLAIN_WINDOWS

ALL = symptom.symptoms()
KINDS = {one.code for one in ALL if one.last}
CASES = cases("explain")
# What a command installs, and what a log has to be about for it to be told.
CONCERNS = {
    "sageattention": "sage",
    "triton": r"triton|inductor|dynamo|compile|sage|cuda_utils",
    "include": r"triton|python\.h|cuda_utils|tcc|compile|ssize_t",
}


@lru_cache(maxsize=100)
def machine_in(folder):
    file = folder / "machine.json"
    environment, around = read_machine(file) if file.exists() else (None, None)
    return environment, make_plan(environment, around) if environment else None


def said(answers: list[Answer]) -> str:
    return "\n".join(part for one in answers for part in (one.cause, one.fix, *one.commands))


@pytest.fixture
def without(monkeypatch):
    """Takes rows out of the table."""

    def forget(codes: set[str]) -> None:
        left = tuple(one for one in ALL if one.code not in codes)
        monkeypatch.setattr(answer, "symptoms", lambda: left)

    return forget


def forgotten(case: Case, forget, plan=None) -> list[tuple[set[str], list[Answer]]]:
    """What is answered as one rule after the other that answered is forgotten, kinds aside."""
    gone: set[str] = set()
    rounds = []
    environment, own = (None, plan) if plan else machine_in(case.folder)
    while True:
        forget(gone)
        answers = explain(case.text, own, environment)
        rounds.append((set(gone), answers))
        rules = {one.code for one in answers} - KINDS
        if not rules:
            return rounds
        gone |= rules


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_without_its_rules_a_log_is_answered_by_its_kind_or_not_at_all_and_never_misled(case, without):
    for gone, answers in forgotten(case, without):
        assert judged(case.truth, said(answers)) != MISLEADING, gone
    # Something happened in it: that is said, whatever else is known.
    if events(read(case.text)):
        assert answers and {one.code for one in answers} <= KINDS, gone


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_any_one_rule_may_be_missing(case, without):
    environment, plan = machine_in(case.folder)
    told = {one.code for one in explain(case.text, plan, environment)}
    hidden = {code for one in ALL if one.code in told for code in one.hides}
    for code in told | hidden:
        without({code})
        assert judged(case.truth, said(explain(case.text, plan, environment))) != MISLEADING, code


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_command_installs_what_a_log_does_not_concern(case, without):
    """On a machine that lacks everything, so that its plan has a command for each."""
    text = case.text.lower()
    for gone, answers in forgotten(case, without, make_plan(PLAIN_WINDOWS)):
        for one in answers:
            for name, about in CONCERNS.items():
                if any(name in command for command in one.commands):
                    assert re.search(about, text), (gone, one.code, name)


# Failures that no rule is about, by kind: what happened is named, and what to do next.
UNKNOWN = {
    "Triton's helper": (
        "Command '['/usr/bin/weirdcc', '/t/__triton_launcher.c', '-O3']' returned non-zero exit status 9.",
        "kind-helper",
        "Triton's helper did not build",
    ),
    "a module of X": (
        "ImportError: DLL load failed while importing _frob: The specified procedure could not be found.\n"
        'File "D:\\py\\Lib\\site-packages\\frobnicator\\__init__.py", line 3',
        "module-unknown",
        "frobnicator",
    ),
    "a build of X": (
        "  x Failed to build `frobnicator==1.0`\n  Building wheel for frobnicator did not run",
        "pip-build-failed",
        "frobnicator",
    ),
    "an assertion": (
        "python: frob.cpp:55: void f(): Assertion `x > 0' failed.",
        "kind-assertion",
        "check of its own",
    ),
    "a fault of the GPU": (
        "RuntimeError: CUDA error: frobnication of the device",
        "gpu-error",
        "frobnication",
    ),
    "out of memory": (
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB",
        "kind-memory",
        "memory",
    ),
    "a bad image": ("OSError: /opt/x/libfrob.so: invalid ELF header", "kind-image", "damaged"),
    "only a message": ("frob.core.FrobError: no frobs left", "kind-exception", "not known here"),
    "a bare exception": ("Exception: no frobs left", "kind-exception", "not known here"),
    "a bare type of its own": ("frob.Unsupported: frobs", "kind-exception", "not known here"),
    "a line of a program": ("some words\nerror: backend frobber failed build.", "kind-line", "frobber"),
    "only a tail": (
        '  File "/home/u/ComfyUI/custom_nodes/frobber/nodes.py", line 7, in go\n    frob()\nKeyError: 3',
        "kind-exception",
        "frobber",
    ),
    "a compiler's line": ('frob.cu(12): error: identifier "frob" is undefined', "kind-source", "frob.cu"),
    "a crash that the shell tells": (
        "  0%|   | 0/20\nAborted (core dumped)",
        "kind-crash",
        "without an exception",
    ),
    "a crash by its number": ("Process exited with code 3221226505", "kind-crash", "without an exception"),
    "an end by Linux": ("  0%|   | 0/20\nKilled", "kind-memory", "Killed"),
    "a crash": ("Fatal Python error: Segmentation fault", "kind-crash", "without an exception"),
    "a package that is not there": (
        "Cannot import /srv/ComfyUI/custom_nodes/frobber module for custom nodes: No module named 'frobs'",
        "kind-import",
        "frobber asks for the package frobs",
    ),
    "a part that another version has": (
        "RuntimeError: Failed because of: cannot import name 'Frob' from 'frobs' (/v/frobs/__init__.py)",
        "kind-import",
        "older or newer",
    ),
    "a pack's own attention": (
        'File "/srv/ComfyUI/custom_nodes/frobber/x.py", line 3, in frob_sageattn_forward\nKeyError: 3',
        "exc-pack-attention",
        "Bypass that node of frobber",
    ),
    "two models in one workflow": (
        "RuntimeError: mat1 and mat2 shapes cannot be multiplied (77x768 and 4096x3072)",
        "model-parts",
        "text encoder",
    ),
    "a file of another model": (
        "RuntimeError: Error(s) in loading state_dict for Frob:",
        "state-dict",
        "another model",
    ),
    "a model that is not known": (
        "RuntimeError: ERROR: Could not detect model type of: /m/frob.safetensors",
        "model-not-known",
        "Update ComfyUI",
    ),
    "a damaged file": (
        "safetensors_rust.SafetensorError: Error while deserializing header: frobs",
        "model-file-damaged",
        "download it again",
    ),
    "two devices": (
        "RuntimeError: Expected all tensors to be on the same device, but found cuda:0 and cpu!",
        "two-devices",
        "another device",
    ),
    "two number formats": (
        "RuntimeError: expected scalar type Half but found BFloat16",
        "two-dtypes",
        "number formats",
    ),
    "a number format without an operation": (
        "NotImplementedError: \"frob_cuda\" not implemented for 'Float8_e4m3fn'",
        "dtype-not-there",
        "frob_cuda in Float8_e4m3fn",
    ),
    "a driver that does not start": (
        "RuntimeError: Unexpected error from cudaGetDeviceCount(). Error 804: frobs",
        "gpu-does-not-start",
        "Restart the computer",
    ),
    "a GPU that was lost": ("NVRM: Xid (PCI:0000:01:00): 79, frobs", "gpu-stopped", "overclocking"),
    "the computer's memory": (
        "OSError: The paging file is too small for this operation to complete. (os error 1455)",
        "page-file",
        "paging file",
    ),
    "a crash while a file is read": (
        'Fatal Python error: Bus error\n\nThread 0x1:\n  File "/c/comfy/utils.py", line 1 in load_torch_file',
        "crash-while-loading",
        "--disable-mmap",
    ),
    "a compile that meets dynamic memory": (
        "NameError: name '__subclass_Tensor_1_c2' is not defined",
        "compile-dynamic-memory",
        "--disable-dynamic-vram",
    ),
    "a torch for another GPU": (
        "AssertionError: Torch not compiled with XPU enabled",
        "torch-without-xpu",
        "xpu index",
    ),
    "a fault of an AMD GPU": (
        "torch.AcceleratorError: HIP error: frobs were encountered",
        "hip-error",
        "this AMD GPU (frobs were encountered)",
    ),
    "a check in Python": ("AssertionError: frobs", "kind-exception", "not known here"),
    "a download": ("frob.FrobError: Max retries exceeded with url: /x", "network", "proxy"),
    "a workflow that is refused": (
        "Failed to validate prompt for output 9:\n  - Value not in list: frob: 'x' not in ['y']",
        "prompt-refused",
        "Choose it again",
    ),
    "a pack that did not load": (
        "   1.2 seconds (IMPORT FAILED): C:\\ComfyUI\\custom_nodes\\frobber",
        "pack-not-loaded",
        "without frobber",
    ),
    "packages that do not agree": (
        "frobs 1.0 requires numpy<2, but you have numpy 2.2.1 which is incompatible.",
        "pip-conflict-any",
        "frobs wants numpy<2",
    ),
    "interfaces of two times": (
        "TypeError: Frob.go() got an unexpected keyword argument 'frobs'",
        "other-interface",
        "different times",
    ),
    "a thing that is not there": (
        "AttributeError: 'NoneType' object has no attribute 'frob'",
        "nothing-there",
        "not connected",
    ),
    "an end without a word": (
        "got prompt\n\nC:\\ComfyUI>pause\nPress any key to continue . . .",
        "ended-without-a-word",
        "paging file",
    ),
    "a complaint that it is slow": ("RTX 3060, since the update 3x slower", "slow-said", "shared GPU memory"),
    "the memory of the VAE": (
        "Ran out of memory when regular VAE decoding\ntorch.OutOfMemoryError: Allocation on device",
        "kind-memory",
        "Tiled",
    ),
    "memory that is free": (
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 26.00 MiB. GPU 0 has a total capacity "
        "of 23.99 GiB of which 21.48 GiB is free.",
        "kind-memory",
        "not full",
    ),
    "a crash that systemd tells": (
        "frob.service: Main process exited, code=dumped, status=11/SEGV",
        "kind-crash",
        "without an exception",
    ),
    "a crash of a child process": (
        "the worker ended with returncode -11",
        "kind-crash",
        "without an exception",
    ),
    "an end on an AMD GPU": (
        "AMD RX 6700 XT\nProcess exited with code -1073741819",
        "kind-crash",
        "this Radeon",
    ),
    "a compiler's error in a sentence": (
        "It says backend='inductor' raised: frobs",
        "inductor-raised",
        "torch.compile failed",
    ),
    "OpenCV over OpenCV": (
        'File "/c/custom_nodes/frob/a.py", line 3\nimport cv2\nAttributeError: _ARRAY_API not found',
        "opencv-twice",
        "overwrite one another",
    ),
    "a computer that goes down": (
        "During the second video my PC restarts",
        "computer-went-down",
        "power supply",
    ),
    "a traceback that was cut": (
        'File "<frozen importlib._bootstrap>", line 4, in f\nFile "/c/custom_nodes/frob/a.py", line 3, in go',
        "traceback-cut",
        "is of frob",
    ),
    "an answer that is no JSON": (
        "json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)",
        "json-not-json",
        "half a download",
    ),
    "a page without its server": ("TypeError: Failed to fetch", "server-gone", "comfyui.log"),
    "a LoRA of another shape": (
        "ERROR lora frob.weight shape '[9216, 3072]' is invalid for input of size 125",
        "lora-left-out",
        "this very model",
    ),
    "something that stands still": ("it is stuck at 0%", "stuck-said", "paging file"),
    "memory that is not given back": (
        "there is a memory leak since the update",
        "memory-said",
        "--cache-none",
    ),
    "nodes that are not there": ("all my nodes are red", "node-missing-said", "IMPORT FAILED"),
    "a question how to install": (
        "struggling to install sageattention for a week",
        "install-asked",
        "--plan",
    ),
    "a complaint": ("since yesterday it does not work", "complaint", "comfyui.log"),
    "an option": ("main.py: error: argument --port: invalid int value: 'x'", "kind-options", "--port"),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_unknown_failure_is_named_by_its_kind_with_the_next_step(name):
    text, code, named = UNKNOWN[name]
    first, *_ = explain(text, make_plan(PLAIN_WINDOWS), None)
    assert first.code == code and named in first.cause + first.fix
    assert not any("install" in command for command in first.commands)


def test_a_kind_gives_way_to_every_rule_and_not_to_what_is_harmless():
    unknown = "KeyError: 'frob'"
    harmless = "A matching Triton is not available, some optimizations will not be enabled"
    assert [one.code for one in explain(f"{harmless}\n{unknown}")] == ["kind-exception", "xformers-triton"]
    assert [one.code for one in explain(f"No module named 'triton'\n{unknown}")] == ["no-triton"]


START = "No module named 'sageattention'\nStarting server\n"
RUN = "got prompt\n!!! Exception during processing !!! 'frob'\nKeyError: 'frob'\n"


def test_what_a_start_told_does_not_stand_for_what_a_run_ended_with():
    assert [one.code for one in explain(START + RUN)] == ["kind-exception", "no-sage"]
    # Without a run, or in one, what is known says it all.
    assert [one.code for one in explain(START + RUN.removeprefix("got prompt\n"))] == ["no-sage"]
    assert [one.code for one in explain("got prompt\n" + START + RUN)] == ["no-sage"]


def test_a_reports_error_stands_before_its_log():
    report = f"# ComfyUI Error Report\nKeyError: 'frob'\n## Logs\n{START}got prompt\n"
    assert [one.code for one in explain(report)] == ["kind-exception", "no-sage"]


def test_what_a_start_could_not_load_gives_way_to_what_it_knows():
    pack = "   1.2 seconds (IMPORT FAILED): /c/custom_nodes/frobber\n"
    assert [one.code for one in explain(f"{pack}{START}got prompt\n")] == ["no-sage"]


@pytest.mark.parametrize(
    ("line", "package", "function"),
    [
        ('File "/usr/lib/python3.12/dist-packages/frobs/a.py", line 3, in go', "frobs", "go"),
        ('File "D:\\ComfyUI\\custom_nodes\\Comfy-\nFrob\\a.py", line\n3, in go', "Comfy-Frob", "go"),
        ('File "/c/custom_nodes/frob/a.py", line 3', "frob", ""),
        ('File "/c/ComfyUI/nodes.py", line 3, in go', "ComfyUI", "go"),
        ('File "/c/ComfyUI/comfy/ldm/frob/model.py", line 3, in go', "ComfyUI", "go"),
        ('File "/home/u/frob.py", line 3, in go', "", ""),
        # torch raises for whoever called it.
        (
            'File "/c/custom_nodes/frob/a.py", line 3, in go\n'
            'File "/v/site-packages/torch/nn/modules/module.py", line 4, in _call_impl',
            "frob",
            "go",
        ),
        ('File "/v/site-packages/torch/nn/modules/module.py", line 4, in f', "torch", "f"),
    ],
)
def test_whose_code_raised_is_read_from_a_frame_however_it_was_broken(line, package, function):
    (one,) = [event for event in events(read(f"{line}\nKeyError: 3")) if event.kind == "exception"]
    assert (one.package, one.function) == (package, function)


def test_packs_on_the_way_to_an_error_of_comfyuis_are_named():
    text = (
        "Traceback (most recent call last):\n"
        'File "/c/custom_nodes/other/a.py", line 3, in go\nKeyError: 4\n'
        "Traceback (most recent call last):\n"
        'File "/c/custom_nodes/frob/a.py", line 3, in sample\n'
        'File "/c/custom_nodes/brof/a.py", line 3, in sample\n'
        'File "/c/comfy/samplers.py", line 3, in go\nKeyError: 3\n'
    )
    (one,) = explain(text)
    assert "brof, frob" in one.cause and "other" not in one.cause
    assert "--disable-all-custom-nodes" in one.fix


def test_a_pack_for_nvidia_on_another_makers_gpu_is_told_as_that():
    text = 'File "/c/custom_nodes/frob/a.py", line 3, in sage_forward\nKeyError: 3'
    (amd,) = explain(f"pytorch version: 2.8.0+rocm6.4\n{text}")
    (other,) = explain(text)
    assert "another maker" in amd.cause and "another maker" not in other.cause


def test_of_several_kinds_the_one_that_says_most_is_told():
    text = (
        "Command '['/usr/bin/weirdcc', '/tmp/cuda_utils.c']' returned non-zero exit status 9.\n"
        "KeyError: 'frob'\nCUDA out of memory"
    )
    assert [one.code for one in explain(text)] == ["kind-helper"]
