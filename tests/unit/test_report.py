"""Counting and telling: what a user reads after a run."""

import json
import logging
import threading

import pytest
from sagekit import web_api
from sagekit.kernels_check.backend import Reason
from sagekit.kernels_check.call import Call
from sagekit.patches.attention import report
from sagekit.patches.attention.dispatch import Plan
from sagekit.patches.attention.settings import Settings

CALL = Call(1, 40, 40, 32760, 32760, 128, "bfloat16", "cuda", (9, 0))
KERNEL = Plan(name="sage2-int8-fp8-sm90", call=CALL)
SHORT = Plan(why="short", call=CALL)


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(report, "_runs", type(report._runs)(maxlen=report.KEPT_RUNS))
    monkeypatch.setattr(report, "_said", set())
    monkeypatch.setattr(report, "listeners", [])


def sampled(settings, *plans, model="WAN21"):
    one = report.Report(settings)
    one.begin(model)
    for plan in plans:
        one.count(plan)
    one.end()


def lines(caplog):
    return [record.getMessage() for record in caplog.records]


def test_a_run_is_one_line_with_calls_per_kernel_and_per_reason(caplog):
    with caplog.at_level(logging.INFO):
        sampled(Settings("auto"), *[KERNEL] * 1140, *[SHORT] * 60)
    assert lines(caplog) == [
        "SageKit: WAN21, kernel auto: calls: sage2-int8-fp8-sm90 1,140, ComfyUI's own 60 (short 60)"
    ]


def test_a_patch_that_no_call_reached_says_so(caplog):
    with caplog.at_level(logging.INFO):
        sampled(Settings("auto"))
    assert "patch not reached" in lines(caplog)[0]


def test_a_named_kernel_that_never_ran_is_explained_once(caplog):
    reason = Reason("capability", "8.9 or 12.0", "9.0")
    refused = Plan(why="capability", call=CALL, passed_over=(("sage2-int8-fp8", (reason,)),))
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            sampled(Settings("sage2-int8-fp8"), *[refused] * 100)
    explained = [line for line in lines(caplog) if "did not run" in line]
    assert len(explained) == 1 and "needs 8.9 or 12.0, got 9.0" in explained[0]
    assert len(lines(caplog)) == 4


def test_the_node_hears_the_summary_and_the_reasons():
    heard = []
    report.listeners.append(lambda node_id, text: heard.append((node_id, text)))
    sampled(Settings("auto", node_id="7"), KERNEL)
    sampled(Settings("auto"), KERNEL)
    assert heard == [("7", "calls: sage2-int8-fp8-sm90 1")]


def test_the_last_twenty_runs_are_kept_as_json():
    for number in range(25):
        sampled(Settings("auto", node_id=str(number)), KERNEL, SHORT)
    runs = json.loads(json.dumps(report.runs()))
    assert [run["node_id"] for run in runs] == [str(number) for number in range(5, 25)]
    assert runs[-1]["kernels"] == {"sage2-int8-fp8-sm90": 1}
    assert runs[-1]["fallbacks"] == {"short": 1}
    assert runs[-1]["classes"][0]["call"] == "1x40x32760x32760x128 bfloat16"


def test_calls_outside_a_sampling_run_are_not_lost():
    one = report.Report(Settings("auto"))
    one.count(KERNEL)
    one.end()
    assert report.runs()[0]["kernels"] == {"sage2-int8-fp8-sm90": 1}


def test_threads_lose_no_count():
    one = report.Report(Settings("auto"))
    one.begin("WAN21")
    threads = [threading.Thread(target=lambda: [one.count(KERNEL) for _ in range(20_000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert one.open.kernels() == {KERNEL.name: 80_000}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            r"C:\Users\Jane Doe\ComfyUI\python_embeded\Lib\site-packages\sageattention\_fused.pyd",
            "_fused.pyd",
        ),
        ("/home/jane/venv/lib/libc10.so: undefined symbol: _ZN3c10", "libc10.so: undefined symbol: _ZN3c10"),
        ("needs 1 / sqrt(head_dim), got 0.5", "needs 1 / sqrt(head_dim), got 0.5"),
        ("cannot open '/opt/x/y.so'", "cannot open 'y.so'"),
    ],
)
def test_no_folder_of_the_user_leaves_through_the_routes(text, shown):
    assert web_api.without_folders({"a": [text]}) == {"a": [shown]}
