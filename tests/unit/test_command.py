"""``<python> <pack>/kernels_check`` as a user starts it: from any folder, isolated, with or without torch."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from sagekit.check.verdicts import (
    CRASHED,
    NOT_IMPORTABLE,
    OK,
    REFUSED,
    TIMED_OUT,
    WRONG,
    Verdict,
)
from sagekit.kernels_check import command
from sagekit.machine import Package
from sagekit.machine.surroundings import Surroundings
from support.environments import PLAIN_WINDOWS, WINDOWS_313, with_packages

FOLDER = Path(__file__).resolve().parents[2] / "kernels_check"


def run(*arguments, flags=("-I", "-s"), cwd=None):
    line = [sys.executable, *flags, str(FOLDER), *arguments]
    return subprocess.run(line, capture_output=True, text=True, check=False, cwd=cwd)


# -S leaves site-packages out: no torch, no kernel, nothing but Python.
@pytest.mark.parametrize("flags", [("-I", "-s"), ("-I", "-s", "-S"), ()], ids=["isolated", "bare", "plain"])
def test_it_runs_from_any_folder_and_says_what_is_missing(tmp_path, flags):
    done = run(flags=flags, cwd=tmp_path)
    assert done.returncode in (0, 1, 2) and done.stderr == "", done.stderr
    assert "sage2-int8-fp8" in done.stdout and "Verdicts not kept" in done.stdout


def test_without_torch_every_kernel_is_refused_for_want_of_it(tmp_path):
    done = run("--json", flags=("-I", "-s", "-S"), cwd=tmp_path)
    kernels = json.loads(done.stdout)["kernels"][""]
    assert done.returncode == 1
    assert {one["state"] for one in kernels.values()} == {REFUSED}
    assert "needs torch, got nothing" in kernels["sdpa-cudnn"]["detail"]


def test_its_own_select_module_never_stands_for_pythons():
    # subprocess and selectors import select: with the folder first on sys.path they would get this one.
    assert run(flags=(), cwd=FOLDER).returncode in (0, 1, 2)


def test_an_unknown_option_is_refused():
    # 2 would say that a kernel is wrong.
    assert run("--install-everything").returncode == 3


def exit_code(*states):
    names = ["sdpa-flash", "sdpa-cudnn", "sdpa-efficient"]
    found = {name: Verdict(state) for name, state in zip(names, states, strict=False)}
    return command._exit_code({"gpu": found}, [])


def test_exit_codes(monkeypatch):
    monkeypatch.setattr(command, "backends", lambda: dict.fromkeys(_NAMES, SimpleNamespace(machine=())))
    assert exit_code(OK, OK, OK) == 0
    assert exit_code(OK, REFUSED, OK) == 1
    assert command._exit_code({"gpu": {"sdpa-flash": Verdict(OK)}}, ["a mismatch"]) == 1
    for state in (WRONG, CRASHED, TIMED_OUT, NOT_IMPORTABLE):
        assert exit_code(OK, REFUSED, state) == 2


_NAMES = ("sdpa-flash", "sdpa-cudnn", "sdpa-efficient")


def test_when_the_check_itself_fails_it_says_so_with_code_3(monkeypatch, capsys):
    def fail(*arguments):
        raise RuntimeError("no such machine")

    monkeypatch.setattr(command, "read_environment", fail)
    assert command.main([]) == 3
    assert "The kernel check itself failed: RuntimeError: no such machine" in capsys.readouterr().err


def test_a_torch_that_does_not_import_is_told_and_costs_nothing_else(monkeypatch, capsys, tmp_path):
    def fail(environment):
        raise OSError("libcudart.so.13: cannot open shared object file")

    monkeypatch.setattr(command, "with_gpus_from_torch", fail)
    assert command.main(["--store", str(tmp_path / "verdicts.json")]) in (1, 2)
    said = capsys.readouterr().out
    assert "torch does not import: OSError: libcudart.so.13" in said and "sage2-int8-fp8" in said


# The doctor.


def test_without_torch_the_plan_says_so_and_starts_nothing(tmp_path):
    # No site-packages, no socket, no process: what is told comes from files alone.
    child = subprocess.run(
        [sys.executable, "-I", "-s", "-S", "-c", GUARDED, str(FOLDER), "--plan", "--json"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert child.returncode == 1, child.stderr
    plan = json.loads(child.stdout)["plan"]
    assert plan["outcome"] == "nothing-fits" and plan["unfit"][0]["code"] == "torch-missing"
    assert list(tmp_path.iterdir()) == []


GUARDED = """
import runpy, socket, subprocess, sys
def forbidden(*args, **kwargs):
    raise SystemExit("opened a socket or started a process")
