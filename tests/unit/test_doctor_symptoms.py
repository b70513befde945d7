"""What an error means: every known line, alone and in a log, and text that is none of them."""

import io
import json
import re

import pytest
from sagekit.doctor.causes import situation
from sagekit.doctor.causes.answer import explain
from sagekit.doctor.paste import paste
from sagekit.doctor.plan.plan import make_plan
from sagekit.knowledge.facts import table
from support.environments import PLAIN_WINDOWS, WINDOWS_312, WINDOWS_313, sage, with_packages

ROWS = table("symptoms")["symptoms"]
LAST = {row["code"] for row in ROWS if row.get("last")}
START = """\
Checkpoint files will always be loaded safely.
Total VRAM 24564 MB, total RAM 65278 MB
pytorch version: 2.9.1+cu130
Set vram state to: NORMAL_VRAM
Device: cuda:0 NVIDIA GeForce RTX 4090 : cudaMallocAsync
Using pytorch attention
!!! Exception during processing !!!
Traceback (most recent call last):
"""
FRAMES = {
    "windows": '  File "D:\\ComfyUI\\execution.py", line 510, in execute\n',
    "linux": '  File "/home/user/ComfyUI/execution.py", line 510, in execute\n',
    "darwin": '  File "/Users/user/ComfyUI/execution.py", line 510, in execute\n',
}
BEFORE = START + FRAMES["windows"]
AFTER = "\nPrompt executed in 12.34 seconds\ngot prompt\n"
STEPS = {"get-pip", "python-headers", "install-triton", "install-sage", "clear-triton-cache"}
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


def in_a_log(row: dict) -> str:
    """The example in a log of a system, and of a GPU's maker, where it is known."""
    system = row["os"][0]
    start = "Device: mps\n" if system == "darwin" else START
    first, *others = row.get("causes", [row])
    when = first.get("when", {})
    if "amd" in (when.get("maker") or when.get("maker!") or ()) and (row.get("sure") or not others):
        start = "pytorch version: 2.8.0+rocm6.4\nDevice: cuda:0 AMD Radeon RX 7900 XTX : native\n"
    # What a person says stands before the log.
    if row.get("said"):
        return f"{row['example']}\n{start}{FRAMES[system]}{AFTER}"
    return start + FRAMES[system] + row["example"] + AFTER


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["code"])
@pytest.mark.parametrize("around", [lambda row: row["example"], in_a_log], ids=["alone", "in a log"])
def test_every_known_line_is_recognised_and_the_specific_answer_comes_first(row, around):
    found = explain(around(row))
    if row.get("quiet"):
        assert found == []
    elif row.get("last"):
        # Every answer that is no kind alone stands for it.
        assert row["code"] in [one.code for one in found] or found[0].code not in LAST
    elif row.get("general") or row.get("harmless"):
        # On its own line, and of its own topic, a specific answer stands for it.
        assert row["code"] in [one.code for one in found] or (found and not found[0].general)
    else:
        assert found[0].code == row["code"]
        assert found[0].line in " ".join(row["example"].split())


def test_a_log_without_an_error_says_nothing_known():
    assert codes(QUIET) == [] and codes(BEFORE + AFTER) == [] and codes("") == []


def test_specific_causes_come_before_general_ones():
    text = (
        "SystemError in driver.py\n"
        "Command '['tcc.exe', 'cuda_utils.c']' returned non-zero exit status 1.\n"
        "cuda_utils.c:13: error: include file 'Python.h' not found\n"
        "RuntimeError: PassManager::run failed\n"
    )
    assert codes(text) == ["tcc-python-h", "passmanager"]


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
        (
            "DLL load failed while importing _fused: \u627e\u4e0d\u5230\u6307\u5b9a\u7684\u6a21\u5757",
            "fused-module",
        ),
        ("ImportError: DLL load failed while importing _fused: something in Basque", "fused-any"),
        (
            "ImportError: DLL load failed while importing _qattn_sm80: The specified module could not",
            "fused-module",
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
    error, noise = "No module named 'triton'\n", "it/s\n" * (paste.END // 5 + 1)
    assert codes(error + noise) == codes(noise + error) == ["no-triton"]
    assert codes(noise + error + noise) == []


def test_of_a_file_of_any_size_both_ends_are_read(monkeypatch):
    monkeypatch.setattr(paste, "_READ", 10)
    assert paste.read_ends(io.BytesIO(b"beginning.middle. the end.")) == b"beginning.. the end."
    assert paste.read_ends(io.BytesIO(b"all of it")) == b"all of it"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_a_log_is_read_as_it_was_written(encoding):
    assert codes(paste.decode("No module named 'triton'\nЖ".encode(encoding))) == ["no-triton"]


def test_bytes_that_are_no_text_are_no_error():
    assert codes(paste.decode(bytes(range(256)) * 50)) == []
    assert codes(paste.decode(b"\0" * 999 + b"No module named 'triton'")) == ["no-triton"]


def test_answers_are_ready_for_json():
    data = [answer.as_data() for answer in explain(ROWS[0]["example"])]
    assert json.loads(json.dumps(data)) == data


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["code"])
def test_every_row_is_whole(row):
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", row["code"])
    assert row["sources"] and row["confidence"] in ("high", "medium", "low")
    assert set(row["os"]) <= {"windows", "linux", "darwin"} and row["example"]
    assert {"match", "event"} & set(row) or row.get("sure")
    assert set(row.get("hides", ())) <= {one["code"] for one in ROWS} - {row["code"]}
    for one in row.get("causes", [row]):
        assert one["cause"].endswith(".") and one["fix"].endswith(".")
        assert (one["cause"] + one["fix"]).isascii()
        assert set(one.get("steps", ())) <= STEPS
        assert {name.rstrip("!") for name in one.get("when", {})} <= situation.CONDITIONS


@pytest.mark.parametrize("row", [one for one in ROWS if "match" in one], ids=lambda row: row["code"])
def test_one_of_the_words_of_a_row_stands_in_what_it_matches(row):
    text = paste.read(row["example"])
    assert any(text.has(word) for word in row["words"])
    assert all(word == word.lower() and len(word) >= 2 for word in row["words"])


def test_no_two_rows_hide_each_other():
    hides = {row["code"]: set(row.get("hides", ())) for row in ROWS}
    assert [(one, other) for one, others in hides.items() for other in others if one in hides[other]] == []


def test_codes_are_unique():
    assert len({row["code"] for row in ROWS}) == len(ROWS) >= 150
