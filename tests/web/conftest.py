"""One browser and one server for all tests of the page."""

import pytest
from support import base_directory, host, server, tiny_models
from support.page import Page, browsing, opened
from support.web_canned import Canned
from support.web_node import LINE, OPEN_ANEW

DEMO = f"/?template={base_directory.DEMO_WORKFLOW.stem}&source={base_directory.DEMO_FOLDER}"

DEFAULTS = {
    "SageKit.NodeLine": True,
    "SageKit.Toasts": True,
    "Comfy.VueNodes.Enabled": False,
    "Comfy.Locale": "en",
    "Comfy.ColorPalette": "dark",
}


@pytest.fixture(scope="package")
def browser():
    if reason := host.reason_to_skip():
        pytest.skip(reason)  # Before a browser runs in this process: all it is for is a page of the host.
    with browsing() as launched:
        yield launched


@pytest.fixture(scope="package")
def start(browser, tmp_path_factory):
    """Starts the newest host, with the pack or without it."""

    def start_server(pack):
        base = base_directory.prepare(tmp_path_factory.mktemp("base"), pack)
        tiny_models.write(base / "models")
        return server.running(host.find().folder, base)

    return start_server


@pytest.fixture(scope="package")
def served(start):
    with start(base_directory.PACK) as running:
        yield running


@pytest.fixture(scope="package")
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


@pytest.fixture
def canned() -> Canned:
    return Canned()


@pytest.fixture
def page(browser, served, canned):
    """The demo workflow in a page whose answers come from the test."""
    for page in opened(browser, served.url + DEMO, canned.prepare):
        yield page
        settings_as_they_were(page)


def settings_as_they_were(page: Page) -> None:
    """The server keeps settings for its user: a test's changes are not for the next."""
    for setting, value in DEFAULTS.items():
        page.set(setting, value)


@pytest.fixture(scope="module")
def page_of_module(browser, served):
    canned = Canned()
    for page in opened(browser, served.url + DEMO, canned.prepare):
        yield page, canned


@pytest.fixture
def node_page(page_of_module):
    """The demo workflow with no line in it, in one page for all tests of a module."""
    page, canned = page_of_module
    canned.answers = Canned().answers
    page.wait_for("!LiteGraph.vueNodesMode && !document.querySelector('[data-node-id]')")
    page.browser_page.evaluate(OPEN_ANEW)
    assert page.browser_page.locator(LINE).count() == 0
    yield page
    settings_as_they_were(page)


class Panel:
    """The open panel of a page whose answers come from the test."""

    def __init__(self, page: Page, canned: Canned) -> None:
        self.page = page
        self.canned = canned
        self.body = page.browser_page.locator(".sagekit-panel")

    def open(self) -> None:
        self.page.browser_page.evaluate(
            "() => { app.extensionManager.sidebarTab.activeSidebarTabId = 'sagekit' }"
        )
        self.body.wait_for()
        self.body.locator("h3").first.wait_for()

    def close(self) -> None:
        self.page.browser_page.evaluate("() => { app.extensionManager.sidebarTab.activeSidebarTabId = null }")
        self.body.wait_for(state="detached")

    def answer(self, **answers) -> None:
        """Lets the server answer otherwise, and asks it."""
        self.canned.answers.update(answers)
        self.refresh()

    def refresh(self) -> None:
        self.body.locator("header button").first.click()
        self.page.browser_page.wait_for_timeout(250)


@pytest.fixture(scope="module")
def page_of_panel(browser, served):
    canned = Canned()
    for page in opened(browser, served.url + DEMO, canned.prepare):
        yield page, canned


@pytest.fixture
def panel(page_of_panel):
    """The panel with the answers of a machine with a GPU; the page is one for all tests of a module."""
    page, canned = page_of_panel
    fresh = Canned()
    canned.answers, canned.gone, canned.refused = fresh.answers, False, 0
    found = Panel(page, canned)
    found.open()
    found.refresh()
    yield found
    settings_as_they_were(page)
