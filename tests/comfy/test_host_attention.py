"""What the doctor says of ComfyUI's own attention, held against the ComfyUI that is here."""

import re
import subprocess
import sys
from dataclasses import replace

import pytest
from sagekit.doctor.plan import host_attention
from sagekit.knowledge.tables import tables
from support import host
from support.environments import LAPTOP

_ASK = """
import sys
sys.argv[1:] = []
from comfy.cli_args import args
args.cpu = True
for flag in {flags!r}:
    setattr(args, flag, True)
from comfy.ldm.modules import attention
print(attention.optimized_attention.__name__)
"""
_NAMES = {
    host_attention.PYTORCH: "attention_pytorch",
    host_attention.SPLIT: "attention_split",
    host_attention.SUB_QUADRATIC: "attention_sub_quad",
}


def really_taken(folder, flags) -> str:
    asked = subprocess.run(
        [sys.executable, "-c", _ASK.format(flags=flags)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert asked.returncode == 0, asked.stderr
    return asked.stdout.split()[-1]


def test_the_attention_that_comfyui_takes_without_a_gpu_is_the_one_that_is_told(host_folder):
    for flags in ((), ("use_split_cross_attention",), ("use_pytorch_cross_attention",)):
        told = host_attention.given(replace(LAPTOP, flags=flags))
        assert _NAMES[told] == really_taken(host_folder, flags), flags


def test_the_gpus_that_compute_in_float32_are_comfyuis_own_list(host_folder):
    source = (host_folder / "comfy" / "model_management.py").read_text(encoding="utf-8")
    (found,) = re.findall(r"nvidia_16_series = \[([^\]]*)\]", source)
    assert re.findall(r'"([^"]+)"', found) == tables()["float32_gpus"]["names"]


def test_the_amd_gpus_that_are_given_pytorchs_attention_are_comfyuis_own_list():
    """The newest one's: it is what the table names as its source."""
    if reason := host.reason_to_skip():
        pytest.skip(reason)
    source = (host.find().folder / "comfy" / "model_management.py").read_text(encoding="utf-8")
    taken = source[source.index("if aotriton_supported()") : source.index("SUPPORT_FP8_OPS = True")]
    told = " ".join(row["source"] for row in tables()["host_attention"]["rocm"])
    assert set(
        re.findall(r"gfx(\w+)\"", taken.partition("if torch_version_numeric >= (2, 7) and")[0])
    ) == set(re.findall(r"\b(?:gfx)?(90a|9\d\d|1\d{3})\b", told))
