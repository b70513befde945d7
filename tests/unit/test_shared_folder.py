"""Servers that share a user folder: what one writes, the other does not lose."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from sagekit.app import startup
from sagekit.check import verdicts
from sagekit.check.verdicts import OK, Stored, Verdict
from sagekit.core.attention.routes import Times
from sagekit.machine import Environment, file_lock, json_file
from support.environments import RTX_4090

ROOT = Path(__file__).resolve().parents[2]
# Seconds that two processes write; a minute, say, where somebody asks for it.
SECONDS = float(os.environ.get("SAGEKIT_ATTACK_SECONDS", "3"))

WRITER = """
import importlib.util, sys, time
from pathlib import Path
root, folder, name, seconds = sys.argv[1], Path(sys.argv[2]), sys.argv[3], float(sys.argv[4])
init = root + "/__init__.py"
spec = importlib.util.spec_from_file_location("sagekit", init, submodule_search_locations=[root])
sys.modules["sagekit"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["sagekit"])
from sagekit.check import verdicts
from sagekit.check.verdicts import Stored, Verdict
from sagekit.core.attention.routes import Times
times = Times({})
times.read(folder / "routes.json", "same")
stored, count, end = Stored("same"), 0, time.monotonic() + seconds
while time.monotonic() < end and count < 400:
    stored = Stored("same").with_verdicts("gpu", {f"{name}-{count}": Verdict("ok", 0.1)})
    trouble = verdicts.write(folder / "verdicts.json", stored)
    times.add("gpu", f"{name}-{count}", {"kernel": 1.0})
    times.save()
    assert not trouble and not times.remarks, (trouble, times.remarks)
    count += 1
    if count == 1:
        print("begun", flush=True)
    # A file holds no more than so many: they are spread over the time.
    time.sleep(max(0.0, end - seconds + seconds * count / 400 - time.monotonic()))
