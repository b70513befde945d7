"""The machine of somebody else: what a report or ``--json`` of it told gives the same plan as the machine."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from sagekit.doctor import described
from sagekit.doctor.causes.answer import explain
from sagekit.doctor.plan.plan import make_plan
from sagekit.doctor.report import block
from sagekit.doctor.text import answer_lines, plan_lines
from sagekit.machine.surroundings import Surroundings
from sagekit.machine.user_error import UserError
from support import environments

FOLDER = Path(__file__).resolve().parents[2] / "kernels_check"
PORTABLE = Surroundings(
    kind="portable", runtime={"msvcp140.dll": (14, 44, 35211, 0), "vcruntime140.dll": None}, long_paths=False
)
MACHINES = {
    "portable": (environments.WINDOWS_313, PORTABLE),
    "portable, wrong sage": (
        environments.with_packages(
            environments.WINDOWS_312, sageattention=environments.sage("cu128torch2.7.1.post3")
        ),
        PORTABLE,
    ),
    "linux": (environments.H100, Surroundings(kind="venv", pip=False, ensurepip=False)),
    "linux, uv": (
        environments.with_packages(environments.H100, triton=environments.UPSTREAM),
        Surroundings(kind="venv", pip=False, uv="uv"),
    ),
    "rocm": (environments.ROCM, Surroundings(kind="venv", compiler=False)),
    "kaggle": (environments.KAGGLE_T4, Surroundings(kind="system", host="Kaggle")),
    "no gpu": (environments.LAPTOP, Surroundings()),
}
SHORT = {
    "system": "windows",
    "python": {"version": "3.12.10", "machine": "AMD64", "embedded": True, "has_headers": False},
    "torch": "2.9.1+cu130",
    "gpus": {"NVIDIA GeForce RTX 4090": [8, 9]},
    "driver": "581.29",
    "packages": {"sageattention": "2.2.0+cu128torch2.7.1.post3", "triton-windows": "3.5.1"},
}


def run(*arguments):
    line = [sys.executable, "-I", str(FOLDER), *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", MACHINES)
def test_a_report_read_back_gives_the_plan_of_the_machine_itself(tmp_path, name):
    machine, around = MACHINES[name]
    report = tmp_path / "report.txt"
    lines = ["System: something", described.machine_line(machine, around)]
    report.write_text("They said:\n\n" + block(lines, ["alice"]) + "\nHelp!\n", encoding="utf-8")
    there, surroundings = described.read_machine(report)
    assert surroundings == replace(around, folder="", comfyui="")
    plan, told = make_plan(machine, around), make_plan(there, surroundings)
    assert plan.outcome == told.outcome and plan.summary == told.summary
    assert [step.code for step in plan.steps] == [step.code for step in told.steps]
    assert [one.file for step in plan.steps if (one := step.wheel)] == [
        one.file for step in told.steps if (one := step.wheel)
    ]
    assert [str(one) for one in plan.mismatches] == [str(one) for one in told.mismatches]


@pytest.mark.parametrize("executable", ["python_embeded\\python.exe", "bin/python", "python.exe", ""])
@pytest.mark.parametrize("kind", ["portable", "embedded", "venv", "conda", "desktop"])
def test_a_command_for_a_machine_of_a_report_is_said_where_to_type(tmp_path, kind, executable):
    """What a report tells of Python's place is a part of a path: as a command it would be another Python."""
    told = SHORT | {"packages": {}, "surroundings": {"kind": kind}}
    told["python"] = SHORT["python"] | {
        "executable": executable,
        "embedded": kind in ("portable", "embedded"),
    }
    machine, log = tmp_path / "machine.json", tmp_path / "log.txt"
    machine.write_text(json.dumps(told), encoding="utf-8")
    log.write_text("No module named 'triton'", encoding="utf-8")
    plan = make_plan(*described.read_machine(machine))
    lines = [line for step in plan.steps for line in plan.here.tell(step.commands).lines]
    starts = {"portable": ".\\python_embeded\\python.exe -s", "embedded": ".\\python.exe -s"}
    assert lines and plan.here.open_in
    assert all(line.startswith(starts.get(kind, "python -m pip")) for line in lines if " pip " in line)
    assert plan.here.open_in in plan_lines(plan)
    assert answer_lines(explain(log.read_text(), plan))[-1] == plan.here.open_in


def test_of_a_python_that_nobody_told_of_no_kind_is_claimed(tmp_path):
    told = SHORT | {"packages": {}, "python": SHORT["python"] | {"embedded": False}}
    (tmp_path / "machine.json").write_text(json.dumps(told), encoding="utf-8")
    machine, around = described.read_machine(tmp_path / "machine.json")
    lines = plan_lines(make_plan(machine, around))
    assert around.kind == "untold" and "not told" in lines[0]
    assert any(line.strip().startswith("python -m pip install") for line in lines)
    assert "python is the Python that runs ComfyUI" in "\n".join(lines)


