"""What dev.py says where something is wrong: one sentence, wherever it is read, and no traceback."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "dev.py", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("command", ["start", "test"])
def test_a_wrong_comfyui_ends_it_before_anything_is_made(tmp_path, command):
    done = run(command, COMFYUI_DIR=str(tmp_path))
    assert (done.returncode, done.stderr) == (3, "")
    (line,) = done.stdout.splitlines()
    assert line.startswith(f"Missing: a ComfyUI in COMFYUI_DIR: {tmp_path} is no folder")


@pytest.mark.parametrize("port", ["99999", "0", "-1", "web"])
def test_a_port_that_is_none_is_told_what_one_is(port):
    done = run("start", "--port", port)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert f"a port is a number from 1 to 65535, got '{port}'" in done.stderr.splitlines()[-1]


def test_a_terminal_that_lacks_a_sign_gets_its_number(tmp_path):
    done = run("test", COMFYUI_DIR=str(tmp_path / "\u4e2d"), PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (3, "")
    assert "\\u4e2d" in done.stdout


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pipe that is closed so")
def test_a_reader_that_leaves_ends_it_in_silence(tmp_path):
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "dev.py", "test"]
    variables = {**os.environ, "COMFYUI_DIR": str(tmp_path)}
    child = subprocess.Popen(command, cwd=ROOT, env=variables, stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert child.communicate()[1] == b"" and child.returncode == 141


def test_a_torch_that_does_not_import_is_a_sentence(tmp_path):
    (tmp_path / "torch.py").write_text("raise OSError('libgomp.so.1: cannot open shared object file')\n")
    command = [sys.executable, str(ROOT / "dev" / "demo")]
    variables = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout.startswith("Missing: a torch that imports") and "libgomp" in done.stdout


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no Ctrl-C to one process")
@pytest.mark.parametrize("sign", ["1. The kernel check", "3. The guard"])
def test_ctrl_c_ends_the_demo_in_silence(sign):
    pytest.importorskip("torch", reason="torch is not installed")
    command = [sys.executable, str(ROOT / "dev" / "demo")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    child = subprocess.Popen(command, text=True, **pipes)
    while not child.stdout.readline().startswith(sign):
        assert child.poll() is None
    child.send_signal(signal.SIGINT)
    assert child.communicate()[1] == "" and child.returncode == 130
