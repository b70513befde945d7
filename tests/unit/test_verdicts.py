"""Verdicts on disk: whole or not at all, and never trusted blindly."""

import json
import os
import sys
import tempfile

import pytest
from sagekit.check import verdicts
from sagekit.check.verdicts import CRASHED, OK, REFUSED, Stored, Verdict

FOUND = {
    "sdpa-cudnn": Verdict(OK, 0.0021, "", 3.5, 190, {"Flux 1024": 0.5}),
    "flash2": Verdict(CRASHED, None, "SIGSEGV"),
}
STORED = Stored("abc", {"torch": "2.11.0+cu130"}, {"NVIDIA H100": FOUND})


@pytest.fixture
def file(tmp_path):
    return tmp_path / "user" / "sagekit" / "verdicts.json"


def test_what_is_written_is_what_is_read(file):
    assert verdicts.write(file, STORED) == ""
    assert verdicts.read(file) == (STORED, "")
    assert [one.name for one in file.parent.iterdir()] == [file.name]


def test_no_file_is_no_news(file):
    assert verdicts.read(file) == (None, "")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"format": 1}',
        json.dumps({"format": 99, "fingerprint": "x", "versions": {}, "verdicts": {}}),
        json.dumps(
            {"format": 1, "fingerprint": "x", "versions": {}, "verdicts": {"gpu": {"a": {"state": "fine"}}}}
        ),
        json.dumps(
            {"format": 1, "fingerprint": "x", "versions": {}, "verdicts": {"gpu": {"a": {"stat": "ok"}}}}
        ),
        json.dumps({"format": 1, "fingerprint": "x", "versions": 3, "verdicts": {}}),
    ],
)
def test_a_damaged_or_foreign_file_is_ignored_and_said_so(file, text):
    file.parent.mkdir(parents=True)
    file.write_text(text)
    stored, trouble = verdicts.read(file)
    assert stored is None and trouble.startswith("verdicts.json") and "checked again" in trouble


def test_a_cut_off_file_is_never_half_believed(file):
    verdicts.write(file, STORED)
    whole = file.read_text()
    for end in range(0, len(whole) - 1, 7):
        file.write_text(whole[:end])
        assert verdicts.read(file)[0] is None


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX permissions")
def test_a_folder_that_can_not_be_written_is_told_and_costs_nothing_else(file, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    assert "Permission denied" in verdicts.write(file, STORED)
    assert not file.exists()


def test_a_write_that_fails_half_way_leaves_the_old_file(file, monkeypatch):
    verdicts.write(file, STORED)

    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    assert "No space left" in verdicts.write(file, Stored("new"))
    assert verdicts.read(file) == (STORED, "")
    assert [one.name for one in file.parent.iterdir()] == [file.name]


def test_verdicts_of_one_gpu_do_not_touch_another():
    more = STORED.with_verdicts("NVIDIA T4", {"kitchen-int8": Verdict(OK, 0.01)})
    assert more.of("NVIDIA H100") == FOUND and set(more.of("NVIDIA T4")) == {"kitchen-int8"}
    again = more.with_verdicts("NVIDIA T4", {"xformers": Verdict(OK, 0.01)})
    assert set(again.of("NVIDIA T4")) == {"kitchen-int8", "xformers"}


def test_a_gpu_that_was_full_is_no_verdict_to_keep(file):
    full = Verdict(REFUSED, None, "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20 MiB")
    verdicts.write(file, STORED.with_verdicts("NVIDIA H100", {"kitchen-int8": full}))
    assert verdicts.read(file) == (STORED, "")


def test_only_ok_is_good():
    assert [state for state in verdicts.STATES if Verdict(state).is_good] == [OK]


def test_a_state_that_nobody_knows_is_no_verdict():
    with pytest.raises(ValueError, match="fine"):
        Verdict("fine")