def test_the_whole_of_json_is_read_as_the_report_is(tmp_path):
    file = tmp_path / "machine.json"
    machine, around = MACHINES["portable"]
    data = {"environment": machine.as_data(), "surroundings": described.surroundings_data(around)}
    file.write_text(json.dumps(data), encoding="utf-8")
    there, surroundings = described.read_machine(file)
    assert there.torch.cuda_release == (13, 0) and there.capabilities == machine.capabilities
    assert surroundings.runtime == around.runtime


def test_a_machine_written_by_hand_is_planned_for(tmp_path):
    file = tmp_path / "machine.json"
    file.write_text(json.dumps(SHORT), encoding="utf-8")
    done = run("--machine", file, "--plan", "--json")
    plan = json.loads(done.stdout)["plan"]
    assert done.returncode == 1 and plan["outcome"] == "repair"
    assert any("cu128torch2.7.1.post3" in line for line in plan["lines"])
    words = run("--machine", file, "--plan").stdout.splitlines()
    assert words == plan["lines"]


def test_a_log_is_explained_for_the_machine_that_is_described(tmp_path):
    machine, log = tmp_path / "machine.json", tmp_path / "log.txt"
    without = SHORT | {"packages": {}}
    machine.write_text(json.dumps(without), encoding="utf-8")
    log.write_text("ModuleNotFoundError: No module named 'triton'\n", encoding="utf-8")
    (answer, *_) = json.loads(run("--machine", machine, "--explain", log, "--json").stdout)["answers"]
    assert answer["cause"] and answer["fix"]
    commands = [one for one in answer["commands"] if "triton" in one]
    assert commands and all("triton-windows" in one for one in commands)


def test_a_log_of_another_machine_than_the_described_one_is_told_so_in_the_text(tmp_path):
    machine, log = tmp_path / "machine.json", tmp_path / "log.txt"
    machine.write_text(json.dumps(SHORT), encoding="utf-8")
    log.write_text("Device: mps\nAssertionError: Torch not compiled with CUDA enabled\n", encoding="utf-8")
    done = run("--machine", machine, "--explain", log)
    assert done.returncode == 0 and "This log is from another machine: macOS" in done.stdout
    # Commands are of the described machine alone.
    assert "python.exe" not in done.stdout


def test_what_this_machine_itself_prints_is_read(tmp_path):
    for option in ("--json", "--report"):
        file = tmp_path / "machine.txt"
        file.write_text(run(option).stdout, encoding="utf-8")
        there, _ = described.read_machine(file)
        assert there.python.version == ".".join(map(str, sys.version_info[:3]))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[]", '"system" is needed'),
        ('{"torch": "2.9.1"}', '"system" is needed'),
        ('{"system": "beos"}', "'beos'"),
        ('{"system": "linux", "gpus": "RTX 4090"}', '"gpus" maps'),
        ('{"system": "linux", "gpus": {"RTX 4090": [8]}}', "[8]"),
        ('{"system": "linux", "gpus": {"RTX 4090": 8.9}}', "8.9"),
        ('{"system": "linux", "torch": 2.9}', '"torch" is an object'),
        ('{"system": "linux", "packages": ["sageattention"]}', '"packages" is an object'),
        ('{"system": "linux", "packages": {"sageattention": 2}}', '"packages" maps'),
        ('{"system": "linux", "flags": "use_sage_attention"}', '"flags" is a list'),
        ('{"system": "linux", "driver": 581}', '"driver" is a text'),
        ('{"system": "linux", "surroundings": {"runtime": {"msvcp140.dll": "new"}}}', '"runtime" maps'),
        ('{"system": "linux", "surroundings": {"pip": "yes"}}', '"pip" of the surroundings'),
    ],
)
def test_a_text_that_describes_no_machine_is_refused_in_one_line(tmp_path, text, words):
    file = tmp_path / "machine.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match="describes no machine") as refused:
        described.read_machine(file)
    assert words in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("other", ["--full", "--report", "--store=x", "--write-fix=fix.sh", ""])
def test_nothing_is_tried_written_or_kept_for_another_machine(tmp_path, other):
    machine = tmp_path / "machine.json"
    machine.write_text(json.dumps(SHORT), encoding="utf-8")
    done = run("--machine", machine, *filter(None, [other]))
    assert done.returncode == 3 and "--machine goes with --plan or --explain" in done.stderr


def test_a_file_that_is_none_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "absent.json"):
        with pytest.raises(UserError, match="at most 4 MiB"):
            described.read_machine(path)
