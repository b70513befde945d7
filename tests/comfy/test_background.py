"""The kernel check of a running server: begins with it, waits for prompts, and keeps what it finds."""

import asyncio
import sys
import threading
from types import SimpleNamespace

import pytest
from sagekit.check import verdicts
from sagekit.check.verdicts import OK, Verdict
from sagekit.core.attention import proofs
from sagekit.core.messages import Checking
from sagekit.core.session import Session
from sagekit.kernels.families import backends

GPU = "NVIDIA Test GPU"


@pytest.fixture
def running(attention, monkeypatch, tmp_path):
    """A server of aiohttp's own with a queue of prompts, on a machine with one GPU; none checked yet."""
    from aiohttp import web
    from sagekit.app import background

    tried, session = [], Session(backends())

    def check(backends, device, *, wait, found):
        for backend in backends:
            wait()
            tried.append((backend.name, device, threading.current_thread().name))
            found(backend.name, Verdict(OK, 0.01))

    remaining = [1, 1, 0]
    queue = SimpleNamespace(
        get_tasks_remaining=lambda: remaining.pop(0) if len(remaining) > 1 else remaining[0]
    )
    server = SimpleNamespace(app=web.Application(), prompt_queue=queue)
    monkeypatch.setitem(sys.modules, "server", SimpleNamespace(PromptServer=SimpleNamespace(instance=server)))
    folders = SimpleNamespace(
        __file__=str(tmp_path / "folder_paths.py"),
        get_user_directory=lambda: str(tmp_path),
        base_path=str(tmp_path),
    )
    monkeypatch.setitem(sys.modules, "folder_paths", folders)
    monkeypatch.setattr(proofs.check, "check", check)
    monkeypatch.setattr(background, "_gpus", lambda: {GPU: "cuda:0"})
    monkeypatch.setattr(background, "with_gpus_from_torch", lambda environment: environment)
    monkeypatch.setattr(background.time, "sleep", lambda seconds: None)
    return SimpleNamespace(
        start=lambda: background.start(session),
        background=background,
        session=session,
        server=server,
        tried=tried,
        web=web,
        file=tmp_path / "sagekit" / "verdicts.json",
    )


async def _serve(running) -> None:
    runner = running.web.AppRunner(running.server.app)
    await runner.setup()
    # Until it ends, not until the last verdict is known: that one is written after it is.
    for thread in threading.enumerate():
        if thread.name == "sagekit-kernel-check":
            await asyncio.to_thread(thread.join, 20)
    await runner.cleanup()


def test_nothing_is_tried_before_the_server_runs(running):
    own = len(running.server.app.on_startup)
    running.start()
    assert running.tried == [] and len(running.server.app.on_startup) == own + 1


def test_it_tries_every_kernel_off_the_main_thread_and_keeps_the_verdicts(running):
    running.start()
    asyncio.run(_serve(running))
    assert {name for name, _, _ in running.tried} == set(backends())
    assert {thread for _, _, thread in running.tried} == {"sagekit-kernel-check"}
    stored, trouble = verdicts.read(running.file)
    assert trouble == "" and set(stored.of(GPU)) == set(backends())


def test_how_far_it_is_goes_to_the_pages_that_are_open(running, monkeypatch):
    from sagekit.app import routes

    monkeypatch.setattr(sys.modules[f"{routes.__package__}.background"].check, "is_tried", lambda one: True)
    sent = []
    running.server.routes = running.web.RouteTableDef()
    running.server.send_sync = lambda event, data: sent.append((event, data))
    routes.register(running.session, list, {})
    running.start()
    asyncio.run(_serve(running))
    told = [data for event, data in sent if event == "sagekit.check"]
    count = len(backends())
    assert [one["number"] for one in told] == [*range(1, count + 1), 0]
    assert {one["count"] for one in told[:-1]} == {count}
    assert told[0]["line"] == f"checking kernels 1/{count}; faster from the next run"
    assert routes.status(running.session)["check"] == told[-1]


def test_the_next_start_checks_nothing(running):
    running.start()
    asyncio.run(_serve(running))
    running.server.app = running.web.Application()
    tried = list(running.tried)
    running.session.proofs = proofs.Proofs()
    running.start()
    asyncio.run(_serve(running))
    assert running.tried == tried and set(running.session.proofs.of(GPU)) == set(backends())


def test_folders_that_cannot_be_written_down_keep_no_server_from_starting(running, monkeypatch, caplog):
    def fail(*arguments):
        raise RuntimeError("no such folder")

    monkeypatch.setattr(running.background.layout, "tell", fail)
    caplog.set_level("INFO")
    running.start()
    asyncio.run(_serve(running))
    assert running.tried and "no such folder" in caplog.text


def test_whatever_fails_in_it_the_pack_is_not_lost(running, monkeypatch, caplog):
    def fail(*arguments):
        raise RuntimeError("no such folder")

    monkeypatch.setattr(running.background, "read_environment", fail)
    running.start()
    assert "could not be prepared" in caplog.text


def test_asked_again_it_tries_all_once_more_and_one_at_a_time(running):
    running.start()
    asyncio.run(_serve(running))
    first = len(running.tried)
    assert running.background.check_again(running.session).code == "check-begins"
    for thread in threading.enumerate():
        if thread.name == "sagekit-kernel-check":
            thread.join(20)
    assert len(running.tried) == 2 * first == 2 * len(backends())
    running.session.proofs.checking = Checking(("one",), 2)
    assert running.background.check_again(running.session).code == "check-goes-on"
    assert len(running.tried) == 2 * first


def test_without_a_gpu_there_is_nothing_to_check_again(running, monkeypatch):
    monkeypatch.setattr(running.background, "_gpus", dict)
    assert running.background.check_again(running.session).code == "check-needs-a-gpu"
    assert running.tried == []
