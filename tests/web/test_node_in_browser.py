"""The node as a user meets it: in the page that ComfyUI serves, in a real browser."""

import re

from support.page import ERROR_SIGNS

NODE_TITLE = "Patch Sage Attention"
LINE = ".sagekit-line"


def test_the_demo_workflow_opens_runs_and_shows_what_ran_also_after_a_reload(
    demo, served, errors_of_the_host, tmp_path
):
    demo.wait_for("app.graph.nodes.some(node => node.type === 'PatchSageAttention')")
    demo.screenshot(tmp_path / "opened.png")
    # The host keeps only a workflow that was changed over a reload of the page.
    demo.browser_page.evaluate(
        "() => { app.graph.nodes.find(node => node.type === 'KSampler').widgets[0].value = 8 }"
    )
    demo.press_run()
    demo.wait_for("app.graph.nodes.find(node => node.type === 'PreviewImage').imgs?.length === 1")
    demo.browser_page.locator(LINE, has_text="ComfyUI 32").wait_for(timeout=60_000)
    demo.screenshot(tmp_path / "ran.png")
    assert "device 32" in demo.browser_page.locator(LINE).get_attribute("title")
    assert demo.complaints() == []
    assert served.get("/sagekit/report")["runs"][-1]["fallbacks"] == {"device": 32}
    demo.reload()
    demo.browser_page.locator(LINE, has_text="ComfyUI 32").wait_for(timeout=60_000)
    demo.screenshot(tmp_path / "reloaded.png")
    assert [error for error in demo.errors if error not in errors_of_the_host] == []


def test_the_node_is_found_by_its_name_in_the_node_search_and_added(demo, tmp_path):
    assert demo.nodes().count("PatchSageAttention") == 1
    found = demo.search("sage attention")
    demo.screenshot(tmp_path / "search.png")
    assert found[0].startswith(NODE_TITLE)
    demo.browser_page.keyboard.press("Enter")
    demo.wait_for("app.graph.nodes.filter(node => node.type === 'PatchSageAttention').length === 2")


def test_the_node_search_finds_nothing_for_a_name_that_no_node_has(demo):
    assert demo.search("zzqxj") == []


def test_a_workflow_with_a_kernel_of_another_version_opens_and_runs(demo, served):
    demo.browser_page.evaluate("""() => {
        const node = app.graph.nodes.find(node => node.type === 'PatchSageAttention')
        node.widgets.find(widget => widget.name === 'kernel').value = 'sage9-from-the-future'
    }""")
    demo.press_run()
    line = demo.browser_page.locator(LINE, has_text="ComfyUI 32")
    line.wait_for(timeout=60_000)
    assert "unknown-kernel 32" in line.get_attribute("title")
    assert demo.complaints() == []


def test_the_page_shows_a_complaint_for_a_workflow_that_cannot_run(demo, tmp_path):
    demo.browser_page.evaluate("""() => {
        const node = app.graph.nodes.find(node => node.type === 'UNETLoader')
        node.widgets[0].value = 'no-such-model.safetensors'
    }""")
    demo.press_run()
    demo.browser_page.get_by_test_id("error-overlay").wait_for(timeout=60_000)
    # Where the page has also found the file missing by itself, it says how many errors there are.
    named = re.compile("no-such-model|2 errors found")
    demo.browser_page.locator(ERROR_SIGNS).filter(has_text=named).first.wait_for(timeout=60_000)
    demo.screenshot(tmp_path / "complaint.png")
    assert any(map(named.search, demo.complaints())), demo.complaints()


def test_an_error_of_the_console_is_seen(demo, errors_of_the_host):
    demo.browser_page.evaluate("() => console.error('a new complaint')")
    demo.browser_page.evaluate("() => { setTimeout(() => { throw new Error('nobody catches this') }) }")
    demo.browser_page.wait_for_timeout(200)
    seen = [error for error in demo.errors if error not in errors_of_the_host]
    assert any("a new complaint" in error for error in seen)
    assert any("nobody catches this" in error for error in seen)