socket.socket.connect = socket.socket.bind = forbidden
subprocess.Popen.__init__ = forbidden
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize("flags", [("-I", "-s"), ("-I", "-s", "-S")], ids=["isolated", "bare"])
def test_an_error_is_explained_from_a_file_and_from_what_is_pasted(tmp_path, flags):
    log = tmp_path / "comfyui.log"
    log.write_text("got prompt\nModuleNotFoundError: No module named 'triton'\n")
    from_file = run("--explain", str(log), flags=flags)
    assert (from_file.returncode, from_file.stderr) == (0, "")
    assert "Triton is not installed in ComfyUI's Python" in from_file.stdout
    pasted = subprocess.run(
        [sys.executable, *flags, str(FOLDER), "--explain", "-", "--json"],
        input=log.read_bytes(),
        capture_output=True,
        check=False,
    )
    assert [one["code"] for one in json.loads(pasted.stdout)["answers"]] == ["no-triton"]


def test_letters_that_the_output_can_not_spell_are_told_all_the_same(tmp_path):
    log = tmp_path / "comfyui.log"
    log.write_text("DLL load failed while importing _fused: \u627e\u4e0d\u5230", encoding="utf-8")
    for encoding in ("ascii", "cp1252"):
        done = subprocess.run(
            [sys.executable, "-s", str(FOLDER), "--explain", str(log)],
            capture_output=True,
            check=False,
            env=os.environ | {"PYTHONIOENCODING": encoding},
        )
        assert done.returncode == 0 and b"_fused: \\u627e\\u4e0d\\u5230" in done.stdout and done.stderr == b""


def test_a_text_that_says_nothing_known_says_so_with_code_1(tmp_path):
    log = tmp_path / "comfyui.log"
    log.write_text("got prompt\nPrompt executed in 3 seconds\n")
    done = run("--explain", str(log))
    assert done.returncode == 1 and "Nothing in this text is known here" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--explain", "none.log"), "none.log cannot be read: No such file or directory."),
        (("--explain", "."), "cannot be read"),
        (("--python", "."), "is no Python environment"),
        (("--to", "."), "--to goes with a verb"),
        (("verify",), "needs a name"),
        (("backup", "--report"), "backup goes without --report"),
        (("backup", "--python", "."), "is no Python environment"),
        (("--with-flag",), "--with-flag goes with --write-launcher"),
        (("--no-such-option",), "Unrecognized arguments: --no-such-option. What there is: --help."),
        (("bakcup",), "invalid choice: 'bakcup'"),
        (("--explain",), "expected one argument"),
        (("--write-launcher",), "in no ComfyUI's custom_nodes"),
    ],
)
def test_bad_input_is_one_clear_line_with_code_3(tmp_path, arguments, words):
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 3 and words in done.stderr and "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1 and done.stdout == "" and list(tmp_path.iterdir()) == []


@pytest.fixture
def on_a_4090(monkeypatch):
    """The command reads a Windows machine where something can be installed."""
    monkeypatch.setattr(command, "read_environment", lambda sought, comfyui: PLAIN_WINDOWS)
    monkeypatch.setattr(command, "with_gpus_from_torch", lambda environment: environment)
    for module in (command, command.verbs):
        monkeypatch.setattr(
            module, "read_surroundings", lambda environment, comfyui: Surroundings("portable")
        )


def test_a_fix_is_written_where_it_is_asked_for_and_a_second_one_over_it(on_a_4090, tmp_path, capsys):
    file = tmp_path / "fix.bat"
    assert command.main(["--write-fix", str(file)]) == 0
    assert "Read it, close ComfyUI, then start it" in capsys.readouterr().err
    first = file.read_bytes()
    assert command.main(["--write-fix", str(file)]) == 0 and file.read_bytes() == first


@pytest.mark.parametrize("name", ["there.bat", "no/such/fix.bat", "."])
def test_a_file_that_can_not_be_written_is_code_3_and_nothing_is_lost(on_a_4090, tmp_path, capsys, name):
    (tmp_path / "there.bat").write_text("mine")
    assert command.main(["--write-fix", str(tmp_path / name)]) == 3
    assert "othing was written" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["there.bat"]
    assert (tmp_path / "there.bat").read_text() == "mine"


