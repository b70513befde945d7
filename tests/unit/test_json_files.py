"""Files of a user's disk: whatever lies there, a reader says one thing, goes on, and writes a new one."""

import json
import os
import sys
import time

import pytest
from sagekit.backup import manifest, note, swap
from sagekit.backup.place import Place
from sagekit.check import verdicts
from sagekit.check.verdicts import OK, Stored, Verdict
from sagekit.core.attention.routes import Times
from sagekit.machine import json_file, layout
from sagekit.machine.json_file import DamagedError
from sagekit.machine.user_error import UserError
from support import bad_files

VERDICTS = {
    "format": 1,
    "fingerprint": "x",
    "versions": {"torch": "2.11.0"},
    "verdicts": {"gpu": {"a": vars(Verdict(OK, 0.1)) | {"times": {"Flux": 0.5}}}},
}
ROUTES = {"format": 1, "fingerprint": "x", "times": {"gpu": {"call": {"kernel": 1.5}}}}
STORED = Stored("x", {}, {"gpu": {"a": Verdict(OK, 0.1)}})
# Seconds that the worst of them may take; a start has far less for what is sound.
LIMIT = 2.0


def read_verdicts(file):
    stored, trouble = verdicts.read(file)
    assert (stored is None) == bool(trouble)
    return trouble


def read_times(file):
    times = Times({})
    times.read(file, "x")
    (trouble,) = times.remarks or ("",)
    assert not (times.newest(9) and trouble)
    return trouble


def write_times(file):
    times = Times({})
    times.read(file, "x")
    times.add("gpu", "call", {"kernel": 1.5})
    times.save()
    return "".join(times.remarks[1:])


READERS = {
    "verdicts.json": (VERDICTS, read_verdicts, lambda file: verdicts.write(file, STORED)),
    "routes.json": (ROUTES, read_times, write_times),
}


@pytest.fixture(params=READERS)
def kept(request, tmp_path):
    """One of the files, sound data of it, how it is read and how it is written."""
    return tmp_path / request.param, *READERS[request.param]


def test_the_sound_one_is_read_without_a_remark(kept):
    file, sound, read, _ = kept
    file.write_text(json.dumps(sound))
    assert read(file) == ""


@pytest.mark.parametrize("what", bad_files.texts())
def test_what_is_no_json_of_ours_is_one_remark_and_then_a_new_file(kept, what):
    file, _, read, write = kept
    bad_files.write(file, bad_files.texts()[what])
    begin = time.monotonic()
    trouble = read(file)
    assert time.monotonic() - begin < LIMIT
    assert trouble.code == "file-damaged" and trouble.startswith(file.name) and len(trouble) < 400
    assert write(file) == "" and read(file) == ""


@pytest.mark.parametrize("what", bad_files.makers())
def test_what_is_no_file_is_neither_waited_for_nor_filled_up_with(kept, what):
    file, _, read, write = kept
    bad_files.makers()[what](file)
    begin = time.monotonic()
    trouble = read(file)
    assert time.monotonic() - begin < LIMIT
    assert trouble.code in ("file-damaged", "file-unreadable"), trouble
    if what != "a folder":
        assert write(file) == "" and read(file) == ""


def test_a_value_that_can_not_be_there_is_damage_and_never_an_error(kept):
    file, sound, read, _ = kept
    told = {}
    for what, text in bad_files.with_values(sound):
        file.write_text(text)
        told[what] = read(file)
    assert len(told) > 60
    assert {one.code for one in told.values() if one} == {"file-damaged", "file-of-another-version"}
    assert told["format = -1"].code == "file-of-another-version"
    assert all("again" in one for one in told.values() if one)
    assert not {what for what, one in told.items() if not one and what.endswith(("= True", "= [[]]"))}


@pytest.mark.parametrize("count", [2001, 300_000])
def test_more_classes_than_are_ever_kept_are_damage(tmp_path, count):
    file = tmp_path / "routes.json"
    classes = {f"class {number}": {"kernel": 1.0} for number in range(count)}
    file.write_text(json.dumps(ROUTES | {"times": {"gpu": classes}}))
    assert read_times(file).code == "file-damaged"