print(count)
"""


def writer(folder, name, seconds=SECONDS):
    command = [sys.executable, "-c", WRITER, str(ROOT), str(folder), name, str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_servers_that_write_at_once_lose_nothing(tmp_path):
    writers = {name: writer(tmp_path, name) for name in ("one", "two")}
    wanted = set()
    for name, process in writers.items():
        out, err = process.communicate(timeout=SECONDS + 60)
        assert process.returncode == 0, err
        wanted |= {f"{name}-{number}" for number in range(int(out.split()[-1]))}
    assert len(wanted) > 20 and {one.partition("-")[0] for one in wanted} == {"one", "two"}
    stored, trouble = verdicts.read(tmp_path / "verdicts.json")
    times = Times({})
    times.read(tmp_path / "routes.json", "same")
    assert trouble == "" and set(stored.of("gpu")) == wanted
    assert set(times.newest(2000)["gpu"]) == wanted
    assert {one.name for one in tmp_path.iterdir()} <= {"verdicts.json", "routes.json", file_lock.NAME}


def test_a_writer_that_is_killed_leaves_a_sound_file_and_no_lock(tmp_path):
    for number in range(max(3, int(SECONDS))):
        process = writer(tmp_path, f"w{number}", 60)
        assert process.stdout.readline() == "begun\n"
        time.sleep(0.05 + 0.01 * number)
        process.kill()
        process.communicate()
        assert (
            verdicts.write(
                tmp_path / "verdicts.json", Stored("same", {}, {"gpu": {f"x{number}": Verdict(OK)}})
            )
            == ""
        )
    stored, trouble = verdicts.read(tmp_path / "verdicts.json")
    assert trouble == "" and {f"x{number}" for number in range(3)} <= set(stored.of("gpu"))


def test_of_another_machine_nothing_is_believed(tmp_path):
    file = tmp_path / "verdicts.json"
    assert verdicts.write(file, Stored("before", {}, {"gpu": {"a": Verdict(OK)}})) == ""
    assert verdicts.write(file, Stored("now", {}, {"gpu": {"b": Verdict(OK)}})) == ""
    assert set(verdicts.read(file)[0].of("gpu")) == set(verdicts.read(file, "now")[0].of("gpu")) == {"b"}


def test_a_machine_that_is_as_it_was_before_the_last_change_has_what_was_found_then(tmp_path):
    """An update that is taken back, or two installations with one user folder."""
    verdict_file, time_file = tmp_path / "verdicts.json", tmp_path / "routes.json"
    for turn in range(3):
        for state in ("one", "two"):
            found = Stored(state, {"torch": state}, {"gpu": {f"{state}-{turn}": Verdict(OK)}})
            assert verdicts.write(verdict_file, found) == ""
            times = Times({})
            times.read(time_file, state)
            times.add("gpu", f"{state}-{turn}", {"kernel": 1.0})
            times.save()
    for state in ("one", "two"):
        stored, trouble = verdicts.read(verdict_file, state)
        times = Times({})
        times.read(time_file, state)
        wanted = {f"{state}-{turn}" for turn in range(3)}
        assert (trouble, stored.versions) == ("", {"torch": state}) and set(stored.of("gpu")) == wanted
        assert set(times.newest(99)["gpu"]) == wanted


def test_states_that_are_long_gone_are_forgotten(tmp_path):
    file = tmp_path / "verdicts.json"
    for number in range(20):
        verdicts.write(file, Stored(str(number), {}, {"gpu": {"a": Verdict(OK)}}))
    known = [
        str(number) for number in range(20) if verdicts.read(file, str(number))[0].fingerprint == str(number)
    ]
    assert known == ["16", "17", "18", "19"]


@pytest.mark.parametrize(
    "others", ["5", "[5, {}]", '[{"format": 1, "fingerprint": "x", "verdicts": 5}]', '{"a": 1}']
)
def test_other_states_that_are_damaged_harm_none(tmp_path, others):
    file = tmp_path / "verdicts.json"
    file.write_text(
        f'{{"format": 1, "fingerprint": "now", "versions": {{}}, "verdicts": {{}}, "others": {others}}}'
    )
    assert verdicts.read(file, "now") == (Stored("now"), "")
    assert verdicts.write(file, Stored("x", {}, {"gpu": {"a": Verdict(OK)}})) == ""
    assert verdicts.read(file, "x")[0].of("gpu") and verdicts.read(file, "now") == (Stored("now"), "")


def test_the_later_verdict_on_one_kernel_holds(tmp_path):
    file = tmp_path / "verdicts.json"
    verdicts.write(file, Stored("one", {}, {"gpu": {"a": Verdict("crashed"), "b": Verdict(OK)}}))
    verdicts.write(file, Stored("one", {}, {"gpu": {"a": Verdict(OK, 0.5)}}))
    assert verdicts.read(file)[0].of("gpu") == {"a": Verdict(OK, 0.5), "b": Verdict(OK)}


def test_a_lock_that_another_does_not_give_back_is_said_and_costs_seconds_alone(tmp_path):
    with file_lock.held(tmp_path) as first:
        assert first
        with file_lock.held(tmp_path, 0.1) as second:
            assert not second
    with file_lock.held(tmp_path, 0.1) as again:
        assert again


def test_what_is_changed_while_nobody_else_writes_is_what_is_there_then(tmp_path):
    file = tmp_path / "new" / "count.json"
    for number in range(3):
        assert json_file.change(file, lambda: (json_file.read(file, "")[0] or 0) + 1) == ""
        assert json.loads(file.read_text()) == number + 1


TWO = replace(RTX_4090, driver=replace(RTX_4090.driver, gpus=("NVIDIA A", "NVIDIA B")))
TWINS = replace(RTX_4090, driver=replace(RTX_4090.driver, gpus=("NVIDIA A", "NVIDIA A")))


@pytest.mark.parametrize(
    ("environment", "device", "one", "other", "same"),
    [
        (TWINS, "cuda:0", None, "1", True),
        (TWO, "cuda:0", "0", "1", False),
        (TWO, "cuda:0", None, "1", False),
        (TWO, "cuda:0", "1", "1", True),
        (TWO, "cpu", "0", "1", True),
        (Environment(), "cuda:0", "0", "1", True),
    ],
)
def test_what_a_flag_asks_for_is_known_by_the_gpu_it_was_tried_on(environment, device, one, other, same):
    names = [startup._where(device, visible, environment) for visible in (one, other)]
    assert (names[0] == names[1]) is same


def test_of_equal_gpus_the_name_is_kept():
    assert startup._where("cuda:0", "1", TWINS) == "NVIDIA A"
