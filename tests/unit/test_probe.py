"""The probe: what is broken is found, what dies is survived, and the next kernel gets its verdict."""

import ctypes
import re
import sys
import time
from pathlib import Path

import pytest
from sagekit.check import together
from sagekit.check.probe import Probe
from sagekit.check.process import Child
from sagekit.check.verdicts import (
    CRASHED,
    NOT_IMPORTABLE,
    OK,
    REFUSED,
    TIMED_OUT,
    WRONG,
)

pytest.importorskip("torch", reason="the probe's child needs torch, which is not installed")

needs_posix = pytest.mark.skipif(sys.platform == "win32", reason="needs fork and /proc, as on Linux")
DECLARATIONS = Path(__file__).resolve().parents[1] / "support" / "probed_kernels.py"


@pytest.fixture(scope="module")
def probe():
    with Probe("cpu", declarations=DECLARATIONS, limit=40) as running:
        yield running


def test_a_kernel_that_is_right_is_ok_with_its_error(probe):
    verdict = probe.check("right")
    assert verdict.state == OK and 0 < verdict.error < 0.01 and verdict.cases > 100, verdict


@pytest.mark.parametrize(
    ("kernel", "where"),
    [
        ("drops_the_mask", "bool mask"),
        ("drops_the_scale", "error"),
        ("swaps_the_layout", "error"),
        ("shifts_the_rows", "error"),
        ("counts_the_padding", "error"),
        ("swallows_a_key_head", "error"),
        ("casts_to_half", "large-v"),
        ("reads_behind_the_end", "NaN behind"),
        ("changes_its_inputs", "changed its inputs"),
        ("answers_differently", "two answers"),
        ("answers_nan", "NaN or Inf"),
        ("answers_zeros", "error"),
        ("raises", "raised ValueError: Unsupported head_dim: 64"),
    ],
)
def test_a_broken_kernel_is_wrong_and_the_verdict_says_where(probe, kernel, where):
    verdict = probe.check(kernel)
    assert verdict.state == WRONG and where in verdict.detail, verdict


@pytest.mark.parametrize(
    ("kernel", "state", "words"),
    [
        ("aborts", CRASHED, "SIGABRT"),
        ("exits", CRASHED, "code 3"),
        ("loses_the_gpu", CRASHED, "illegal memory access"),
        ("aborts_on_import", CRASHED, "while it was loaded"),
        ("fails_to_import", NOT_IMPORTABLE, "DLL load failed while importing _fused"),
        ("lacks_a_module", NOT_IMPORTABLE, "no_such_compiled_module"),
        ("takes_nothing", REFUSED, "dtype"),
    ],
)
def test_what_it_does_is_told_and_the_next_kernel_is_checked(probe, kernel, state, words):
    verdict = probe.check(kernel)
    assert verdict.state == state and words in verdict.detail, verdict
    assert probe.check("takes_nothing").state == REFUSED


def test_a_kernel_that_hangs_is_ended_at_the_limit():
    with Probe("cpu", declarations=DECLARATIONS, limit=30) as probe:
        begin = time.monotonic()
        verdict = probe.check("sleeps")
        assert verdict.state == TIMED_OUT and time.monotonic() - begin < 60, verdict
        assert probe.check("takes_nothing").state == REFUSED


def test_what_a_library_prints_does_not_disturb_the_talk(probe):
    assert probe.check("chatters").state == OK


def test_the_child_ends_with_its_parent(probe):
    probe.check("takes_nothing")
    child = probe._child
    child._process.stdin.close()
    assert child._process.wait(timeout=20) in (0, -9)


def test_progress_names_the_kernel_and_the_case():
    heard = []
    with Probe("cpu", declarations=DECLARATIONS, progress=lambda *said: heard.append(said)) as probe:
        probe.check("answers_zeros")
    assert heard[0] == ("answers_zeros", "") and "bfloat16" in heard[1][1]


@needs_posix
def test_the_verdict_of_a_kernels_fork_is_nobodys(probe):
    verdict = probe.check("forks")
    assert verdict.state == WRONG, verdict
    # By now the fork would have spoken, were it heard.
    following = probe.check("drops_the_mask")
    assert following.state == WRONG and "bool mask" in following.detail, following


@needs_posix
def test_lines_that_are_no_answers_are_output_and_forged_ones_are_not_believed(probe):
    assert probe.check("prints_garbage").state == OK
    assert any("no JSON" in line for line in probe._child._output)


def test_an_answer_without_the_secret_is_none(probe):
    probe.check("takes_nothing")
    child = probe._child
    forged = '{"event": "verdict", "kernel": "right", "verdict": {"state": "ok"}'
    assert child._answer(forged + ', "secret": "' + child._secret + '"}')["kernel"] == "right"
    for line in (forged + "}", forged + ', "secret": "x"}', "[" * 9000 + child._secret, child._secret):
        assert child._answer(line) is None


