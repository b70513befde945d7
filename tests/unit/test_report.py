"""Counting and telling: what a user reads after a run."""

import json
import logging
import threading
from dataclasses import replace

import pytest
from sagekit.app import routes as web_api
from sagekit.core import catalogue, messages
from sagekit.core.attention import report
from sagekit.core.attention.plan import OnHost, Routed
from sagekit.core.attention.settings import Settings
from sagekit.kernels.backend import Kernel
from sagekit.kernels.call import Call
from sagekit.kernels.families import backends
from sagekit.machine.reason import Reason

CALL = Call(1, 40, 40, 32760, 32760, 128, "bfloat16", "cuda", (9, 0))
KERNEL = Routed(name="sage2-int8-fp8-sm90", kernel=Kernel(None), call=CALL)
SHORT = OnHost(why="short", call=CALL)


@pytest.fixture
def sampled(session):
    """sampled(settings, *plans, ...) is a sampling run from its begin to its end."""

    def run(settings, *plans, model="WAN21", failed=False, notes=()):
        one = report.Report(settings, session.runs)
        one.begin(model)
        for plan in plans:
            one.count(plan)
        for text, about in notes:
            one.note(text, about)
        one.end(failed)

    return run


def lines(caplog):
    return [record.getMessage() for record in caplog.records]


def test_a_run_is_one_line_with_calls_per_kernel_and_per_reason(caplog, sampled):
    with caplog.at_level(logging.INFO):
        sampled(Settings("auto"), *[KERNEL] * 1140, *[SHORT] * 60)
    assert lines(caplog) == [
        "SageKit: WAN21, kernel auto: calls: sage2-int8-fp8-sm90 1,140, ComfyUI's own 60 (short 60)"
    ]


def test_a_patch_that_no_call_reached_says_so(caplog, sampled):
    with caplog.at_level(logging.INFO):
        sampled(Settings("auto"))
    assert "patch not reached" in lines(caplog)[0]


def test_a_named_kernel_that_never_ran_is_explained_once(caplog, sampled):
    reason = Reason("capability", "8.9 or 12.0", "9.0")
    refused = OnHost(why="capability", call=CALL, passed_over=(("sage2-int8-fp8", (reason,)),))
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            sampled(Settings("sage2-int8-fp8"), *[refused] * 100)
    explained = [line for line in lines(caplog) if "did not run" in line]
    assert len(explained) == 1 and "needs 8.9 or 12.0, got 9.0" in explained[0]
    assert len(lines(caplog)) == 4


def test_the_node_hears_the_summary_and_the_reasons(session, sampled):
    heard = []
    session.messages.listeners.append(heard.append)
    sampled(Settings("auto", node_id="7"), KERNEL, SHORT)
    sampled(Settings("auto"), KERNEL)
    (message,) = heard
    assert message.node_id == "7" and not message.busy and message.warnings == ()
    assert message.line == "sage2-int8-fp8-sm90 1, ComfyUI 1"
    assert message.text == "calls: sage2-int8-fp8-sm90 1, ComfyUI's own 1 (short 1)"
    assert message.run == session.runs.ended()[-2]["id"]


def timed(name, shown_as, host=350.0):
    facts = {"kernel": Kernel(None), "call": CALL, "milliseconds": 100.0, "host_milliseconds": host}
    return Routed(name=name, shown_as=shown_as, **facts)


@pytest.mark.parametrize(
    ("host", "gain", "words", "badge"),
    [
        (350.0, 1.25, "1.25x faster", "1.25x"),
        (100.0, 1.0, "no gain", ""),
        (50.0, 0.95, "slower: 0.95x", "0.95x"),
    ],
)
def test_the_line_begins_with_the_gain_where_times_are_known(host, gain, words, badge, session):
    one = report.Report(Settings("auto", node_id="7"), session.runs)
    one.begin("WAN21")
    one.open.started = session.clock.time() - 1.0
    one.count(timed("sdpa-cudnn", "cuDNN", host))
    one.end()
    (run,) = session.runs.ended()
    assert run["gain"] == pytest.approx(gain, abs=0.01)
    assert run["line"] == f"{words} · cuDNN 1"
    assert session.messages.shown()[0]["badge"] == badge


