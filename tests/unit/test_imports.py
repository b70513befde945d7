"""Which kernel packages import, found out in real child processes."""

import json
import sys
import time
from pathlib import Path

import pytest
from sagekit.app import import_guard, startup
from sagekit.check import imports
from sagekit.check.verdicts import CRASHED, NOT_IMPORTABLE, OK, TIMED_OUT, Verdict
from sagekit.machine import Environment, Torch
from support import kernel_packages
from support.kernel_packages import FAULT_WORDS, FAULTS

# The child imports torch first; a stand-in for it spares each test two seconds.
TORCH = "import types\ncuda = types.SimpleNamespace()\n"
STATES = dict.fromkeys(FAULTS, NOT_IMPORTABLE) | {
    "segmentation fault": CRASHED,
    "abort": CRASHED,
    "exit": CRASHED,
    "hang": TIMED_OUT,
}


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """packages(faults, torch) puts packages and a torch before all others."""

    def put(faults: dict[str, str], torch: str = TORCH) -> None:
        kernel_packages.write_broken(tmp_path, faults)
        (tmp_path / "torch.py").write_text(torch)
        monkeypatch.syspath_prepend(str(tmp_path))

    return put


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_has_its_verdict_and_the_next_package_is_tried_all_the_same(packages, fault):
    packages({"sageattention": fault, "flash_attn": "nothing"})
    found, remark = imports.check(["sageattention", "flash_attn"], limit=3.0)
    assert remark == "" and found["sageattention"].state == STATES[fault]
    assert FAULT_WORDS.get(fault, fault) in str(found["sageattention"])
    assert found["flash_attn"].state == OK


NO_SIGNATURE = "class Kernel:\n    __call__ = None\n\n\nsageattn = Kernel()\n"


def test_a_name_whose_parameters_cannot_be_read_fails_as_it_does_in_comfyui(packages, forgotten, tmp_path):
    packages({"sageattention": "nothing", "flash_attn": "nothing"})
    (tmp_path / "sageattention" / "__init__.py").write_text(NO_SIGNATURE)
    (tmp_path / "flash_attn" / "__init__.py").write_text(NO_SIGNATURE.replace("sageattn", "flash_attn_func"))
    found, _ = imports.check(["sageattention", "flash_attn"])
    assert found["sageattention"].state == NOT_IMPORTABLE and "callable" in found["sageattention"].detail
    # ComfyUI does not look at these.
    assert found["flash_attn"].state == OK
    import_guard.Guard(["sageattention"], lambda name, error: None).install()
    with pytest.raises(ImportError):
        import sageattention  # noqa: F401


IN_A_THREAD = """
import ctypes, threading, time

def crash():
    time.sleep({})
    ctypes.string_at(0)

threading.Thread(target=crash, daemon={}).start()
"""


@pytest.mark.parametrize("daemon", [True, False])
def test_a_thread_that_crashes_soon_after_the_import_is_seen_to(packages, tmp_path, daemon):
    packages({"sageattention": "nothing", "flash_attn": "nothing"})
    (tmp_path / "sageattention" / "__init__.py").write_text(IN_A_THREAD.format(1, daemon))
    found, _ = imports.check(["sageattention", "flash_attn"])
    assert found["sageattention"].state == CRASHED and "SIGSEGV" in found["sageattention"].detail
    assert found["flash_attn"].state == OK


def test_so_it_is_where_the_import_itself_only_raises(packages, tmp_path):
    packages({"sageattention": "nothing"})
    source = IN_A_THREAD.format(1, True) + 'raise ImportError("a part is missing")\n'
    (tmp_path / "sageattention" / "__init__.py").write_text(source)
    found, _ = imports.check(["sageattention"])
    assert found["sageattention"].state == CRASHED


def test_a_thread_that_stays_is_not_waited_for_without_end(packages, tmp_path):
    packages({"sageattention": "nothing"})
    (tmp_path / "sageattention" / "__init__.py").write_text(IN_A_THREAD.format(3600, True))
    found, _ = imports.check(["sageattention"])
    assert found["sageattention"].state == OK and found["sageattention"].seconds < 30


def test_of_a_package_that_comfyui_imports_in_parts_each_part_is_tried(packages):
    packages({"xformers.ops": "OSError"})
    found, _ = imports.check(["xformers"], limit=3.0)
    assert found["xformers"].state == NOT_IMPORTABLE and "WinError 127" in found["xformers"].detail


