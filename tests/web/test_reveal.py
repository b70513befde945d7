"""Everything that a node says is in the panel, one click away, and in the report that is copied."""

import pytest
from support import web_answers
from support.web_node import LINE, NODE, draw_by_vue, show

PANEL = ".sagekit-panel"
ADD_OTHERS = f"""() => ["PatchTorchCompile", "PatchFP16Accumulation"].map((type, at) => {{
    const node = LiteGraph.createNode(type)
    node.pos = [{NODE}.pos[0] + 350 * at, {NODE}.pos[1] + 400]
    app.graph.add(node)
    return String(node.id)
}})"""
COMPILED = {
    "node_type": "PatchTorchCompile",
    "line": "24 blocks compiled · 3 graphs, 41 s",
    "text": "24 blocks compiled: 3 graphs in 41 s\n2 of 26 blocks run uncompiled: another node replaced them",
    "badge": "compiled",
    "warnings": [
        web_answers.warning("2 of 26 blocks run uncompiled: another node replaced them", "uncompiled")
    ],
}
ACCUMULATES = {
    "node_type": "PatchFP16Accumulation",
    "line": "on, changes nothing",
    "text": "FP16 accumulation changes nothing here: the model computes in bfloat16",
    "badge": "",
    "warnings": [],
}


@pytest.fixture
def page(node_page):
    yield node_page
    node_page.browser_page.evaluate("() => { app.extensionManager.sidebarTab.activeSidebarTabId = null }")


@pytest.fixture
def three(page) -> list[dict]:
    """What three nodes of one workflow say."""
    ids = page.browser_page.evaluate(ADD_OTHERS)
    said = [{}, *({**one, "node_id": id} for one, id in zip((COMPILED, ACCUMULATES), ids, strict=True))]
    for one in said:
        show(page, **one)
    page.browser_page.locator(LINE).nth(2).wait_for(state="attached")
    # A line follows its node in the next frames.
    page.browser_page.wait_for_timeout(300)
    return [web_answers.message(**one) for one in said]


def line(page, said: dict):
    return page.browser_page.locator(LINE, has_text=said["line"])


def is_seen(card) -> bool:
    """Whether a card is in sight, below the header of the panel."""
    return card.evaluate("""card => {
        const { top, bottom } = card.getBoundingClientRect()
        const under = document.elementFromPoint(card.getBoundingClientRect().x + 20, top + 8)
        return top >= 0 && bottom <= innerHeight + 1 && card.contains(under)
    }""")


@pytest.mark.parametrize("vue", [False, True], ids=["on the canvas", "drawn by Vue"])
def test_a_click_on_a_line_opens_the_panel_at_what_that_node_says(page, three, vue, tmp_path):
    if vue:
        draw_by_vue(page)
    for said in (three[2], three[0], three[1]):
        line(page, said).click()
        card = page.browser_page.locator(f"{PANEL} [data-node='{said['node_id']}']")
        page.browser_page.wait_for_function(
            "id => document.activeElement?.getAttribute('data-node') === id", arg=said["node_id"]
        )
        assert is_seen(card)
        shown = card.inner_text()
        for text in (said["line"], *said["text"].split("\n"), *(one["text"] for one in said["warnings"])):
            assert text in shown
        assert card.locator(".pi-exclamation-triangle").count() == len(said["warnings"])
    page.screenshot(tmp_path / "card.png")


def test_a_part_that_is_folded_is_opened_for_it(page, three):
    line(page, three[0]).click()
    part = page.browser_page.locator(f"{PANEL} [data-section=nodes]")
    part.wait_for()
    part.locator("> summary").click()
    page.browser_page.evaluate("() => { app.extensionManager.sidebarTab.activeSidebarTabId = null }")
    page.browser_page.locator(PANEL).wait_for(state="detached")
    line(page, three[1]).click()
    page.browser_page.locator(f"{PANEL} [data-node='{three[1]['node_id']}']:focus").wait_for()
    assert part.get_attribute("open") is not None


def test_what_nodes_say_is_brought_up_to_date_and_is_no_part_where_they_say_nothing(page):
    show(page).click()
    card = page.browser_page.locator(f"{PANEL} [data-node='{web_answers.NODE}']")
    card.wait_for()
    show(page, line="sdpa-cudnn 5", text="calls: sdpa-cudnn 5", time=2e9)
    card.filter(has_text="calls: sdpa-cudnn 5").wait_for()
    page.browser_page.evaluate(f"() => {{ {NODE}.mode = 4; app.api.dispatchCustomEvent('graphChanged') }}")
    card.filter(has_text="bypassed").wait_for()
    page.browser_page.evaluate(f"() => app.graph.remove({NODE})")
    page.browser_page.evaluate("() => app.api.dispatchCustomEvent('graphChanged')")
    card.wait_for(state="detached")
    assert page.browser_page.locator(f"{PANEL} [data-section=nodes]").count() == 0


def test_the_report_that_is_copied_has_what_every_node_says(page):
    nodes = [web_answers.message(node_id=str(at), **one) for at, one in enumerate((COMPILED, ACCUMULATES), 4)]
    text = page.browser_page.evaluate(
        """async report => {
            const base = document.querySelector("link[href$='sagekit.css']").href
            const { reportText } = await import(new URL('panel/report_text.js', base))
            return reportText({ status: null, plan: null, report })
        }""",
        web_answers.report(nodes=nodes),
    )
    assert (
        "the nodes:\n"
        "  PatchTorchCompile 4: 24 blocks compiled · 3 graphs, 41 s\n"
        "    warning: 2 of 26 blocks run uncompiled: another node replaced them\n"
        "    24 blocks compiled: 3 graphs in 41 s\n"
        "  PatchFP16Accumulation 5: on, changes nothing\n"
        "    FP16 accumulation changes nothing here: the model computes in bfloat16\n"
    ) in text
