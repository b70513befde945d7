"""The panel: a machine, its plan and its runs, and that it goes on when the server does not."""

import copy

import pytest
from support import web_answers

CONTRAST = """([text, back]) => {
    const canvas = document.createElement('canvas').getContext('2d')
    const light = colour => {
        canvas.fillStyle = '#000'
        canvas.fillStyle = colour
        canvas.fillRect(0, 0, 1, 1)
        const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map(value => {
            const part = value / 255
            return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
        })
        return 0.2126 * r + 0.7152 * g + 0.0722 * b
    }
    const [a, b] = [light(text), light(back)]
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
}"""
# What one frame of a screen with 60 of them a second has.
FRAME = 16.0


def part(panel, name: str):
    return panel.body.locator(f"[data-section='{name}']")


def copied(panel, button) -> str:
    panel.page.browser_page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    panel.page.browser_page.evaluate("() => navigator.clipboard.writeText('')")
    button.click()
    panel.body.get_by_text("Copied").wait_for()
    text = panel.page.browser_page.evaluate("() => navigator.clipboard.readText()")
    panel.body.get_by_text("Copied").wait_for(state="detached")
    return text


def test_the_panel_opens_by_command_and_by_its_tab(panel):
    panel.close()
    panel.page.browser_page.evaluate("() => app.extensionManager.command.execute('SageKit.OpenPanel')")
    panel.body.wait_for()
    panel.page.browser_page.evaluate("() => app.extensionManager.command.execute('SageKit.OpenPanel')")
    assert panel.body.is_visible()
    panel.close()
    panel.page.browser_page.locator(".sagekit-tab-button").click()
    panel.body.wait_for()


def test_the_panel_shows_the_machine_and_what_does_not_fit(panel, tmp_path):
    shown = part(panel, "machine").inner_text()
    for text in (web_answers.GPU, "581.42", "2.11.0+cu130", "13.0", "3.6.0.post25", "2.2.0", "Install 3.6."):
        assert text in shown
    panel.page.screenshot(tmp_path / "panel.png")


def test_the_kernel_that_is_checked_is_named_with_how_many_there_are(panel):
    panel.answer(status=web_answers.status() | web_answers.checking(7, 23))
    panel.body.get_by_text("Checking kernels: 7 of 23 (kernel-7)").wait_for()
    bar = panel.body.locator("progress")
    assert (bar.get_attribute("value"), bar.get_attribute("max")) == ("6", "23")
    panel.page.tell("sagekit.check", web_answers.checking(8, 23)["check"])
    panel.body.get_by_text("Checking kernels: 8 of 23 (kernel-8)").wait_for()


def test_every_kernel_is_there_with_its_verdict_and_its_reason(panel):
    for folded in part(panel, "kernels").locator("[data-group] > summary").all():
        folded.click()
    rows = part(panel, "kernels").locator("details[data-kernel]")
    found = web_answers.status()["verdicts"][web_answers.GPU]
    # Those that could be installed, and those for other GPUs, come last.
    folded = ("flash4", "sage3-fp4")
    verdicts = {name: found[name] for name in [*(one for one in found if one not in folded), *folded]}
    # What is folded is written as it opens, in an event after the click.
    rows.nth(len(verdicts) - 1).wait_for()
    states = [row.get_attribute("data-state") for row in rows.all()]
    assert states == [one["state"] for one in verdicts.values()]
    assert "error 0.28 at 77 keys" in rows.nth(2).inner_text()
    assert "error 28 %" in rows.nth(2).inner_text()
    rows.first.locator("summary").press("Enter")
    rows.first.get_by_text("Calls checked: 41.").wait_for()
    assert "0.56 ms" in rows.first.inner_text()


def test_each_size_of_call_has_a_bar_for_each_kernel_as_long_as_its_time(panel):
    charts = part(panel, "times").locator("figure")
    assert charts.count() == 2
    newest = charts.first
    widths = newest.evaluate(
        """chart => Object.fromEntries([...chart.querySelectorAll('[data-kernel]')].map(row =>
            [row.dataset.kernel, row.querySelector('.sagekit-bar').getBoundingClientRect().width]))"""
    )
    assert list(widths) == ["sage2-int8-fp8", "sdpa-cudnn", ""]
    assert widths["sdpa-cudnn"] / widths[""] == pytest.approx(0.5, abs=0.02)
    assert widths["sage2-int8-fp8"] / widths[""] == pytest.approx(0.25, abs=0.02)
    assert "0.25 ms, 4x" in newest.inner_text()


