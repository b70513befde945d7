"""The panel's buttons that have the server do something, and what they say of it."""

import pytest
from support import web_answers

SAID = "The kernels are checked again, while no prompt runs."


@pytest.fixture
def kernels(panel):
    return panel.body.locator("[data-section='kernels']")


def answers(panel, pattern: str, **answer) -> list:
    """Has the test answer a route; returns the requests that come."""
    asked = []

    def fulfil(route):
        asked.append(route.request)
        route.fulfill(**answer)

    panel.page.browser_page.route(pattern, fulfil)
    return asked


def test_check_again_asks_the_real_server_which_says_why_not(kernels):
    button = kernels.get_by_role("button", name="Check again")
    button.click()
    kernels.get_by_role("status").get_by_text("There is no NVIDIA GPU here").wait_for()
    assert button.evaluate("one => one === document.activeElement") is True


def test_what_it_said_and_the_focus_stay_while_verdicts_come_in(panel, kernels):
    asked = answers(panel, "**/sagekit/check", json={"text": SAID, "said": []})
    button = kernels.get_by_role("button", name="Check again")
    button.click()
    kernels.get_by_text(SAID).wait_for()
    (request,) = asked
    assert request.method == "POST"
    gpu = next(iter(panel.canned.answers["status"]["verdicts"]))
    panel.canned.answers["status"]["verdicts"][gpu]["a-new-one"] = web_answers.verdict("ok", 0.01)
    panel.refresh()
    kernels.locator("[data-kernel='a-new-one']").wait_for()
    assert (
        kernels.get_by_text(SAID).is_visible()
        and kernels.get_by_role("button", name="Check again").count() == 1
    )


def test_a_refusal_is_shown_in_its_own_words(panel, kernels):
    answers(panel, "**/sagekit/check", status=403, json={"text": "Only its own page.", "said": []})
    kernels.get_by_role("button", name="Check again").click()
    kernels.get_by_text("Only its own page.").wait_for()


def test_a_server_that_is_gone_is_no_error_of_the_page(panel, kernels):
    panel.page.browser_page.route("**/sagekit/check", lambda route: route.abort("connectionrefused"))
    button = kernels.get_by_role("button", name="Check again")
    button.click()
    kernels.locator("[role='status']:not(:empty)").wait_for()
    assert button.get_attribute("aria-busy") is None


def test_measure_anew_names_the_run(panel):
    panel.answer(report=web_answers.report(web_answers.run(5)))
    run = panel.body.locator("article[data-run='5']")
    run.locator("details summary").first.click()
    asked = answers(panel, "**/sagekit/runs/*/measure", json={"text": "Forgotten.", "said": []})
    run.get_by_role("button", name="Measure this model anew").click()
    run.get_by_text("Forgotten.").wait_for()
    (request,) = asked
    assert request.method == "POST" and request.url.endswith("/sagekit/runs/5/measure")
