"""What the routes hand out: the plan, made once and off the event loop, and texts without folders."""

import asyncio
import threading

import pytest
from sagekit.app import routes as web_api
from sagekit.check.verdicts import Verdict
from sagekit.doctor import values as doctor
from sagekit.doctor.causes.answer import explain
from sagekit.kernels.families import sought
from sagekit.machine import read_environment
from sagekit.machine.layout import Layout

WHEEL = "https://example.com/releases/download/v2/sage-2.2+cu130-cp310-abi3-win_amd64.whl"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "/home/anna/site-packages/_fused.so: undefined symbol",
            ".../site-packages/_fused.so: undefined symbol",
        ),
        (r"C:\Users\anna\python_embeded\python.exe", ".../python.exe"),
        ("see https://github.com/a/b and /home/anna/c.log", "see https://github.com/a/b and .../c.log"),
        ("file:///home/anna/sage.whl", "file://..."),
        ("sage2-int8-fp8", "sage2-int8-fp8"),
    ],
)
def test_folders_of_this_machine_are_left_out_and_addresses_of_the_web_stay(text, shown):
    assert web_api.for_a_page({"told": [text]}) == {"told": [shown]}


def test_what_is_to_be_done_is_a_command_and_stays():
    done = f'python -m pip install "{WHEEL}"'
    assert web_api.for_a_page([{"do": done, "came": "/home/anna/x"}]) == [{"do": done, "came": "..."}]


@pytest.fixture
def made(monkeypatch) -> list:
    """The threads in which a plan was made."""
    threads = []
    plan_data = doctor.plan_data

    def watched(*args, **kwargs):
        threads.append(threading.current_thread())
        return plan_data(*args, **kwargs)

    monkeypatch.setattr(doctor, "plan_data", watched)
    return threads


def test_the_plan_says_what_the_errors_of_kernels_mean_and_is_made_anew_for_a_new_one(made, tmp_path):
    now = read_environment(sought(), tmp_path, ())
    error = "/home/anna/sageattention/_fused.so: undefined symbol: _ZN3c106detail14torchCheckFailEPKcS2_jRKSs"
    found = {"GPU": {"sage2-int8-fp8": Verdict("not-importable", None, error)}}

    async def ask() -> list[dict]:
        plans = web_api.Plans(Layout(tmp_path, tmp_path))
        return [await plans.of(now, {}), await plans.of(now, found), await plans.of(now, dict(found))]

    before, after, again = asyncio.run(ask())
    (answer,) = after["answers"]
    (wanted,) = explain(error)
    assert before["answers"] == [] and after is again and len(made) == 2
    assert (answer["code"], answer["cause"], answer["fix"]) == (wanted.code, wanted.cause, wanted.fix)
    assert "anna" not in answer["line"] and answer["commands"] == []


def test_the_plan_is_made_once_off_the_event_loop_and_again_after_a_change(made, tmp_path):
    now, later = read_environment(sought(), tmp_path, ()), read_environment(sought(), tmp_path, ("cpu",))

    async def ask() -> list[dict]:
        plans = web_api.Plans(Layout(tmp_path, tmp_path))
        together = await asyncio.gather(plans.of(now), plans.of(now))
        assert len(made) == 1
        return [*together, await plans.of(later)]

    first, second, _ = asyncio.run(ask())
    assert first is second
    assert len(made) == 2
    assert threading.main_thread() not in made


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_log_is_explained_off_the_event_loop_whatever_is_known_of_the_machine(
    tmp_path, monkeypatch, encoding
):
    log = "a line\nModuleNotFoundError: No module named 'triton'\n".encode(encoding)
    threads, real = [], doctor.explain_data

    def watched(*args, **options):
        threads.append(threading.current_thread())
        return real(*args, **options)

    monkeypatch.setattr(doctor, "explain_data", watched)

    async def ask(environment) -> list[dict]:
        return await web_api.Plans(Layout(tmp_path, tmp_path)).explain(log, environment)

    for environment in (None, read_environment(sought(), tmp_path, ())):
        answers = asyncio.run(ask(environment))
        assert [one["code"] for one in answers] == ["no-triton"]
        assert str(tmp_path) not in str(answers)
    assert threading.main_thread() not in threads


@pytest.mark.parametrize("log", [b"", b"\x00" * 1000, bytes(range(256)) * 100, b"\xff\xfe\x00"])
def test_what_is_no_log_has_no_answer(tmp_path, log):
    assert asyncio.run(web_api.Plans(Layout(tmp_path, tmp_path)).explain(log, None)) == []
