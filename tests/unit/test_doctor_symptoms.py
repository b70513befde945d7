"""What an error means: every known line, alone and in a log, and text that is none of them."""

import io
import json
import re

import pytest
from sagekit.kernels_check.doctor import explain, make_plan, symptoms
from sagekit.kernels_check.doctor.facts import table
from support.environments import PLAIN_WINDOWS, WINDOWS_312, WINDOWS_313, sage, with_packages

ROWS = table("symptoms")["symptoms"]
BEFORE = """\
Checkpoint files will always be loaded safely.
Total VRAM 24564 MB, total RAM 65278 MB
pytorch version: 2.9.1+cu130
Set vram state to: NORMAL_VRAM
Device: cuda:0 NVIDIA GeForce RTX 4090 : cudaMallocAsync
Using pytorch attention
!!! Exception during processing !!!
Traceback (most recent call last):
  File "D:\\ComfyUI\\execution.py", line 510, in execute
"""
AFTER = "\nPrompt executed in 12.34 seconds\ngot prompt\n"
QUIET = """\
got prompt
model weight dtype torch.float8_e4m3fn, manual cast: torch.bfloat16
Requested to load WAN21
loaded completely 21000.0 13627.5 True
100%|##########| 20/20 [01:02<00:00,  3.11s/it]
Prompt executed in 75.03 seconds
FETCH ComfyRegistry Data: 25/111
SageKit: 400 calls on sage2-int8-fp8, 40 on sdpa-flash
Using xformers attention in VAE
"""


def codes(text: str) -> list[str]:
    return [answer.code for answer in explain(text)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["code"])
@pytest.mark.parametrize("around", [("", ""), (BEFORE, AFTER)], ids=["alone", "in a log"])
def test_every_known_line_is_recognised_and_the_specific_answer_comes_first(row, around):
    found = explain(around[0] + row["example"] + around[1])
    if row.get("general"):
        # On its own line a specific answer stands for it.
        assert found and (row["code"] in codes(row["example"]) or found[0].line == row["example"].strip())
    else:
        assert found[0].code == row["code"]
        assert found[0].line in row["example"]


def test_a_log_without_an_error_says_nothing_known():
    assert codes(QUIET) == [] and codes(BEFORE + AFTER) == [] and codes("") == []


def test_specific_causes_come_before_general_ones():
    text = (
        "SystemError in driver.py\n"
        "Command '['tcc.exe', 'cuda_utils.c']' returned non-zero exit status 1.\n"
        "cuda_utils.c:13: error: include file 'Python.h' not found\n"
        "RuntimeError: PassManager::run failed\n"
    )
    assert codes(text) == ["tcc-python-h", "passmanager", "tcc-generic"]


def test_what_comfyui_caught_is_answered_by_what_was_in_it():
    line = "Error running sage attention: SM89 kernel is not available, using pytorch attention instead."
    assert codes(line) == ["sm-kernel-na"]
    assert codes("Error running sage attention: something new, using pytorch attention instead.") == [
        "core-fallback"
    ]


# Lines from public threads, in other wordings than the examples.
@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("ImportError: DLL load failed while importing _fused: 找不到指定的模块。", "fused-any"),
        (
            "ImportError: DLL load failed while importing _qattn_sm80: The specified module could not",
            "fused-any",
        ),
        ("ValueError: Unsupported CUDA architecture: sm61", "unsup-arch"),
        ("torch._inductor.exc.InductorError: ModuleNotFoundError: No module named 'triton'", "no-triton"),
        ("ptxas fatal   : Value 'sm_120' is not defined for option 'gpu-name'", "sm120-ptxas"),
        ("OSError: libcudart.so.13: cannot open shared object file: No such file or directory", "libcudart"),
        ("  error: externally-managed-environment", "externally-managed"),
        ("AssertionError: headdim should be in [64, 96, 128].", "headdim-v1"),
        (
            "NVIDIA GeForce RTX 5070 Ti with CUDA capability sm_120 is not compatible with the current "
            "PyTorch installation.",
            "torch-gpu",
        ),
    ],
)
def test_lines_as_people_paste_them(text, code):
    assert codes(text)[0] == code


def test_the_commands_are_those_of_this_machines_plan():
    error = "ModuleNotFoundError: No module named 'sageattention'"
    assert explain(error)[0].commands == ()
    (answer,) = explain(error, make_plan(PLAIN_WINDOWS))
    assert any("post6-cp310-abi3-win_amd64.whl" in command for command in answer.commands)
    assert any("triton-windows>=3.7,<3.8" in command for command in answer.commands)
    # Where the machine needs none of them, none is told.
    assert explain(error, make_plan(WINDOWS_313))[0].commands == ()


def test_a_dll_error_on_a_machine_with_another_torchs_build_names_the_right_one():
    plan = make_plan(with_packages(WINDOWS_312, sageattention=sage("cu128torch2.7.1.post3")))
    error = "ImportError: DLL load failed while importing _fused: The specified procedure could not be found."
    (answer,) = explain(error, plan)
    assert len(answer.commands) == 1 and "cu128torch2.8.0.post3" in answer.commands[0]


def test_of_a_very_long_log_the_beginning_and_the_end_are_looked_at():
    error, noise = "No module named 'triton'\n", "it/s\n" * (symptoms.END // 5 + 1)
    assert codes(error + noise) == codes(noise + error) == ["no-triton"]
    assert codes(noise + error + noise) == []


def test_of_a_file_of_any_size_both_ends_are_read(monkeypatch):
    monkeypatch.setattr(symptoms, "_READ", 10)
    assert symptoms.read_ends(io.BytesIO(b"beginning.middle. the end.")) == b"beginning.. the end."
    assert symptoms.read_ends(io.BytesIO(b"all of it")) == b"all of it"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_a_log_is_read_as_it_was_written(encoding):
    assert codes(symptoms.decode("No module named 'triton'\nЖ".encode(encoding))) == ["no-triton"]


def test_bytes_that_are_no_text_are_no_error():
    assert codes(symptoms.decode(bytes(range(256)) * 50)) == []
    assert codes(symptoms.decode(b"\0" * 999 + b"No module named 'triton'")) == ["no-triton"]


def test_answers_are_ready_for_json():
    data = [answer.as_data() for answer in explain(ROWS[0]["example"])]
    assert json.loads(json.dumps(data)) == data


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["code"])
def test_every_row_is_whole(row):
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", row["code"])
    assert row["cause"].endswith(".") and row["fix"].endswith(".") and row["sources"]
    assert set(row["os"]) <= {"windows", "linux"} and row["confidence"] in ("high", "medium", "low")
    known = {"get-pip", "python-headers", "install-triton", "install-sage", "clear-triton-cache"}
    assert set(row["steps"]) <= known
    assert (row["cause"] + row["fix"]).isascii()
    # Unbounded gaps make a long log take minutes.
    assert not re.search(r"(?<!\\)\.[*+](?!\?)", row["match"])


def test_codes_are_unique():
    assert len({row["code"] for row in ROWS}) == len(ROWS) >= 76