def test_a_step_is_told_with_the_gain_so_far_where_it_is_known_and_a_quick_one_not(session):
    one = report.Report(Settings("auto", node_id="7"), session.runs)
    heard = []
    session.messages.listeners.append(lambda new: heard.append((str(new.line).partition("·")[0], new.busy)))
    one.begin("WAN21")
    for step in range(1, 5):
        one.step(step, 4)
    assert heard == [("step 1/4", True), ("step 4/4", True)]
    one.open.started = session.clock.time() - 1.0
    one.count(timed("sdpa-cudnn", "cuDNN"))
    one.step(4, 4)
    (shown,) = session.messages.shown()
    assert (shown["line"], shown["badge"]) == ("step 4/4 · 1.25x so far", "4/4")


def test_kernels_of_one_family_are_one_number_and_a_call_nobody_timed_claims_no_gain(session, sampled):
    by_hand = [Routed(name=f"sage2-{one}", shown_as="Sage", kernel=Kernel(None), call=CALL) for one in "ab"]
    sampled(Settings("auto", node_id="7"), *by_hand, *by_hand, SHORT)
    assert session.messages.shown()[0]["line"] == "Sage 4, ComfyUI 1"


def test_every_kernel_that_the_pack_brings_has_a_short_name():
    assert {name: one.shown_as for name, one in backends().items() if not 0 < len(one.shown_as) <= 8} == {}


def test_a_warning_says_what_it_is_about(session, sampled):
    sampled(Settings("auto", node_id="7"), KERNEL, notes=[("gave NaN", "guard"), ("raised", "dropped:sage1")])
    (message,) = session.messages.shown()
    assert message["warnings"] == [
        {"code": "guard", "text": "gave NaN"},
        {"code": "dropped", "text": "raised"},
    ]


@pytest.mark.parametrize(("failed", "codes"), [(False, ["not-reached"]), (True, [])])
def test_a_patch_that_no_call_reached_warns_unless_the_run_was_cut_short(failed, codes, session, sampled):
    sampled(Settings("auto", node_id="7"), failed=failed)
    (message,) = session.messages.shown()
    assert [one["code"] for one in message["warnings"]] == codes


@pytest.mark.parametrize(
    ("plans", "cancelled", "line", "state"),
    [
        ([KERNEL] * 11, True, "cancelled after 11 calls", "cancelled"),
        ([], True, "cancelled", "cancelled"),
        ([KERNEL] * 2, False, "run failed after 2 calls", "failed"),
        ([], False, "run failed", "failed"),
    ],
)
def test_a_run_that_was_cut_short_says_so_and_how_far_it_came(
    plans, cancelled, line, state, session, sampled
):
    one = report.Report(Settings("auto", node_id="7"), session.runs)
    one.begin("WAN21")
    for plan in plans:
        one.count(plan)
    assert session.runs.under_way()[0]["state"] == "running"
    one.end(failed=True, cancelled=cancelled)
    (run,), (message,) = session.runs.ended(), session.messages.shown()
    assert (run["line"], run["state"], message["line"]) == (line, state, line)
    assert message["badge"] == state
    sampled(Settings("auto", node_id="7"), KERNEL)
    assert session.runs.ended()[-1]["state"] == "done"


def test_every_sentence_of_a_run_has_its_code_beside_it(session, sampled):
    reason = catalogue.REASONS("slower", winner="sdpa-cudnn", best=0.5, milliseconds=1.25)
    beside = replace(KERNEL, passed_over=(("sage1-int8-fp16", (reason,)),))
    sampled(Settings("sage1-int8-fp16", node_id="7"), beside, SHORT)
    (run,), (message,) = session.runs.ended(), session.messages.shown()
    codes = {one["text"]: one["code"] for one in run["said"]}
    shown = [run["line"], run["summary"], *run["notes"], *run["classes"][0]["passed_over"]["sage1-int8-fp16"]]
    assert [codes[text] for text in shown] == [
        "run-line",
        "run-summary",
        "named-kernel-did-not-run",
        "slower",
    ]
    shown = {message["line"], *message["text"].split("\n"), *(one["text"] for one in message["warnings"])}
    assert {one["text"] for one in message["said"]} >= shown


