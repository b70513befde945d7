"""The speed card: what the last run gained, in words and bars, and never a number that nobody measured."""

import pytest
from support import web_answers

GAIN = "[data-section=speed] .sagekit-speed"


def told(panel, run: dict | None, **more) -> str:
    panel.answer(report=web_answers.report(*([run] if run else []), **more))
    panel.page.browser_page.wait_for_timeout(200)
    return panel.body.locator("[data-section=speed]").inner_text()


def test_the_card_is_on_top_with_the_gain_both_times_and_one_advice(panel, tmp_path):
    text = told(panel, web_answers.run())
    panel.page.screenshot(tmp_path / "speed.png")
    assert panel.body.locator("details[data-section]").first.get_attribute("data-section") == "speed"
    assert panel.body.locator(GAIN).inner_text() == "1.25x, 10.4 s saved"
    assert "Without SageKit, estimated from measured times" in text and "51.6 s" in text
    assert panel.body.locator(".sagekit-advice").inner_text() == web_answers.ADVICE
    widths = panel.body.locator("[data-bar] .sagekit-bar").evaluate_all(
        "bars => bars.map(bar => bar.getBoundingClientRect().width)"
    )
    assert widths[0] / widths[1] == pytest.approx(41.2 / 51.6, abs=0.01)


def test_the_time_of_the_run_is_shared_out_by_kernel_in_words(panel):
    text = told(panel, web_answers.run())
    for words in (
        "self-attention, 32,760 tokens: sage2-int8-fp8, 50%",
        "cross-attention, 32,760 tokens to 512: ComfyUI's own, 10%",
        "everything else, 40%",
    ):
        assert words in text
    parts = panel.body.locator("[data-section=speed] .sagekit-part")
    shares = parts.evaluate_all("parts => parts.map(part => parseFloat(part.style.width))")
    assert shares == pytest.approx([50, 10, 40], abs=0.1)


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (None, "Nothing has run yet"),
        (
            web_answers.run(speed=web_answers.speed(gain=None, without=None, saved=None)),
            "its gain is not known",
        ),
        (web_answers.run(speed=web_answers.speed(gain=1.004, saved=0.2)), "No gain in this run"),
        (web_answers.run(speed=web_answers.speed(gain=0.95, saved=-2.06)), "0.95x, 2.06 s lost"),
        (web_answers.run(state="failed", line="run failed after 11 calls"), "run failed after 11 calls."),
    ],
    ids=["no run", "not measured", "no gain", "slower", "failed"],
)
def test_without_a_gain_that_is_said_in_words(panel, run, words):
    text = told(panel, run)
    assert words in text
    assert "saved" not in panel.body.locator("[data-section=speed]").inner_text().replace("not saved", "")
    if run is None or run["speed"]["without"] is None or run["state"] == "failed":
        assert panel.body.locator("[data-bar]").count() == 0


def test_a_run_that_goes_on_tells_what_it_gained_so_far(panel):
    going = web_answers.run(30, seconds=None, state="running")
    assert "1.25x, 10.4 s saved so far" in told(panel, None, running=[going])


def test_what_the_estimate_leaves_out_is_said(panel):
    run = web_answers.run(speed=web_answers.speed(timed_calls=900, measuring=2.4))
    text = told(panel, run)
    assert "Estimated from 900 of 1,000 calls" in text
    assert "Measuring took 2.4 s of this run" in text


def test_kernels_that_are_not_installed_or_not_for_this_gpu_are_folded_apart(panel):
    kernels = panel.body.locator("[data-section=kernels]")
    groups = {
        name: kernels.locator(f"[data-group={name}]") for name in ("kernelsMissing", "kernelsElsewhere")
    }
    assert [one.get_attribute("open") for one in groups.values()] == [None, None]
    for group, kernel in zip(groups.values(), ("flash4", "sage3-fp4"), strict=True):
        assert kernels.locator(f"[data-kernel={kernel}]").count() == 0
        group.locator("summary").first.click()
        group.locator(f"[data-kernel={kernel}]").wait_for()


def test_folded_parts_and_the_place_scrolled_to_are_found_again(panel):
    top = """panel => {
        let one = panel
        while (one && one.scrollTop === 0) one = one.parentElement
        return one?.scrollTop ?? 0
    }"""
    panel.body.locator("[data-section=plan] > summary").click()
    panel.body.locator("[data-section=kernels] > summary").hover()
    panel.page.browser_page.mouse.wheel(0, 400)
    panel.page.browser_page.wait_for_timeout(400)
    before = panel.body.evaluate(top)
    panel.close()
    panel.open()
    panel.page.browser_page.wait_for_timeout(800)
    assert before > 100 and panel.body.evaluate(top) == pytest.approx(before, abs=3)
    plan = panel.body.locator("[data-section=plan]")
    assert plan.get_attribute("open") is None
    assert panel.body.locator("[data-section=kernels]").get_attribute("open") is not None
    plan.locator("> summary").click()


def test_the_report_that_is_copied_has_the_gain_and_the_advice(panel):
    panel.answer(report=web_answers.report(web_answers.run()))
    text = panel.page.browser_page.evaluate(
        """async () => {
            const base = document.querySelector("link[href$='sagekit.css']").href
            const { state } = await import(new URL('store.js', base))
            const { reportText } = await import(new URL('panel/report_text.js', base))
            return reportText(state)
        }"""
    )
    assert "speed: 1.252x, 51.6 s without SageKit, estimated" in text
    assert f"advice: {web_answers.ADVICE}" in text