@pytest.fixture
def grandchildren(monkeypatch, tmp_path):
    """The numbers of the processes that kernels have started and that run, given some seconds to end."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    def those_that_run(seconds: float = 10) -> list[int]:
        notes = tmp_path.glob("sagekit-grandchildren-*")
        started = [int(one) for note in notes for one in note.read_text().split()]
        assert started
        end = time.monotonic() + seconds
        while any(map(_runs, started)) and time.monotonic() < end:
            time.sleep(0.1)
        return list(filter(_runs, started))

    return those_that_run


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


@needs_posix
@pytest.mark.parametrize(
    ("kernel", "state", "words"),
    [("outlived_in_a_crash", CRASHED, "code 3"), ("outlived_in_a_hang", TIMED_OUT, "no answer for")],
)
def test_what_a_kernel_started_ends_with_it_and_is_not_waited_for(grandchildren, kernel, state, words):
    with Probe("cpu", declarations=DECLARATIONS, limit=30) as probe:
        begin = time.monotonic()
        verdict = probe.check(kernel)
        assert verdict.state == state and words in verdict.detail, verdict
        assert state == TIMED_OUT or time.monotonic() - begin < 25
    assert not grandchildren()


@needs_posix
def test_what_a_right_kernel_started_ends_with_the_probe(grandchildren):
    with Probe("cpu", declarations=DECLARATIONS) as probe:
        assert probe.check("outlived_when_right").state == OK
        assert grandchildren(0)
    assert not grandchildren()


@needs_posix
def test_what_it_started_ends_when_the_server_is_killed(grandchildren):
    child = Child("--child", device="cpu", thorough=False, timed=False, declarations=str(DECLARATIONS))
    child.tell("outlived_when_right")
    while (message := child.hear(60)) and message["event"] != "verdict":
        pass
    assert message and grandchildren(0)
    child._stdin.close()  # As the system does for a process that is no more.
    child._process.wait(20)
    assert not grandchildren()


@needs_posix
def test_a_process_that_closes_its_answers_is_not_waited_for():
    with Probe("cpu", declarations=DECLARATIONS) as probe:
        begin = time.monotonic()
        verdict = probe.check("closes_its_answers")
        assert verdict.state == CRASHED and "closed its answers" in verdict.detail, verdict
        assert time.monotonic() - begin < 50
        assert probe.check("takes_nothing").state == REFUSED


def test_a_time_out_says_how_long_it_was_waited_for():
    with Probe("cpu", declarations=DECLARATIONS, limit=8, limit_with_progress=12) as probe:
        probe.check("takes_nothing")
        verdict = probe.check("goes_on_and_on")
        assert verdict.state == TIMED_OUT and verdict.seconds >= 12
        assert 12 <= int(re.fullmatch(r"not done after (\d+) s, at .*", verdict.detail)[1]) < 20
        probe.check("takes_nothing")
        verdict = probe.check("sleeps")
        assert 8 <= int(re.fullmatch(r"no answer for (\d+) s at .*", verdict.detail)[1]) < 16


class Kernel32:
    """The calls of Windows that make a job object, written down; those named refuse."""

    def __init__(self, *refuse: str) -> None:
        self.refuse, self.called = refuse, []

    def __getattr__(self, name):
        def call(*arguments):
            self.called.append((name, arguments))
            return 0 if name in self.refuse else len(self.called)

        return call


def test_on_windows_a_process_is_put_into_a_job_that_ends_whole_and_with_its_owner():
    windows = Kernel32()
    job = together._Job.around(4711, windows)
    names = [name for name, _ in windows.called]
    assert names == [
        "CreateJobObjectW",
        "SetInformationJobObject",
        "OpenProcess",
        "AssignProcessToJobObject",
        "CloseHandle",
    ]
    handle, kind, limits, size = windows.called[1][1]
    assert (handle, kind, size) == (1, 9, ctypes.sizeof(together.extended_limits()))
    assert limits._obj.basic.flags & 0x2000
    assert windows.called[2][1][2] == 4711 and windows.called[3][1] == (1, 3)
    job.end()
    assert windows.called[-2:] == [("TerminateJobObject", (1, 1)), ("CloseHandle", (1,))]


@pytest.mark.parametrize(
    "refused", ["CreateJobObjectW", "SetInformationJobObject", "OpenProcess", "AssignProcessToJobObject"]
)
def test_where_windows_refuses_a_job_every_handle_is_closed(refused):
    windows = Kernel32(refused)
    assert together._Job.around(4711, windows) is None
    opens = {"CreateJobObjectW", "OpenProcess"} - {refused}
    opened = [place for place, (name, _) in enumerate(windows.called, 1) if name in opens]
    assert sorted(arguments[0] for name, arguments in windows.called if name == "CloseHandle") == opened


@pytest.mark.skipif(ctypes.sizeof(ctypes.c_void_p) != 8, reason="the size is that of 64-bit Windows")
def test_the_limits_of_a_job_are_as_large_as_windows_has_them():
    limits = together.extended_limits()
    assert ctypes.sizeof(limits) == 144 and type(limits).basic.size == 64
    assert type(limits.basic).flags.offset == 16