def test_each_command_of_the_plan_and_its_way_back_can_be_copied(panel, tmp_path):
    plan = part(panel, "plan")
    assert "Something has to be repaired" in plan.inner_text()
    commands = [web_answers.INSTALL, web_answers.GO_BACK, web_answers.OPTION]
    assert plan.locator("code").filter(has_text="python").all_inner_texts() == commands
    plan.scroll_into_view_if_needed()
    panel.page.screenshot(tmp_path / "plan.png")
    for command in commands:
        button = plan.get_by_role("button", name=f"Copy the command: {command}", exact=True)
        assert copied(panel, button) == command


def test_the_plan_says_where_its_commands_are_to_be_typed(panel, tmp_path):
    plan = part(panel, "plan")
    (told,) = plan.locator(".sagekit-place").all_inner_texts()
    assert "In Explorer, open the folder of ComfyUI portable" in told and "PowerShell" in told
    panel.page.screenshot(tmp_path / "place.png")
    answers = {
        ("linux", "comfyui", ""): "Open a terminal in ComfyUI's folder",
        ("linux", "anywhere", ""): "any folder will do",
        ("linux", "anywhere", "Kaggle"): "In a cell of the notebook.",
        ("linux", "a place of a later version", ""): "In a cell of the notebook.",
    }
    for (system, place, host), words in answers.items():
        answer = copy.deepcopy(web_answers.plan())
        more = {"system": system, "place": place, "host": host, "open_in": "In a cell of the notebook."}
        answer["plan"] |= more
        panel.answer(plan=answer)
        plan.locator(".sagekit-place").filter(has_text=words).wait_for()


def test_where_there_is_no_command_there_is_a_sentence_and_no_button(panel):
    answer = copy.deepcopy(web_answers.plan())
    gone = {"shown": [], "undo_shown": [], "missing": "Not shown here.", "undo_missing": "Nor is this."}
    answer["plan"]["steps"][0] |= gone
    answer["plan"]["options"] = []
    panel.answer(plan=answer)
    plan = part(panel, "plan")
    plan.get_by_text("Not shown here.").wait_for()
    assert plan.get_by_text("Nor is this.").is_visible()
    assert plan.get_by_role("button").count() == 0 and plan.locator(".sagekit-place").count() == 0


def test_the_plan_says_what_an_error_of_a_kernel_means(panel):
    shown = part(panel, "plan").inner_text()
    (answer,) = web_answers.plan()["plan"]["answers"]
    assert "What the errors mean" in shown and all(answer[one] in shown for one in ("line", "cause", "fix"))


def test_where_there_is_no_secure_context_a_command_is_copied_all_the_same(panel):
    panel.page.browser_page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    panel.page.browser_page.evaluate(
        """() => {
            navigator.clipboard.writeText('')
            Object.defineProperty(window, 'isSecureContext', { value: false, configurable: true })
        }"""
    )
    try:
        part(panel, "plan").get_by_role("button", name=f"Copy the command: {web_answers.INSTALL}").click()
        panel.body.get_by_text("Copied").wait_for()
        text = panel.page.browser_page.evaluate("() => navigator.clipboard.readText()")
        assert text == web_answers.INSTALL
    finally:
        panel.page.browser_page.evaluate("() => { delete window.isSecureContext }")


def test_the_last_runs_are_there_newest_first_with_their_calls_as_one_bar(panel, tmp_path):
    warned = web_answers.run(18, warnings=[web_answers.warning()])
    panel.answer(report=web_answers.report(web_answers.run(17), warned))
    runs = part(panel, "runs").locator("article")
    panel.body.locator("[data-run='18']").wait_for()
    assert [run.get_attribute("data-run") for run in runs.all()] == ["18", "17"]
    shares = runs.first.locator(".sagekit-part").evaluate_all(
        "parts => parts.map(part => parseFloat(part.style.width))"
    )
    assert shares == pytest.approx([90, 6, 4], abs=0.1)
    # What is out of sight is not laid out, and has no text.
    runs.first.scroll_into_view_if_needed()
    panel.page.browser_page.wait_for_timeout(300)
    assert "Warning: The guard kept" in runs.first.inner_text()
    assert "block 3 ran exactly" in runs.first.inner_text()
    assert runs.first.locator("table").count() == 0
    runs.first.get_by_text("Sizes of call: 2").click()
    runs.first.locator("tbody tr").first.wait_for()
    rows = runs.first.locator("tbody tr").all_inner_texts()
    assert len(rows) == 2
    assert "no-faster-kernel" in rows[1]
    assert "3.1 %" in rows[0]
    runs.first.get_by_text("Passed over: 1").click()
    runs.first.get_by_text("slower: needs less than 1.02 ms").wait_for()
    runs.first.scroll_into_view_if_needed()
    panel.page.screenshot(tmp_path / "runs.png")


