"""The line on a node: what it shows, on which node, and that the workflow does not know of it."""

import pytest
from support import web_answers
from support.page import opened
from support.web_canned import Canned
from support.web_node import (
    LINE,
    NODE,
    OPEN_ANEW,
    check,
    draw_by_vue,
    in_a_subgraph,
    prompt,
    serialised,
    show,
)

from .conftest import DEMO

# As small as the node can be, so that a line finds no room.
SHRINK = f"vue => {NODE}.setSize([{NODE}.size[0], vue ? 60 : {NODE}.computeSize()[1]])"
IS_MODIFIED = "() => app.extensionManager.workflow.activeWorkflow.isModified"
CALLS = web_answers.message()["line"]


@pytest.fixture
def page(node_page):
    return node_page


@pytest.fixture
def canned(page_of_module):
    return page_of_module[1]


@pytest.mark.parametrize("vue", [False, True], ids=["on the canvas", "drawn by Vue"])
def test_a_line_appears_and_the_workflow_and_the_prompt_stay_as_they_were(page, vue, tmp_path):
    if vue:
        draw_by_vue(page)
    page.browser_page.evaluate(SHRINK, vue)
    page.browser_page.wait_for_timeout(300)
    before, queued, modified = serialised(page), prompt(page), page.browser_page.evaluate(IS_MODIFIED)
    height = page.browser_page.evaluate(f"() => {NODE}.size[1]")
    line = show(page)
    line.wait_for()
    assert serialised(page) == before
    page.wait_for(f"{NODE}.size[1] > {height}")
    page.browser_page.wait_for_timeout(300)
    page.screenshot(tmp_path / "line.png")
    assert serialised(page) == before
    assert prompt(page) == queued
    assert page.browser_page.evaluate(IS_MODIFIED) == modified
    # Taking it off leaves the node as it was.
    page.set("SageKit.NodeLine", False)
    line.wait_for(state="detached")
    page.wait_for(f"Math.abs({NODE}.size[1] - {height}) < 1")
    assert serialised(page) == before


def test_a_node_with_room_keeps_its_size_and_a_later_message_takes_the_place_of_the_first(page):
    before = page.browser_page.evaluate(f"() => [...{NODE}.size]")
    line = show(page)
    line.wait_for()
    show(page, line="sdpa-cudnn 5", time=web_answers.message()["time"] + 1)
    page.browser_page.locator(LINE, has_text="sdpa-cudnn 5").wait_for()
    show(page, line="an older one", time=1.0)
    page.browser_page.wait_for_timeout(200)
    assert line.all_inner_texts() == ["sdpa-cudnn 5"]
    assert page.browser_page.evaluate(f"() => [...{NODE}.size]") == before


def test_warnings_make_a_mark_and_their_reasons_are_read_and_heard(page, tmp_path):
    line = show(page)
    line.wait_for()
    assert line.locator(".pi-exclamation-triangle").count() == 0
    show(page, warnings=[web_answers.warning("Block 3 is exact.")])
    line.locator(".pi-exclamation-triangle").wait_for()
    page.screenshot(tmp_path / "warning.png")
    assert "Block 3 is exact." in line.get_attribute("title")
    assert "Warning: Block 3 is exact." in line.get_attribute("aria-label")


def test_the_tooltip_tells_the_runs_own_reasons_and_errors_when_the_pointer_comes(page, canned):
    canned.answers["report"] = web_answers.report(web_answers.run())
    line = show(page)
    line.wait_for()
    assert line.get_attribute("title").startswith("calls: sage2-int8-fp8 900")
    line.hover()
    page.browser_page.wait_for_function(
        f"() => document.querySelector('{LINE}').title.includes('no-faster-kernel')"
    )
    assert "error 3.1 %" in line.get_attribute("title")


def test_a_busy_node_shows_its_progress(page):
    line = show(page, busy=True, line="measuring attention: 3 of 5 kernels", time=1.0)
    line.locator(".pi-spinner").wait_for()
    assert line.inner_text() == "measuring attention: 3 of 5 kernels"
    show(page, time=2.0)
    line.locator(".pi-spinner").wait_for(state="detached")


def test_while_the_kernel_check_runs_the_node_says_how_far_it_is(page, canned):
    before = serialised(page)
    check(page, 7, 23)
    line = page.browser_page.locator(LINE)
    line.filter(has_text="checking kernels 7/23; faster from the next run").wait_for()
    assert "sagekit-left-out" not in line.get_attribute("class")
    assert line.locator(".pi-spinner").count() == 1 and serialised(page) == before
    check(page, 8, 23)
    line.filter(has_text="8/23").wait_for()
    # A run that goes on is told before it, and one that broke.
    for more in ({"busy": True, "line": "step 7/20"}, {"line": "run failed", "state": "failed"}):
        show(page, time=web_answers.message()["time"] + len(more["line"]), **more)
        line.filter(has_text=more["line"]).wait_for()
    show(page, time=web_answers.message()["time"] + 20)
    line.filter(has_text="8/23").wait_for()
    assert CALLS.split(" · ")[0] not in line.inner_text() and "calls: sage2" in line.get_attribute("title")
    check(page, 0, 0)
    line.filter(has_text=CALLS).wait_for()
    page.browser_page.evaluate(OPEN_ANEW)
    check(page, 9, 23)
    line.filter(has_text="9/23").wait_for()
    check(page, 0, 0)
    line.wait_for(state="detached")