@pytest.mark.parametrize(
    ("torch", "words"),
    [
        ("raise OSError('c10.dll')\n", "torch does not import: OSError: c10.dll"),
        ("import os\nos.abort()\n", "SIGABRT while torch was imported"),
        ("import time\ntime.sleep(60)\n", "torch did not import within 1 s"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="signals have names on POSIX alone")
def test_where_torch_itself_fails_nothing_is_said_against_a_package(packages, torch, words):
    packages({"sageattention": "nothing"}, torch)
    found, remark = imports.check(["sageattention"], torch_limit=1.0)
    assert found == {} and words in remark


def test_what_a_package_prints_or_forks_while_it_is_imported_is_not_believed(packages, tmp_path):
    answer = json.dumps({"event": "imported", "package": "sageattention", "error": "", "pid": 1})
    packages({"sageattention": "nothing"})
    (tmp_path / "sageattention" / "__init__.py").write_text(
        f"import os, sys\nprint({answer!r})\nprint('no JSON', flush=True)\nos.write(1, b'[1]\\n')\n"
        "raise OSError('mine')\n"
    )
    found, _ = imports.check(["sageattention"], limit=5.0)
    assert found["sageattention"].detail == "OSError: mine"


@pytest.mark.skipif(sys.platform == "win32", reason="sessions are POSIX'")
def test_what_a_package_started_ends_with_it(packages, tmp_path):
    packages({"sageattention": "nothing"})
    pid = tmp_path / "pid"
    (tmp_path / "sageattention" / "__init__.py").write_text(
        "import subprocess, sys, time\n"
        f"one = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(pid)!r}, 'w').write(str(one.pid))\ntime.sleep(60)\n"
    )
    found, _ = imports.check(["sageattention"], limit=3.0)
    assert found["sageattention"].state == TIMED_OUT
    assert _has_ended(int(pid.read_text()))


def _has_ended(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_what_is_stored_spares_the_child_only_where_nothing_can_have_mended_it():
    hung_once, hung_twice = Verdict(TIMED_OUT, cases=1), Verdict(TIMED_OUT, cases=2)
    for verdict, relied_on, settled in (
        (None, False, False),
        (Verdict(OK), True, True),
        (Verdict(CRASHED), False, False),
        (hung_once, False, False),
        (hung_twice, True, True),
        (Verdict(NOT_IMPORTABLE), False, True),
        (Verdict(NOT_IMPORTABLE), True, False),
    ):
        assert imports.is_settled(verdict, relied_on) is settled, (verdict, relied_on)


def test_the_users_limit_is_read_and_nonsense_is_not(monkeypatch):
    for text, limit in (("5", 5.0), ("0", 1.0), ("long", imports.LIMIT), ("", imports.LIMIT)):
        monkeypatch.setenv(imports.LIMIT_VARIABLE, text)
        assert imports._limit() == limit


@pytest.fixture
def forgotten(monkeypatch):
    """sys.modules without the packages, as long as the test runs; sys.meta_path as it was."""
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    for name in imports.HOST_IMPORTS:
        for module in [one for one in sys.modules if one.partition(".")[0] == name]:
            monkeypatch.delitem(sys.modules, module)
    yield
    for name in imports.HOST_IMPORTS:
        for module in [one for one in sys.modules if one.partition(".")[0] == name]:
            del sys.modules[module]


RAISING = [fault for fault, state in STATES.items() if state == NOT_IMPORTABLE]


@pytest.mark.parametrize("fault", RAISING)
def test_behind_the_guard_whatever_is_raised_is_an_import_error(packages, forgotten, fault):
    packages({"sageattention": fault})
    failed = []
    guard = import_guard.Guard(["sageattention"], lambda name, error: failed.append((name, type(error))))
    guard.install()
    with pytest.raises(ImportError):
        import sageattention  # noqa: F401
    (one,) = failed
    assert one[0] == "sageattention" and issubclass(one[1], BaseException)
    assert "sageattention" not in sys.modules


def test_behind_the_guard_a_sound_package_is_what_it_would_be_and_a_stop_by_the_user_stops(
    packages, forgotten, tmp_path
):
    packages({"sageattention": "nothing"})
    guard = import_guard.Guard(["sageattention"], lambda name, error: pytest.fail(str(error)))
    guard.install()
    import sageattention

    assert type(sageattention.__loader__).__module__ == "_frozen_importlib_external"
    assert sageattention.__spec__.loader is sageattention.__loader__
    guard.remove()
    assert guard not in sys.meta_path
    guard.remove()
    del sys.modules["sageattention"]
    (tmp_path / "sageattention" / "__init__.py").write_text("raise KeyboardInterrupt\n")
    import importlib

    importlib.invalidate_caches()
    guard.install()
    with pytest.raises(KeyboardInterrupt):
        importlib.import_module("sageattention")


@pytest.fixture
def look(tmp_path):
    """look(verdicts of the child, *flags) -> (what is broken, the packages tried, what was said)."""
    environment = Environment(torch=Torch("2.9.1", "cu130", "13.0"))

    def run(answers: dict[str, Verdict], *flags: str, **options):
        said, tried = [], []

        def try_imports(names, hangs):
            names = list(names)
            tried.extend(names)
            return {name: answers[name] for name in names if name in answers}, ""

        found = startup.look(
            flags,
            list(answers),
            environment,
            tmp_path / "verdicts.json",
            device="cpu",
            say=said.append,
            probe=lambda backend, device: Verdict(OK, 0.01),
            try_imports=try_imports,
            **options,
        )
        return found, tried, said

    return run


def test_a_package_that_imports_is_tried_once(look):
    assert look({"sageattention": Verdict(OK)})[1] == ["sageattention"]
    assert look({"sageattention": Verdict(OK)})[1] == []


@pytest.mark.parametrize(
    ("state", "flags", "options", "tried"),
    [
        (CRASHED, (), {}, True),
        (NOT_IMPORTABLE, (), {}, False),
        (NOT_IMPORTABLE, ("use_sage_attention",), {}, True),
        (NOT_IMPORTABLE, (), {"is_guarded": False}, True),
    ],
)
def test_what_failed_is_tried_again_unless_comfyui_may_try_it_itself(look, state, flags, options, tried):
    for again in (True, tried):
        found, names, _ = look({"sageattention": Verdict(state)}, *flags, **options)
        assert bool(names) is again and found.packages["sageattention"].state == state


def test_a_flag_whose_package_does_not_import_is_broken_and_its_kernel_not_tried(look):
    found, _, said = look({"sageattention": Verdict(NOT_IMPORTABLE, None, "OSError")}, "use_sage_attention")
    assert found.flags["use_sage_attention"].detail == "OSError"
    assert not [line for line in said if "checking the kernel" in line]


@pytest.fixture
def act(tmp_path, forgotten):
    """act(verdicts, acts, *flags) -> (the start, ComfyUI's options), with nothing left behind."""
    from types import SimpleNamespace

    def run(found: dict[str, Verdict], acts: bool = True, *flags: str):
        args = SimpleNamespace(**dict.fromkeys(flags, True))
        by_flag = {imports.HOST_IMPORTS[name].flag: one for name, one in found.items()}
        broken = startup.Broken(found, {flag: by_flag[flag] for flag in flags if flag in by_flag})
        start = startup.Start(args, Environment(), tmp_path, acts)
        start.act_on(broken, imports.HOST_IMPORTS)
        return start, args

    return run


def test_what_crashed_is_barred_and_what_raised_is_let_in_behind_the_guard(act, packages, caplog):
    packages({"flash_attn": "nothing", "sageattention": "OSError"})
    start, _ = act({"xformers": Verdict(CRASHED), "sageattention": Verdict(NOT_IMPORTABLE, None, "OSError")})
    assert sys.modules["xformers"] is None and set(start.kept_out) == {"xformers"}
    with pytest.raises(ImportError):
        import sageattention  # noqa: F401
    assert set(start.kept_out) == {"xformers", "sageattention"}
    assert caplog.text.count("the package sageattention cannot be imported here") == 1
    import flash_attn  # noqa: F401


def test_what_raised_and_has_been_mended_since_is_let_in_and_nothing_is_said(act, packages, caplog):
    packages({"sageattention": "nothing"})
    start, _ = act({"sageattention": Verdict(NOT_IMPORTABLE, None, "OSError")})
    import sageattention  # noqa: F401

    assert "sageattention" not in caplog.text and start.kept_out == {}


def test_a_part_that_raises_is_caught_as_the_whole_is_and_said_once(act, packages, caplog):
    packages({"xformers.ops": "OSError"})
    act({})
    for _ in range(2):
        with pytest.raises(ImportError):
            import xformers.ops  # noqa: F401
    assert caplog.text.count("the package xformers cannot be imported here") == 1


def test_a_flag_of_a_package_that_does_not_import_is_turned_off_before_comfyui_reads_it(act):
    start, args = act(
        {"sageattention": Verdict(NOT_IMPORTABLE)}, True, "use_sage_attention", "use_flash_attention"
    )
    assert (args.use_sage_attention, args.use_flash_attention) == (False, True)
    assert sys.modules["sageattention"] is None and set(start.cleared) == {"use_sage_attention"}


def test_a_start_that_only_reports_changes_nothing(act, caplog):
    before = list(sys.meta_path)
    start, args = act({"sageattention": Verdict(CRASHED)}, False, "use_sage_attention")
    assert args.use_sage_attention and "sageattention" not in sys.modules
    assert sys.meta_path == before and start.kept_out == {}
    assert "it is let in, and ComfyUI may stop" in caplog.text


def test_a_pack_that_cannot_explain_keeps_out_all_the_same(act, packages, caplog, monkeypatch):
    def fail(*args):
        raise SyntaxError("the doctor was half updated")

    monkeypatch.setattr(startup.startup_text, "of_package", fail)
    packages({"sageattention": "SystemExit"})
    _, args = act({"xformers": Verdict(CRASHED, None, "SIGSEGV")}, True, "use_sage_attention")
    with pytest.raises(ImportError):
        import sageattention  # noqa: F401
    assert sys.modules["xformers"] is None and not args.use_sage_attention
    for words in ("the package xformers cannot be imported here: crashed: SIGSEGV", "half updated"):
        assert words in caplog.text
    assert "the package sageattention cannot be imported here: not-importable" in caplog.text


def test_behind_the_guard_a_fault_of_ours_does_not_come_up(packages, forgotten):
    packages({"sageattention": "OSError"})
    import_guard.Guard(["sageattention"], lambda name, error: 1 / 0).install()
    with pytest.raises(ImportError, match="WinError 127"):
        import sageattention  # noqa: F401


def test_hangs_are_counted_over_starts(packages):
    packages({"sageattention": "hang"})
    found, _ = imports.check(["sageattention"], lambda name: 1, limit=1.0)
    assert found["sageattention"].cases == 2