def test_a_run_that_goes_on_is_shown_and_ends(panel):
    going = web_answers.run(30, seconds=None, line="sdpa-cudnn 5")
    panel.answer(report=web_answers.report(running=[going]))
    card = panel.body.locator("[data-run='30']")
    card.get_by_text("Running").wait_for()
    panel.answer(report=web_answers.report(web_answers.run(30)))
    card.get_by_text("41.2 s").first.wait_for()
    assert card.get_by_text("Running").count() == 0


def test_the_report_holds_what_an_issue_needs(panel):
    panel.answer(report=web_answers.report(web_answers.run()))
    panel.body.locator("[data-run='17']").wait_for()
    text = copied(panel, panel.body.get_by_role("button", name="Copy report"))
    for needed in (
        "SageKit 0.1.0",
        f"gpu: {web_answers.GPU}, 8.9",
        "torch: 2.11.0 cu130, CUDA 13.0",
        "sage1-int8-fp16: wrong, error 0.28",
        "triton-torch: needs Triton 3.6",
        "last run: WAN21",
        "note: block 3 ran exactly",
        "own, no-faster-kernel x 32",
    ):
        assert needed in text


def test_nothing_known_yet_is_said_in_words(panel):
    nothing = {**web_answers.status(), "environment": None, "verdicts": {}, "times": {}, "mismatches": []}
    panel.answer(status=nothing, report=web_answers.report(), plan={"plan": None})
    for text in (
        "This machine has not been read yet.",
        "No kernel has been checked",
        "Nothing has been measured yet.",
        "There is no plan for this machine yet.",
        "No model with Patch Sage Attention has run",
    ):
        panel.body.get_by_text(text).wait_for()


def test_the_panel_says_that_the_server_is_gone_and_goes_on_when_it_is_back(panel, tmp_path):
    panel.canned.gone = True
    panel.refresh()
    panel.body.get_by_text("ComfyUI does not answer.").wait_for()
    assert web_answers.GPU in panel.body.inner_text()
    panel.page.screenshot(tmp_path / "gone.png")
    panel.canned.gone = False
    panel.canned.answers["status"] = web_answers.status("A new GPU")
    # Nobody presses anything: it asks again by itself.
    panel.body.get_by_text("A new GPU").first.wait_for()
    panel.body.get_by_text("ComfyUI does not answer.").wait_for(state="hidden")


def test_an_answer_that_is_an_error_is_shown_as_one(panel):
    panel.canned.refused = 500
    panel.refresh()
    panel.body.get_by_text("ComfyUI answered with an error: 500").wait_for()
    panel.canned.refused = 0
    panel.refresh()
    panel.body.get_by_text("ComfyUI answered with an error").wait_for(state="hidden")


def test_hostile_names_are_text_everywhere(panel):
    hostile = web_answers.HOSTILE
    run = web_answers.run(66, model=hostile, kernel=hostile, notes=[hostile], kernels={hostile: 5})
    run["classes"] = [web_answers.one_class(hostile, hostile, 5)]
    plan = copy.deepcopy(web_answers.plan())
    plan["plan"]["summary"] = plan["plan"]["steps"][0]["title"] = hostile
    plan["plan"]["answers"][0] |= {"line": hostile, "cause": hostile, "fix": hostile}
    panel.answer(status=web_answers.status(hostile), report=web_answers.report(run), plan=plan)
    panel.body.locator("[data-run='66']").get_by_text("Sizes of call").click()
    for name in ("machine", "kernels", "times", "plan", "runs"):
        assert hostile in part(panel, name).inner_text()
    assert panel.body.locator("img, b").count() == 0
    assert not panel.page.browser_page.evaluate("() => window.hostile")


def test_text_is_easy_to_read_in_the_dark_and_in_the_light_theme(panel, tmp_path):
    panel.answer(report=web_answers.report(web_answers.run()))
    panel.body.locator("[data-run='17']").wait_for()
    backs = set()
    for theme in ("dark", "light"):
        panel.page.set("Comfy.ColorPalette", theme)
        panel.page.browser_page.wait_for_timeout(500)
        panel.page.screenshot(tmp_path / f"{theme}.png")
        back = panel.body.evaluate("panel => getComputedStyle(panel).backgroundColor")
        backs.add(back)
        for text in (
            "dt",
            "dd",
            "h3",
            "summary",
            "figcaption",
            ".sagekit-bar-text",
            ".sagekit-run-facts",
            "code",
        ):
            colour = panel.body.locator(text).first.evaluate("element => getComputedStyle(element).color")
            contrast = panel.page.browser_page.evaluate(CONTRAST, [colour, back])
            assert contrast >= 4.5, f"{text} in {theme}: {contrast:.1f}"
    assert len(backs) == 2


def test_everything_that_can_be_pressed_is_reached_by_the_keyboard(panel):
    panel.body.get_by_role("button", name="Refresh").focus()
    reached = []
    for _ in range(6):
        panel.page.browser_page.keyboard.press("Tab")
        reached.append(panel.page.browser_page.evaluate("() => document.activeElement.tagName"))
    assert reached[0] == "BUTTON"
    assert "SUMMARY" in reached
    assert panel.body.locator("button:not([type]), [onclick]").count() == 0