@pytest.mark.parametrize(("key", "word"), [("b", "bypassed"), ("m", "muted")])
@pytest.mark.parametrize("vue", [False, True], ids=["on the canvas", "drawn by Vue"])
def test_a_node_that_is_left_out_shows_no_line_of_a_run(page, vue, key, word, tmp_path):
    if vue:
        draw_by_vue(page)
    line = show(page, warnings=[web_answers.warning()])
    line.filter(has_text=CALLS).wait_for()
    page.browser_page.evaluate(f"() => {{ app.canvas.select({NODE}); app.canvas.canvas.focus() }}")
    page.browser_page.keyboard.press(f"Control+{key}")
    line.filter(has_text=word).wait_for()
    page.screenshot(tmp_path / "left_out.png")
    assert line.inner_text() == line.get_attribute("title") == word
    assert line.locator(".pi-exclamation-triangle").count() == 0
    page.browser_page.keyboard.press(f"Control+{key}")
    line.filter(has_text=CALLS).wait_for()
    line.locator(".pi-exclamation-triangle").wait_for()


def test_a_node_in_a_subgraph_that_is_bypassed_says_so(page):
    outer, inner = in_a_subgraph(page)
    show(page, node_id=f"{outer}:{inner}")
    text = "app.graph.getNodeById(window.outer.id).subgraph.nodes[0].widgets.at(-1).element?.innerText"
    page.wait_for(f"{text} === {CALLS!r}")
    page.browser_page.evaluate("() => { app.canvas.select(outer); app.canvas.canvas.focus() }")
    page.browser_page.keyboard.press("Control+b")
    page.wait_for(f"{text} === 'bypassed'")


@pytest.mark.parametrize(("kernel", "lines"), [("off", 0), ("sage2-int8-fp8", 0), ("kernel-9", 1)])
def test_a_node_that_will_not_be_faster_for_the_kernel_check_says_nothing_of_it(page, kernel, lines):
    page.browser_page.evaluate(
        f"kernel => {{ {NODE}.widgets.find(one => one.name === 'kernel').value = kernel }}", kernel
    )
    check(page, 7, 23)
    page.browser_page.wait_for_timeout(200)
    assert page.browser_page.locator(LINE).count() == lines
    check(page, 0, 0)


def test_the_kernel_check_is_on_the_node_after_the_page_is_opened(browser, served):
    canned = Canned()
    canned.answers["status"] |= web_answers.checking(3, 9)
    for page in opened(browser, served.url + DEMO, canned.prepare):
        page.browser_page.locator(LINE, has_text="checking kernels 3/9").wait_for()


@pytest.mark.parametrize(
    "wrong",
    [{"node_type": "PatchTorchCompile"}, {"node_id": "7"}, {"node_id": "99"}, {"workflow": "another"}],
)
def test_a_message_for_another_node_type_or_workflow_shows_nothing(page, wrong):
    show(page, **wrong)
    page.browser_page.wait_for_timeout(200)
    assert page.browser_page.locator(LINE).count() == 0
    show(page).wait_for()


def test_another_workflow_has_no_line_and_the_first_has_it_again(page):
    first = page.browser_page.evaluate("() => app.graph.serialize()")
    show(page).wait_for()
    page.browser_page.evaluate(OPEN_ANEW)
    page.browser_page.wait_for_timeout(200)
    assert page.browser_page.locator(LINE).count() == 0
    page.browser_page.evaluate("graph => app.loadGraphData(graph)", first)
    page.browser_page.locator(LINE, has_text=CALLS).wait_for()


def test_what_the_nodes_said_without_naming_a_workflow_is_there_after_the_page_is_opened(browser, served):
    canned = Canned()
    canned.answers["report"] = web_answers.report(nodes=[web_answers.message()])
    for page in opened(browser, served.url + DEMO, canned.prepare):
        page.browser_page.locator(LINE, has_text=CALLS).wait_for()


def test_a_node_in_a_subgraph_is_found_by_the_id_of_its_run(page):
    outer, inner = in_a_subgraph(page)
    show(page, node_id=f"{outer}:{inner}")
    page.wait_for("outer.subgraph.nodes[0].widgets.some(widget => widget.name === 'sagekit_line')")


def test_a_hostile_text_is_shown_as_text(page):
    line = show(page, line=web_answers.HOSTILE)
    line.wait_for()
    assert line.inner_text() == web_answers.HOSTILE
    assert line.locator("img, b").count() == 0
    assert not page.browser_page.evaluate("() => window.hostile")