def test_what_the_guard_did_is_told_beyond_the_node_once_for_each_cause(session, sampled):
    heard = []
    session.messages.listeners.append(heard.append)
    for text in ("gave NaN", "gave NaN", "gave zeros"):
        sampled(Settings("auto"), KERNEL, notes=[(text, "guard")])
    assert [one.text for one in heard] == ["WAN21: gave NaN", "WAN21: gave zeros"]
    assert len({one["id"] for one in session.messages.notices()}) == 2


def test_a_run_under_way_is_told_apart_and_can_be_read_while_it_counts(session):
    one = report.Report(Settings("auto", node_id="7"), session.runs)
    one.begin("WAN21")
    ended = threading.Event()

    def count():
        for number in range(3000):
            one.count(Routed(name=f"kernel-{number}", kernel=Kernel(None), call=CALL))
        ended.set()

    thread = threading.Thread(target=count)
    thread.start()
    while not ended.is_set():
        (run,) = session.runs.under_way()
        assert run["seconds"] is None and run["warnings"] == []
    thread.join()
    one.end()
    assert session.runs.under_way() == [] and len(session.runs.ended()) == 1


def test_a_node_has_one_last_message_in_each_workflow(session):
    places = iter([messages.Place("A", "one"), messages.Place("A", "two"), messages.Place("A", "one")])
    session.messages.locator = lambda node_id: next(places)
    for line in ("first", "second", "third"):
        session.messages.say("7", line)
    assert [(one["workflow"], one["line"]) for one in session.messages.shown()] == [
        ("two", "second"),
        ("one", "third"),
    ]


def test_a_run_ends_well_where_nobody_can_be_told(session, sampled):
    def broken(*given):
        raise RuntimeError("the server is going down")

    session.messages.locator = broken
    session.messages.listeners.append(broken)
    session.runs.listeners.append(broken)
    sampled(Settings("auto", node_id="7"), KERNEL, notes=[("gave NaN", "guard")])
    assert session.runs.ended()[0]["workflow"] is None and session.messages.shown()[0]["line"]


@pytest.mark.parametrize("listening", [True, False])
def test_the_report_as_it_is_sent_is_read_back_whole_and_names_no_folder(listening, session, sampled):
    runs = web_api.Report(session)
    if listening:
        session.runs.listeners.append(runs.write)
    sampled(Settings("auto", node_id="7"), KERNEL, notes=[("in /home/jane/x.py", "guard")])
    for _ in range(2):
        sent = json.loads(runs.as_json())
        (run,) = sent["runs"]
        assert run["notes"] == ["in .../x.py"] and run["kernels"] == {"sage2-int8-fp8-sm90": 1}
        assert (sent["nodes"][0]["node_id"], sent["running"]) == ("7", [])


def test_the_last_twenty_runs_are_kept_as_json(session, sampled):
    for number in range(25):
        sampled(Settings("auto", node_id=str(number)), KERNEL, SHORT)
    runs = json.loads(json.dumps(session.runs.ended()))
    assert [run["node_id"] for run in runs] == [str(number) for number in range(5, 25)]
    assert runs[-1]["kernels"] == {"sage2-int8-fp8-sm90": 1}
    assert runs[-1]["fallbacks"] == {"short": 1}
    assert runs[-1]["classes"][0]["call"] == "1x40x32760x32760x128 bfloat16"


def test_calls_outside_a_sampling_run_are_not_lost(session):
    one = report.Report(Settings("auto"), session.runs)
    one.count(KERNEL)
    one.end()
    assert session.runs.ended()[0]["kernels"] == {"sage2-int8-fp8-sm90": 1}


def test_threads_lose_no_count(session):
    one = report.Report(Settings("auto"), session.runs)
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
            ".../site-packages/sageattention/_fused.pyd",
        ),
        (
            "/home/jane/venv/lib/libc10.so: undefined symbol: _ZN3c10",
            ".../libc10.so: undefined symbol: _ZN3c10",
        ),
        ("needs 1 / sqrt(head_dim), got 0.5", "needs 1 / sqrt(head_dim), got 0.5"),
        ("cannot open '/opt/x/y.so'", "cannot open '.../y.so'"),
    ],
)
def test_no_folder_of_the_user_leaves_through_the_routes(text, shown):
    assert web_api.for_a_page({"a": [text]}) == {"a": [shown]}