def test_the_panel_fits_a_window_of_1024_pixels(panel, tmp_path):
    panel.answer(report=web_answers.report(web_answers.run()))
    panel.page.browser_page.set_viewport_size({"width": 1024, "height": 768})
    try:
        panel.body.locator("[data-run='17']").get_by_text("Sizes of call").click()
        panel.page.browser_page.wait_for_timeout(300)
        panel.page.screenshot(tmp_path / "narrow.png")
        over = panel.body.evaluate("panel => panel.scrollWidth - panel.clientWidth")
        assert over <= 0
        assert panel.body.evaluate("panel => panel.getBoundingClientRect().right") <= 1024
    finally:
        panel.page.browser_page.set_viewport_size({"width": 1700, "height": 950})


def test_twenty_runs_of_64_sizes_of_call_are_written_within_a_frame(panel):
    runs = [web_answers.large_run(100 + number) for number in range(20)]
    panel.answer(report=web_answers.report(*runs))
    panel.body.locator("[data-run='119']").wait_for()
    panel.body.locator("[data-run='119']").get_by_text("Sizes of call: 64").click()
    # One run goes on, a new one has come, and a table is open: what a page has to do after each event.
    taken, shown = panel.page.browser_page.evaluate(
        """async ([answers]) => {
            const base = document.querySelector("link[href$='sagekit.css']").href
            const { state } = await import(new URL('store.js', base))
            const { runs } = await import(new URL('panel/runs.js', base))
            const section = runs()
            document.querySelector('.sagekit-panel').append(section.element)
            const taken = []
            const measure = () => {
                const start = performance.now()
                section.update()
                section.element.getBoundingClientRect()
                taken.push(performance.now() - start)
            }
            for (const report of answers) {
                state.report = report
                measure()
                // What it left for later frames.
                for (let frame = 0; frame < 6; frame++) await new Promise(requestAnimationFrame)
            }
            const shown = section.element.querySelectorAll('article').length
            section.element.remove()
            return [taken, shown]
        }""",
        [
            [
                web_answers.report(
                    *runs, running=[web_answers.large_run(200, calls=n) | {"seconds": None, "line": str(n)}]
                )
                for n in range(10_000, 10_012)
            ]
        ],
    )
    assert shown == 21
    # A machine that others work on too now and then takes a frame away: some of the updates may be late.
    assert sorted(taken)[len(taken) // 2] < FRAME, taken
    assert taken[0] < 2 * FRAME, taken


def test_many_events_between_two_frames_are_one_request_and_one_rendering(panel):
    before = dict(panel.canned.asked)
    for number in range(50):
        panel.page.tell("sagekit.node", web_answers.message(time=1764000000.0 + number))
    panel.page.browser_page.wait_for_timeout(1500)
    assert panel.canned.asked["report"] - before["report"] <= 2


def test_a_panel_that_is_closed_asks_for_nothing(panel):
    panel.close()
    panel.page.browser_page.wait_for_timeout(300)
    before = dict(panel.canned.asked)
    panel.page.browser_page.wait_for_timeout(2500)
    assert panel.canned.asked == before


def test_the_console_stays_without_errors_of_the_pack(panel, errors_of_the_host):
    ours = [error for error in panel.page.errors if error not in errors_of_the_host]
    assert [error for error in ours if "/sagekit/" not in error] == []


def test_the_page_about_leads_nowhere_as_long_as_the_pack_has_no_repository(panel):
    badges = panel.page.browser_page.evaluate(
        "() => app.extensions.find(one => one.name === 'SageKit').aboutPageBadges"
    )
    assert badges == []


def test_a_package_without_metadata_is_told_as_one(panel):
    status = panel.canned.answers["status"]
    packages = status["environment"]["packages"]
    packages["sageattention"] = {"version": "", "build": "", "as_module": True, "fork": "a local build"}
    panel.answer(status=status)
    row = panel.body.locator("[data-section=machine]")
    assert "version unknown, found as a module, without metadata, a local build" in row.inner_text()


TAKEN = {"id": "PatchSageAttention", "by": "MagicNodes", "instead": "SageKitPatchSageAttention"}


def test_ids_of_other_packs_are_a_part_of_the_panel_only_where_there_are_some(panel):
    part = panel.body.locator("[data-section=ids]")
    assert part.count() == 0
    panel.answer(status={**panel.canned.answers["status"], "taken": [TAKEN]})
    part.wait_for()
    text = part.inner_text()
    assert "PatchSageAttention belongs to the pack MagicNodes here." in text
    assert "there as SageKitPatchSageAttention" in text
