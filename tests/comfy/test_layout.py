"""A check by hand beside a real server whose custom_nodes and user are not where its main.py is."""

import json
import os
import subprocess
import sys

import pytest
from support import host

SAGE = "--use-sage-attention"
KERNELS = "right sageattention"
CHECKING = "checking the kernel behind --use-sage-attention"


def check_by_hand(base, *options: str) -> subprocess.CompletedProcess:
    """As a user starts it: by the pack's path in custom_nodes, from any folder."""
    line = [sys.executable, str(base / "custom_nodes" / "sagekit" / "kernels_check"), *options]
    variables = os.environ | {"PYTHONPATH": str(base / "kernel_packages")}
    return subprocess.run(line, capture_output=True, text=True, check=False, cwd="/", env=variables)


@pytest.mark.parametrize("named", [False, True], ids=["base directory", "and user directory"])
def test_verdicts_of_a_server_are_known_to_the_check_by_hand_and_to_the_next_server(
    start, host_folder, tmp_path, named
):
    users = tmp_path / "its users" if named else tmp_path / "base" / "user"
    base = tmp_path / "base"
    flags = (SAGE, *(("--user-directory", str(users)) if named else ()))
    if named:
        users.mkdir()
    with start(*flags, kernels=KERNELS, base=base, SAGEKIT_STARTUP="on") as server:
        assert CHECKING in server.log()
        status = server.get("/sagekit/status")
        assert status["environment"]["comfyui"] == host.version(host_folder)
    file = users / "sagekit" / "verdicts.json"
    stored = json.loads(file.read_text())
    # The check by hand knows the ComfyUI, finds what the server kept, and keeps its own there.
    file.touch()
    before = file.stat().st_mtime_ns
    done = check_by_hand(base, "--json")
    assert done.stderr == "" and json.loads(done.stdout)["environment"]["comfyui"] == host.version(
        host_folder
    )
    assert json.loads(file.read_text()) == stored and file.stat().st_mtime_ns > before
    assert list(tmp_path.rglob("verdicts.json")) == [file]
    with start(*flags, kernels=KERNELS, base=base, SAGEKIT_STARTUP="on") as server:
        log = server.log()
        assert CHECKING not in log and "since the last kernel check" not in log
        assert "Using sage attention" in log


def test_what_a_check_by_hand_finds_first_is_known_to_the_server(start, tmp_path):
    (tmp_path / "user").mkdir()
    with start(kernels="none", base=tmp_path, SAGEKIT_STARTUP="on"):
        pass
    (tmp_path / "user" / "sagekit" / "verdicts.json").unlink(missing_ok=True)
    assert "kept for ComfyUI's next start in" in check_by_hand(tmp_path).stdout
    with start(SAGE, kernels="none", base=tmp_path, SAGEKIT_STARTUP="on") as server:
        assert "since the last kernel check" not in server.log()
    written = json.loads((tmp_path / "user" / "sagekit" / "server.json").read_text())
    assert sorted(written) == ["comfyui", "user"]


def test_the_launch_file_of_a_base_directory_starts_that_server(start, host_folder, tmp_path):
    with start(base=tmp_path):
        pass
    done = check_by_hand(tmp_path, "--write-launcher")
    file = tmp_path / "run_sagekit.sh"
    assert done.returncode == 0 and str(file) in done.stderr
    variables = os.environ | {"PYTHONPATH": str(tmp_path / "stand_ins")}
    options = [str(file), "--cpu", "--quick-test-for-ci", "--disable-api-nodes"]
    ran = subprocess.run(options, capture_output=True, text=True, check=False, cwd="/", env=variables)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    said = ran.stdout + ran.stderr
    assert str(tmp_path / "custom_nodes" / "sagekit") in said and "IMPORT FAILED" not in said


def test_the_plan_of_a_page_has_its_commands_from_a_folder_that_is_found_without_a_path(start, tmp_path):
    with start(kernels="broken sageattention", base=tmp_path) as server:
        plan = server.get("/sagekit/plan")["plan"]
        text = json.dumps(plan)
        assert str(tmp_path) not in text and sys.prefix not in text
        assert plan["place"] and plan["open_in"].endswith(".")
