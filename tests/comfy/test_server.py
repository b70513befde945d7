"""The node in a real server on the CPU, where every call falls back: the same bits as without it."""

import time

import pytest
from support import workflows
from support.workflows import sage

FOREIGN = "sage9-from-the-future"


@pytest.fixture
def without_the_node(plain, model) -> bytes:
    return plain.latent(workflows.sampling(model))


def test_two_runs_without_the_node_give_the_same_bits_and_another_seed_gives_others(
    plain, model, without_the_node
):
    assert plain.latent(workflows.sampling(model)) == without_the_node
    assert "sampler" not in plain.reused
    assert plain.latent(workflows.sampling(model, seed=8)) != without_the_node


@pytest.mark.parametrize("kernel", ["auto", "off", "sdpa-flash", "sage2-int8-fp8", FOREIGN])
def test_the_node_leaves_the_bits_as_they_are_where_every_call_falls_back(
    plain, model, without_the_node, kernel
):
    assert plain.latent(workflows.sampling(model, sage(kernel))) == without_the_node


def test_the_options_leave_the_bits_as_they_are(plain, model, without_the_node):
    limited = sage("auto", quality="fast", start_percent=0.5, exact_first_blocks=1, exact_last_blocks=1)
    assert plain.latent(workflows.sampling(model, limited)) == without_the_node


def _override_on(server, *patches: dict) -> str:
    workflow = workflows.sampling("wan", *patches)
    workflow["tell"] = {"class_type": "DemoModelOptions", "inputs": {"model": workflows.last_model(workflow)}}
    return server.run(workflow)["tell"]["text"][0]


def test_the_patch_is_on_the_clone_and_not_on_the_model_it_came_from(plain):
    assert "sagekit" in _override_on(plain, sage("auto"))
    after = _override_on(plain)
    assert "model" in plain.reused
    assert after == "override: None"


def test_the_unpatched_model_gives_the_same_bits_after_a_clone_of_it_ran_patched(
    plain, model, without_the_node
):
    plain.latent(workflows.sampling(model, sage("auto")))
    after = plain.latent(workflows.sampling(model))
    assert "model" in plain.reused
    assert after == without_the_node


def test_the_report_counts_every_attention_call_of_the_run(plain):
    plain.run(workflows.sampling("wan", sage("auto"), steps=3))
    run = plain.get("/sagekit/report")["runs"][-1]
    assert (run["node_id"], run["model"], run["kernels"]) == ("patch0", "WAN21", {})
    # 3 steps, 2 blocks, self and cross attention; both conditionings go through in one batch.
    assert run["fallbacks"] == {"device": 3 * 2 * 2}


def test_each_node_has_its_last_message_with_its_type_and_its_workflow(plain):
    for workflow in ("one", "two", None):
        plain.run(workflows.sampling("wan", sage("auto"), steps=2), workflow)
    report = plain.get("/sagekit/report")
    said = {one["workflow"]: one for one in report["nodes"] if one["node_id"] == "patch0"}
    assert set(said) >= {"one", "two", None}
    for workflow, one in said.items():
        assert (one["node_type"], one["busy"]) == ("PatchSageAttention", False)
        assert one["line"] == "ComfyUI 8" and "device 8" in one["text"] and one["warnings"] == []
        (run,) = (run for run in report["runs"] if run["id"] == one["run"])
        assert (run["workflow"], run["line"]) == (workflow, "ComfyUI 8")
    assert report["running"] == []


def _said_in(server, workflow: str) -> dict:
    nodes = server.get("/sagekit/report")["nodes"]
    (said,) = (one for one in nodes if (one["node_id"], one["workflow"]) == ("patch0", workflow))
    return said


def test_a_run_that_another_node_breaks_says_so_on_the_node(plain):
    workflow = workflows.sampling("wan", sage("auto"))
    workflow["positive"]["inputs"]["width"] += 1
    history = plain.end_of(plain.queue(workflow, "broken"))
    assert history["status"]["status_str"] == "error"
    said = _said_in(plain, "broken")
    assert (said["line"], said["state"], said["busy"]) == ("run failed", "failed", False)


def test_a_run_that_is_cancelled_says_on_the_node_after_how_many_calls(plain):
    prompt = plain.queue(workflows.sampling("wan", sage("auto"), steps=10_000), "cancelled")
    deadline = time.monotonic() + 60
    while not any(run["fallbacks"] for run in plain.get("/sagekit/report")["running"]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    plain.interrupt()
    assert plain.end_of(prompt)["status"]["messages"][-1][0] == "execution_interrupted"
    calls = sum(plain.get("/sagekit/report")["runs"][-1]["fallbacks"].values())
    assert 0 < calls < 4 * 10_000
    said = _said_in(plain, "cancelled")
    assert (said["line"], said["state"], said["busy"]) == (
        f"cancelled after {calls:,} calls",
        "cancelled",
        False,
    )


def test_the_report_keeps_the_last_20_runs(plain):
    for _ in range(21):
        plain.run(workflows.sampling("wan", sage("auto"), steps=1))
    runs = plain.get("/sagekit/report")["runs"]
    assert len(runs) == 20
    assert {sum(run["fallbacks"].values()) for run in runs} == {4}


def test_a_run_without_the_node_is_not_in_the_report(plain):
    plain.run(workflows.sampling("wan", sage("auto")))
    before = plain.get("/sagekit/report")
    plain.run(workflows.sampling("wan"))
    assert plain.get("/sagekit/report") == before


def test_two_nodes_in_series_count_each_call_once_and_the_last_one_counts(plain, without_the_node, model):
    assert plain.latent(workflows.sampling(model, sage("auto"))) == without_the_node
    single = plain.get("/sagekit/report")["runs"][-1]
    assert plain.latent(workflows.sampling(model, sage("auto"), sage("off"))) == without_the_node
    before_last, last = plain.get("/sagekit/report")["runs"][-2:]
    assert before_last == single
    assert last["node_id"] == "patch1"
    assert last["fallbacks"] == {"off": sum(single["fallbacks"].values())}


def test_a_run_says_at_most_three_lines_in_the_log_and_no_line_without_the_node(plain, model):
    for patches, fewest, most in (((), 0, 0), ((sage("auto"),), 1, 3), ((sage(FOREIGN),), 1, 3)):
        before = len(plain.log())
        plain.run(workflows.sampling(model, *patches))
        assert fewest <= len(plain.lines_of_the_pack(before)) <= most


def test_the_log_names_the_model_and_what_ran(plain):
    before = len(plain.log())
    plain.run(workflows.sampling("wan", sage("auto")))
    (line,) = plain.lines_of_the_pack(before)
    assert "WAN21" in line
    assert "8 (device 8)" in line


def test_no_traceback_is_in_the_log(plain):
    before = len(plain.log())
    plain.run(workflows.sampling("wan", sage("auto")))
    # Runs that a test has had fail have left theirs in between.
    assert "Traceback" not in plain.log().partition("got prompt")[0] + plain.log()[before:]
