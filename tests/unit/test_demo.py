"""The demo without ComfyUI shows what it says, and the test command tries an empty machine."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# dev.py's test command, with everything that it would run only written down.
COMMANDS = """
import importlib.util, json, sys
spec = importlib.util.spec_from_file_location("program", "dev.py")
program = importlib.util.module_from_spec(spec)
spec.loader.exec_module(program)
from pathlib import Path
ran = []
program.say = lambda text: None
program.environment = lambda groups, modules: Path("python")
program.comfyui.found = lambda: Path(sys.argv[1]) if sys.argv[1] else None
program.groups_for_tests = lambda folder: {}
codes = json.loads(sys.argv[2])
program.run = lambda python, command, variables: ran.append([command, variables]) or codes.get(command[-1], 0)
code = program.test(sys.argv[3:])
print(json.dumps([code, ran]))
"""


@pytest.fixture(scope="module")
def shown() -> str:
    command = [sys.executable, str(ROOT / "dev" / "demo")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_check_finds_each_kernel_as_it_is(shown):
    verdicts = re.findall(r"^   (\S+) +.*\n +-> (\w+)", shown, re.M)
    found = {name: verdict for name, verdict in verdicts if name.startswith("stand-in")}
    assert found == {
        "stand-in-int8": "ok",
        "stand-in-fp16": "ok",
        "stand-in-padding": "wrong",
        "stand-in-crash": "crashed",
    }


def test_a_kernel_that_failed_the_check_runs_nowhere(shown):
    ran = re.findall(r"^   (?:of the tokens|to the text) +36 +(.+?)  ", shown, re.M)
    assert len(ran) == 2 and not {"stand-in-padding", "stand-in-crash"} & set(ran)
    assert "stand-in-crash   needs a kernel check that it passes, got crashed" in shown


def test_the_faulty_step_is_repeated_and_its_block_kept_exact(shown):
    rows = re.findall(r"^   step  (\d)  ([q.](?: [q.]){5})", shown, re.M)
    assert rows == [
        *[(str(step), "q q q q q q") for step in range(4)],
        ("3", ". . . . . ."),
        *[(str(step), "q q q . q q") for step in (4, 5)],
    ]
    assert "against a step without the pack: the same to the bit." in shown
    assert "The end of the sampling: finite" in shown


def test_the_fault_is_real_without_the_guard(shown):
    assert "The same without the guard: NaN." in shown


def test_the_report_says_it_as_comfyuis_log_would(shown):
    assert "SageKit: stand-in-fp16 gave NaN or Inf and runs no more for this model in block 3" in shown


def test_a_gpu_that_torch_sees_and_does_not_run_on_is_left_out(monkeypatch):
    import torch
    from sagekit.dev.demo.story import usable_device

    def unsupported(*size, device):
        raise RuntimeError("CUDA error: no kernel image is available for execution\nCUDA kernel errors might")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "zeros", unsupported)
    assert usable_device() == ("cpu", "CUDA error: no kernel image is available for execution")


def commands(host: str = "", codes: dict[str, int] | None = None, *arguments: str):
    """(exit code, [[command, variables]]); `codes` has what a command ends with by its last word."""
    command = [sys.executable, "-c", COMMANDS, host, json.dumps(codes or {}), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("host", ["", "/somewhere/ComfyUI"])
def test_all_tests_run_once_more_as_on_an_empty_machine(host):
    _, ran = commands(host)
    last, variables = ran[-1]
    assert last[0] == "pytest" and not [one for one in last if "tests" in one or "ignore" in one]
    assert variables["HOME"] == variables["USERPROFILE"] and not Path(variables["HOME"]).exists()
    for name in ("COMFYUI_DIR", "OLD_COMFYUI_DIR"):
        assert variables[name].startswith(variables["HOME"])
    with_host = [one for one, variables in ran[:-1] if variables.get("COMFYUI_DIR") == host]
    assert len(with_host) == (5 if host else 0)


@pytest.mark.parametrize("last", [".", "dev.typecheck", "tests/gpu", "loadfile"])
def test_a_failure_anywhere_fails_the_command(last):
    assert commands("", {last: 1})[0] == 1


def test_gpu_tests_that_are_all_skipped_do_not_fail_the_command():
    assert commands("", {"tests/gpu": 5})[0] == 0
    assert commands("", {"loadfile": 5})[0] == 5
    assert commands("/somewhere/ComfyUI", {"tests/web": 5})[0] == 5
    assert commands("", {"tests/none.py": 5}, "tests/none.py")[0] == 5


def test_tests_that_are_named_run_once():
    _, ran = commands("/somewhere/ComfyUI", {}, "tests/unit/test_rules.py")
    assert [one[0] for one, _ in ran] == ["ruff", "ruff", "dev.typecheck", "pytest"]


# The last of these commands, run for real over one file.
EMPTY = """
import importlib.util, sys
from pathlib import Path
spec = importlib.util.spec_from_file_location("program", "dev.py")
program = importlib.util.module_from_spec(spec)
spec.loader.exec_module(program)
sys.exit(program.as_on_an_empty_machine(Path(sys.executable), ["pytest", "-q", sys.argv[1]]))
"""
REACHES = """
import os
from pathlib import Path

def test_the_host():
    from comfy import model_management

def test_the_home():
    assert list(Path.home().iterdir())

def test_a_cache():
    assert os.environ["HF_HOME"]
"""


def test_what_reaches_for_a_host_or_a_home_fails_there_and_is_not_skipped(tmp_path):
    (tmp_path / "host" / "comfy").mkdir(parents=True)
    (tmp_path / "host" / "comfy" / "model_management.py").touch()
    (tmp_path / "test_reaching.py").write_text(REACHES)
    here = {"PYTHONPATH": str(tmp_path / "host"), "HOME": str(tmp_path), "HF_HOME": str(tmp_path)}
    variables = {**os.environ, **here}

    def tried(*command: str) -> str:
        whole = [sys.executable, *command, str(tmp_path / "test_reaching.py")]
        done = subprocess.run(whole, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
        return done.stdout.splitlines()[-1]

    assert tried("-m", "pytest", "-q").startswith("3 passed")
    assert tried("-c", EMPTY).startswith("3 failed")