def test_of_another_machine_they_are_no_damage(tmp_path):
    file = tmp_path / "routes.json"
    file.write_text(json.dumps(ROUTES | {"fingerprint": "y"}))
    times = Times({})
    times.read(file, "x")
    assert (times.remarks, times.newest(9)) == ([], {})


@pytest.mark.parametrize("depth", [json_file.DEEPEST, json_file.DEEPEST + 1])
def test_the_depth_is_that_of_brackets_outside_of_texts(depth):
    inside = json.dumps("[{" * 99 + '\\" [ \\\\' + '"')
    text = ("[" * depth + inside + "]" * depth).encode()
    if depth > json_file.DEEPEST:
        with pytest.raises(DamagedError, match="deep"):
            json_file.parse(text)
    else:
        assert json_file.parse(text) == json.loads(text)


def test_a_raised_limit_of_recursion_does_not_let_a_deep_file_end_the_process():
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(10**8)
    try:
        with pytest.raises(DamagedError):
            json_file.parse(b"[" * 5_000_000)
    finally:
        sys.setrecursionlimit(before)


@pytest.mark.parametrize("what", [*bad_files.makers(), "deep lists", "NaN"])
def test_a_note_of_a_servers_folders_that_is_none_is_not_followed(tmp_path, what):
    base = tmp_path / "ComfyUI"
    (base / "user" / "sagekit").mkdir(parents=True)
    (base / "main.py").touch()
    put(base / "user" / "sagekit" / layout.FILE_NAME, what)
    assert layout.around([base / "custom_nodes" / "sagekit"]).told is False


def put(file, what):
    if what in bad_files.makers():
        bad_files.makers()[what](file)
    else:
        bad_files.write(file, bad_files.texts()[what])


@pytest.mark.parametrize("what", [*bad_files.makers(), "deep lists", "NaN"])
@pytest.mark.parametrize("name", ["places.json", "restore.json"])
def test_a_note_beside_an_environment_that_is_none_is_read_as_none_and_written_anew(tmp_path, name, what):
    put(tmp_path / name, what)
    if what == "a link to itself":
        with pytest.raises(OSError):
            note.read(str(tmp_path / name))
    else:
        assert note.read(str(tmp_path / name)) is None
    if what == "a folder":
        return
    note.write(str(tmp_path / name), {"places": []})
    assert note.read(str(tmp_path / name)) == {"places": []}


@pytest.mark.parametrize("what", [one for one in bad_files.makers() if one != "a file with a hole"])
def test_a_manifest_that_is_no_file_is_damaged(tmp_path, what):
    bad_files.makers()[what](tmp_path / manifest.FILE)
    with pytest.raises((UserError, OSError)):
        manifest.read(str(tmp_path))


def test_a_journal_that_names_what_is_not_its_own_moves_nothing(tmp_path):
    place = Place(str(tmp_path / "venv"), "venv", "bin/python")
    (tmp_path / "venv_backups").mkdir()
    (tmp_path / "victim").mkdir()
    for old, new in (("..", "../victim"), ("../victim", ".restoring_x"), ("replaced_x", ".."), (3, None)):
        note.write(os.path.join(place.home, note.RESTORE), {"old": old, "new": new, "was": 1})
        assert swap._finish_swap(place) == []
        assert (tmp_path / "victim").is_dir() and not (tmp_path / "venv").exists()


def test_what_killed_writers_left_is_swept_and_nothing_else(tmp_path):
    file = tmp_path / "verdicts.json"
    old, ours, young = (f"verdicts.json.{one}.unfinished" for one in ("abcd_123", "efgh5678", "ijklmnop"))
    others = ["verdicts.json.bak.unfinished", "verdicts.json", "routes.json.abcd1234.unfinished", "notes.txt"]
    for name in (old, ours, young, *others):
        (tmp_path / name).write_text("x")
        if name != young:
            os.utime(tmp_path / name, (time.time() - 7200,) * 2)
    assert json_file.write(file, {}) == ""
    assert {one.name for one in tmp_path.iterdir()} == {young, *others}


def test_what_can_not_be_written_as_json_leaves_the_old_file_and_no_other(tmp_path):
    file = tmp_path / "verdicts.json"
    json_file.write(file, {"a": 1})
    assert "not JSON compliant" in json_file.write(file, {"a": float("nan")})
    assert json_file.read(file, "")[0] == {"a": 1} and len(list(tmp_path.iterdir())) == 1
