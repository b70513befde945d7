"""The number at the tab in the sidebar: what there is to look at, and nothing where all is well."""

import pytest
from support import web_answers
from support.web_node import NODE, show

BADGE = ".sagekit-tab-button .sidebar-icon-badge"


@pytest.fixture
def badge(node_page, page_of_module):
    """Where a machine's packages belong together."""
    page, canned = page_of_module
    canned.answers["status"]["mismatches"] = []
    page.tell("reconnected", None)
    found = page.browser_page.locator(BADGE)
    found.wait_for(state="detached")
    return found


def test_it_counts_warnings_each_once_and_goes_with_them(node_page, badge, tmp_path):
    show(node_page).wait_for()
    node_page.browser_page.wait_for_timeout(200)
    assert badge.count() == 0
    show(node_page, time=2e9, warnings=[web_answers.warning(), web_answers.warning("Block 3 is exact.")])
    badge.filter(has_text="2").wait_for()
    node_page.screenshot(tmp_path / "tab.png")
    show(node_page, time=3e9, warnings=[web_answers.warning()] * 2)
    badge.filter(has_text="1").wait_for()
    node_page.browser_page.evaluate(
        f"() => {{ {NODE}.mode = 4; app.api.dispatchCustomEvent('graphChanged') }}"
    )
    badge.wait_for(state="detached")


def test_what_does_not_belong_together_counts_too(node_page, badge, page_of_module):
    show(node_page, warnings=[web_answers.warning()])
    badge.filter(has_text="1").wait_for()
    page_of_module[1].answers["status"] = web_answers.status()
    node_page.tell("reconnected", None)
    badge.filter(has_text="2").wait_for()
    many = [web_answers.warning(f"Block {number} is exact.") for number in range(12)]
    show(node_page, time=2e9, warnings=many)
    badge.filter(has_text="9+").wait_for()
