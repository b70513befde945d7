"""The node as a user meets it: in the page that ComfyUI serves, in a real browser."""

import importlib.util

import pytest
from support import base_directory, host, server, tiny_models
from support.page import Page, launch, opened, places_of_chromium

DEMO = f"/?template={base_directory.DEMO_WORKFLOW.stem}&source={base_directory.DEMO_FOLDER}"
NODE_TITLE = "Patch Sage Attention"


@pytest.fixture(scope="module")
def browser():
    if importlib.util.find_spec("playwright") is None:
        pytest.skip("playwright is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = launch(playwright)
        if launched is None:
            pytest.skip(
                f"no Chromium (set CHROMIUM): looked for {' and '.join(places_of_chromium(playwright))}"
            )
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def start(browser, tmp_path_factory):
    """Starts the newest host, with the pack or without it."""
    if reason := host.reason_to_skip():
        pytest.skip(reason)

    def start_server(pack):
        base = base_directory.prepare(tmp_path_factory.mktemp("base"), pack)
        tiny_models.write(base / "models")
        return server.running(host.find().folder, base)

    return start_server


@pytest.fixture(scope="module")
def served(start):
    with start(base_directory.PACK) as running:
        yield running


@pytest.fixture(scope="module")
def errors_of_the_host(start, browser) -> set[str]:
    """What the console shows where the pack is not installed."""
    with start(None) as running:
        page = Page(browser, running.url)
        page.browser_page.wait_for_timeout(3000)
        page.close()
    return set(page.errors)


@pytest.fixture
def demo(browser, served):
    yield from opened(browser, served.url + DEMO)


def test_the_demo_workflow_opens_runs_and_shows_what_ran(demo, served, errors_of_the_host, tmp_path):
    demo.wait_for("app.graph.nodes.some(node => node.type === 'PatchSageAttention')")
    demo.screenshot(tmp_path / "opened.png")
    demo.press_run()
    said = demo.browser_page.get_by_text("device 32")
    said.wait_for(timeout=60_000)
    demo.wait_for("app.graph.nodes.find(node => node.type === 'PreviewImage').imgs?.length === 1")
    demo.screenshot(tmp_path / "ran.png")
    assert said.is_visible()
    assert demo.complaints() == []
    assert [error for error in demo.errors if error not in errors_of_the_host] == []
    assert served.get("/sagekit/report")["runs"][-1]["fallbacks"] == {"device": 32}


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
    demo.browser_page.get_by_text("unknown-kernel 32").wait_for(timeout=60_000)
    assert demo.complaints() == []


def test_the_page_shows_a_complaint_for_a_workflow_that_cannot_run(demo, tmp_path):
    demo.browser_page.evaluate("""() => {
        const node = app.graph.nodes.find(node => node.type === 'UNETLoader')
        node.widgets[0].value = 'no-such-model.safetensors'
    }""")
    demo.press_run()
    demo.browser_page.get_by_test_id("error-overlay").wait_for(timeout=60_000)
    demo.screenshot(tmp_path / "complaint.png")
    assert any("no-such-model" in text for text in demo.complaints())


def test_an_error_of_the_console_is_seen(demo, errors_of_the_host):
    demo.browser_page.evaluate("() => console.error('a new complaint')")
    demo.browser_page.evaluate("() => { setTimeout(() => { throw new Error('nobody catches this') }) }")
    demo.browser_page.wait_for_timeout(200)
    seen = [error for error in demo.errors if error not in errors_of_the_host]
    assert any("a new complaint" in error for error in seen)
    assert any("nobody catches this" in error for error in seen)
