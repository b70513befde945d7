"""Notices: once for each cause, with a button, and not where they are switched off."""

from support import web_answers
from support.page import opened
from support.web_canned import Canned
from support.web_node import show

from .conftest import DEMO

TOAST = ".p-toast-message"


def told(page) -> list[str]:
    page.browser_page.wait_for_timeout(400)
    return page.browser_page.locator(TOAST).filter(has_text="SageKit").all_inner_texts()


def test_a_notice_is_shown_once_for_each_cause_also_after_a_reload(page, canned, tmp_path):
    page.tell("sagekit.notice", web_answers.notice())
    page.tell("sagekit.notice", web_answers.notice())
    page.browser_page.locator(TOAST, has_text="its kernel answers wrongly").first.wait_for()
    page.screenshot(tmp_path / "toast.png")
    assert len(told(page)) == 1
    page.tell("sagekit.notice", web_answers.notice("start-2", kind="guard", severity="info", text="Block 3."))
    assert len(told(page)) == 2
    assert page.browser_page.locator(f"{TOAST}-info", has_text="Block 3.").count() == 1
    canned.answers["status"]["notices"] = [web_answers.notice(), web_answers.notice("start-3", text="New.")]
    page.reload()
    page.browser_page.locator(TOAST, has_text="New.").wait_for()
    assert len(told(page)) == 1


def test_no_notice_is_shown_while_they_are_off_and_what_waits_is_shown_when_they_are_on(page, canned):
    page.set("SageKit.Toasts", False)
    page.tell("sagekit.notice", web_answers.notice("off-1"))
    assert told(page) == []
    page.set("SageKit.Toasts", True)
    page.tell("sagekit.notice", web_answers.notice("off-1"))
    assert len(told(page)) == 1


def test_a_warning_of_a_node_is_told_once_with_a_button_that_opens_it(page, tmp_path):
    warning = web_answers.warning("sage2-int8-fp8 did not run (needs a mask).", "named-kernel")
    other = web_answers.warning("It is slower.", "another")
    show(page, warnings=[warning, other, web_answers.warning("Block 3 is exact.", "guard")])
    toast = page.browser_page.locator(TOAST, has_text=warning["text"])
    button = toast.get_by_role("button", name="Open", exact=True)
    button.wait_for()
    page.screenshot(tmp_path / "warning_toast.png")
    # What the guard finds has a notice of its own.
    (text,) = told(page)
    assert "SageKit: Patch Sage Attention" in text and other["text"] in text and "Block 3" not in text
    button.click()
    page.browser_page.locator(f".sagekit-panel [data-node='{web_answers.NODE}']:focus").wait_for()
    toast.wait_for(state="detached")
    show(page, warnings=[warning], time=2e9)
    assert told(page) == []
    show(page, warnings=[warning, web_answers.warning("A new one.", "another")], time=3e9)
    (text,) = told(page)
    assert "A new one." in text and warning["text"] not in text


def test_warnings_of_another_workflow_and_those_of_before_the_page_was_opened_are_not_told(browser, served):
    warning = web_answers.warning("A warning of before.", "dropped")
    canned = Canned()
    canned.answers["report"] = web_answers.report(nodes=[web_answers.message(warnings=[warning])])
    for page in opened(browser, served.url + DEMO, canned.prepare):
        page.browser_page.locator(".sagekit-line .pi-exclamation-triangle").wait_for()
        show(page, warnings=[web_answers.warning("Of another.", "dropped")], workflow="another", time=2e9)
        assert told(page) == []


def test_the_button_of_a_notice_opens_the_panel(page):
    page.tell("sagekit.notice", web_answers.notice("button-1"))
    page.browser_page.locator(TOAST).get_by_role("button", name="Open", exact=True).first.click()
    page.browser_page.locator(".sagekit-panel").wait_for()
