"""The page that ComfyUI serves, in a real browser, with what its console and its dialogs complain about."""

import contextlib
import importlib.util
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ARGUMENTS = ["--no-sandbox", "--disable-background-networking"]
# How the host shows that something went wrong: a panel, or a message that goes away by itself.
ERROR_SIGNS = "[data-testid^='error'], .p-toast-message-error"
LIMIT = 60_000
SOON = 30_000
WIDTH, HEIGHT = 1700, 950


def places_of_chromium(playwright) -> list[str]:
    """Where to look for the browser, most certain first."""
    named = os.environ.get("CHROMIUM")
    return [named] if named else ["/usr/bin/chromium", playwright.chromium.executable_path]


def launch(playwright):
    """A browser, or None where there is none."""
    for place in places_of_chromium(playwright):
        if Path(place).exists():
            return playwright.chromium.launch(executable_path=place, args=ARGUMENTS)
    return None


@contextlib.contextmanager
def browsing() -> Iterator:
    """A browser; where there is none the test is skipped, with what is missing."""
    if importlib.util.find_spec("playwright") is None:
        pytest.skip("playwright is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = launch(playwright)
        if browser is None:
            places = " and ".join(places_of_chromium(playwright))
            pytest.skip(f"no Chromium (set CHROMIUM): looked for {places}")
        yield browser
        browser.close()


class Page:
    """One page in a profile of its own."""

    def __init__(self, browser, url: str, prepare: Callable | None = None, width: int = WIDTH):
        """Opens an address.

        Args:
            browser: What ``launch`` gave.
            url: The address.
            prepare: Called with the browser's page before it goes there.
            width: Of the window.
        """
        # Every error of the console, in words that are the same on every port and in every run.
        self.errors: list[str] = []
        self.browser_page = browser.new_context(viewport={"width": width, "height": HEIGHT}).new_page()
        self.browser_page.on("console", self._keep)
        self.browser_page.on("pageerror", lambda error: self.errors.append(f"uncaught: {error}"))
        # What a test waits for comes within moments; the first visit and a run have times of their own.
        self.browser_page.set_default_timeout(SOON)
        if prepare is not None:
            prepare(self.browser_page)
        self.browser_page.goto(url, timeout=LIMIT)
        self._wait_until_ready()
        if "template=" in url:
            # Until the template is there the page shows the host's own workflow.
            self.wait_for("app.graph.nodes.some(node => node.type === 'PatchSageAttention')")

    def _wait_until_ready(self) -> None:
        self.wait_for("app.graph.nodes.length > 0")
        self.browser_page.wait_for_load_state("networkidle", timeout=LIMIT)

    def _keep(self, message) -> None:
        if message.type == "error":
            place = re.sub(r"^https?://127\.0\.0\.1:\d+", "", message.location["url"])
            self.errors.append(f"{message.text} [{place}]")

    def reload(self) -> None:
        """Loads the page anew; the workflow that was open is open again, as it was."""
        # Without the address's query, which would open the template as another workflow.
        self.browser_page.goto(re.match(r"https?://[^/]+/", self.browser_page.url)[0])
        self._wait_until_ready()

    def wait_for(self, condition: str) -> None:
        """Waits until a condition in the page's own words holds."""
        self.browser_page.wait_for_function(f"() => window.app?.graph && ({condition})", timeout=LIMIT)

    def nodes(self) -> list[str]:
        """The types of the nodes in the open workflow."""
        return self.browser_page.evaluate("() => window.app.graph.nodes.map(node => node.type)")

    def complaints(self) -> list[str]:
        """What the page shows as errors."""
        return self.browser_page.locator(ERROR_SIGNS).all_inner_texts()

    def press_run(self) -> None:
        self.browser_page.get_by_test_id("queue-button").click()

    def set(self, setting: str, value: object) -> None:
        """Changes a setting of the user, as the settings dialog does."""
        self.browser_page.evaluate(
            "([id, value]) => app.extensionManager.setting.set(id, value)", [setting, value]
        )

    def tell(self, event: str, detail: object) -> None:
        """Hands the page an event as if it had come over the server's socket."""
        self.browser_page.evaluate(
            "([type, detail]) => app.api.dispatchEvent(new CustomEvent(type, { detail }))", [event, detail]
        )

    def search(self, words: str) -> list[str]:
        """What the node search, opened by a double click beside the nodes, offers for some words."""
        box = self.browser_page.get_by_role("combobox")
        # On a busy machine two clicks may be too far apart to be a double one.
        for _ in range(10):
            self.browser_page.mouse.dblclick(850, 880)
            self.browser_page.wait_for_timeout(1500)
            if box.count():
                break
        box.wait_for()
        self.browser_page.keyboard.type(words)
        # The list follows the words after a moment, and an empty list has nothing to wait for.
        self.browser_page.wait_for_timeout(1500)
        return self.browser_page.get_by_role("option").all_inner_texts()

    def screenshot(self, file: Path) -> None:
        self.browser_page.screenshot(path=file)

    def close(self) -> None:
        self.browser_page.context.close()


def opened(browser, url: str, prepare: Callable | None = None) -> Iterator[Page]:
    """A page for the length of a test."""
    page = Page(browser, url, prepare)
    yield page
    page.close()
