"""The tests that run inside the host's own process, on the oldest ComfyUI that the pack supports."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import host

FILES = (
    "test_plumbing.py",
    "test_override.py",
    "test_capabilities.py",
    "test_sampling.py",
    "test_compiled.py",
    "test_compiled_linear.py",
    "test_guard.py",
    "test_fp16_accumulation.py",
    "test_torch_compile.py",
    "test_torch_compile_architectures.py",
    "test_torch_compile_failures.py",
    "test_torch_compile_inductor.py",
    "test_torch_compile_loading.py",
    "test_torch_compile_other_packs.py",
    "test_torch_compile_unloading.py",
    "test_several_models.py",
    "../attack/test_calls.py",
)


@pytest.mark.parametrize("file", FILES)
def test_all_of_it_passes_there_too(file):
    if reason := host.reason_to_skip(oldest=True):
        pytest.skip(reason)
    environment = os.environ | {"COMFYUI_DIR": str(host.find_oldest().folder)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--show-capture=no"]
    command.append(Path(__file__).parent / file)
    inner = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert inner.returncode == 0, inner.stdout[-4000:] + inner.stderr[-2000:]
    assert " passed" in inner.stdout