def test_where_there_is_nothing_to_do_no_fix_is_written(on_a_4090, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(command, "read_environment", lambda sought, comfyui: WINDOWS_313)
    assert command.main(["--write-fix", str(tmp_path / "fix.bat")]) == 1
    assert "nothing to put into a script" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_the_whole_check_ends_with_the_plan_and_its_json_holds_it(on_a_4090, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(command, "_check", lambda *arguments: {"sdpa-flash": Verdict(OK, 0.001)})
    store = ["--store", str(tmp_path / "verdicts.json")]
    command.main(store)
    assert "1. Install triton-windows>=3.7,<3.8" in capsys.readouterr().out
    command.main([*store, "--json"])
    data = json.loads(capsys.readouterr().out)
    assert {"environment", "kernels", "mismatches", "limits", "plan"} <= set(data)
    assert data["plan"]["outcome"] == "install"
    # For this machine: a command is there whole.
    assert data["plan"]["steps"][0]["commands"][0][0] == PLAIN_WINDOWS.python.executable


def test_what_kernels_die_of_is_explained_and_planned_for(on_a_4090, monkeypatch, tmp_path, capsys):
    broken = with_packages(WINDOWS_313, sageattention=Package("2.2.0", "cu130torch2.10.0andhigher.post6"))
    monkeypatch.setattr(command, "read_environment", lambda sought, comfyui: broken)
    error = "ImportError: DLL load failed while importing _fused: The specified procedure could not be found."
    monkeypatch.setattr(
        command, "_check", lambda *arguments: {"sage2-int8-fp8": Verdict(NOT_IMPORTABLE, None, error)}
    )
    command.main(["--store", str(tmp_path / "verdicts.json")])
    said = capsys.readouterr().out
    assert "What the errors mean:" in said and "SageAttention was built for another torch" in said
    assert "1. Install sageattention" in said and "--force-reinstall" in said


@pytest.mark.parametrize(
    ("verdict", "outcome"),
    [(None, "not-judged"), (OK, "well"), (WRONG, "no-way-back"), (REFUSED, "not-judged")],
)
def test_a_plan_knows_what_the_last_check_found(on_a_4090, monkeypatch, tmp_path, capsys, verdict, outcome):
    own = with_packages(WINDOWS_313, sageattention=Package("2.2.0"))
    monkeypatch.setattr(command, "read_environment", lambda sought, comfyui: own)
    store = ["--store", str(tmp_path / "verdicts.json")]
    if verdict is not None:
        monkeypatch.setattr(command, "_check", lambda *of: {"sage2-int8-fp8": Verdict(verdict, 0.02)})
        command.main([*store, "--json"])
        assert json.loads(capsys.readouterr().out)["plan"]["outcome"] == outcome
    command.main(["--plan", "--json", *store])
    assert json.loads(capsys.readouterr().out)["plan"]["outcome"] == outcome
    # Another driver, and what was found holds no longer.
    changed = replace(own, driver=replace(own.driver, version="590.10"))
    monkeypatch.setattr(command, "read_environment", lambda sought, comfyui: changed)
    command.main(["--plan", "--json", *store])
    assert json.loads(capsys.readouterr().out)["plan"]["outcome"] == "not-judged"


def test_the_report_is_one_block_without_names_or_folders(tmp_path):
    home = tmp_path / "annemarie"
    pack = home / "ComfyUI" / "custom_nodes" / "ComfyUI-SageKit"
    pack.parent.mkdir(parents=True)
    pack.symlink_to(FOLDER.parent)
    (home / "ComfyUI" / "main.py").write_text("")
    done = subprocess.run(
        [sys.executable, "-I", "-s", "-S", str(pack / "kernels_check"), "--report"],
        capture_output=True,
        text=True,
        check=False,
        env={"HOME": str(home), "USER": "annemarie", "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 1, done.stderr
    lines = done.stdout.strip().split("\n")
    assert lines[0] == "```text" and lines[-1] == "```" and done.stdout.count("```") == 2
    assert "annemarie" not in done.stdout and str(tmp_path) not in done.stdout
    assert (
        lines[1].startswith("System: linux ") if sys.platform == "linux" else lines[1].startswith("System: ")
    )
    assert "Plan: nothing-fits." in done.stdout and "sage2-int8-fp8" in done.stdout
