"""Notices: once for each cause, and not where they are switched off."""

from support import web_answers

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
