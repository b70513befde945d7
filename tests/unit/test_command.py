"""``<python> <pack>/kernels_check`` as a user starts it: from any folder, isolated, with or without torch."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from sagekit.kernels_check import command
from sagekit.kernels_check.verdicts import CRASHED, NOT_IMPORTABLE, OK, REFUSED, TIMED_OUT, WRONG, Verdict

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
    assert run("--install-everything").returncode == 2


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
