"""The word at a node's title: where the line is not to be seen, and nowhere else."""

import pytest
from support import web_answers
from support.web_node import LINE, NODE, check, draw_by_vue, in_a_subgraph, show

BADGE = ".sagekit-badge"
GAIN = "1.25x"
# What the badges of a node draw, and where; a badge that is clicked at.
DRAWN = """node => {
    const drawn = []
    const texts = CanvasRenderingContext2D.prototype.fillText
    CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {
        drawn.push(String(text))
        return texts.call(this, text, ...rest)
    }
    app.canvas.draw(true, true)
    CanvasRenderingContext2D.prototype.fillText = texts
    return drawn
}"""
COLLAPSE = f"() => {{ {NODE}.collapse(); app.canvas.draw(true, true) }}"


def drawn(page) -> list[str]:
    return page.browser_page.evaluate(DRAWN)


def tell(page, **more):
    return show(page, **{"badge": GAIN, **more})


def test_a_collapsed_node_has_its_gain_at_the_title_and_one_that_is_open_has_not(node_page, tmp_path):
    tell(node_page).wait_for()
    assert GAIN not in drawn(node_page)
    node_page.browser_page.evaluate(COLLAPSE)
    assert GAIN in drawn(node_page)
    node_page.screenshot(tmp_path / "collapsed.png")
    tell(node_page, time=2e9, warnings=[web_answers.warning()])
    node_page.browser_page.wait_for_timeout(100)
    assert f"⚠ {GAIN}" in drawn(node_page)
    tell(node_page, time=3e9, badge="")
    node_page.browser_page.wait_for_timeout(100)
    assert not [one for one in drawn(node_page) if "x" in one and "." in one]


def test_far_out_the_gain_is_as_large_as_elsewhere_and_a_click_on_it_opens_the_panel(node_page, tmp_path):
    tell(node_page).wait_for()
    node_page.browser_page.evaluate("() => { app.canvas.ds.changeScale(0.3, [600, 400]) }")
    node_page.browser_page.wait_for_timeout(300)
    assert node_page.browser_page.evaluate("() => app.canvas.low_quality")
    assert GAIN in drawn(node_page)
    node_page.screenshot(tmp_path / "far.png")
    x, y, height = node_page.browser_page.evaluate(f"""() => {{
        const node = {NODE}
        const {{ boundingRect: [x, y, width, height] }} = node.badges.map(one => one()).find(one => one.words)
        const {{ scale, offset }} = app.canvas.ds
        const at = (value, axis) => (value + node.pos[axis] + offset[axis]) * scale
        const box = app.canvas.canvas.getBoundingClientRect()
        return [box.x + at(x + width / 2, 0), box.y + at(y + height / 2, 1), height * scale]
    }}""")
    assert height == pytest.approx(20, abs=0.5)
    node_page.browser_page.mouse.click(x, y)
    node_page.browser_page.locator(".sagekit-panel").wait_for()
    node_page.browser_page.evaluate("() => { app.extensionManager.sidebarTab.activeSidebarTabId = null }")
    node_page.browser_page.evaluate("() => { app.canvas.ds.changeScale(1, [600, 400]) }")


def test_the_node_of_a_subgraph_has_the_badge_of_what_is_in_it(node_page, tmp_path):
    outer, inner = in_a_subgraph(node_page)
    show(node_page, node_id=f"{outer}:{inner}", badge=GAIN)
    node_page.wait_for("outer.badges.some(one => one.call && one().words === '1.25x')")
    assert GAIN in drawn(node_page)
    node_page.screenshot(tmp_path / "subgraph.png")
    node_page.browser_page.evaluate("() => { outer.mode = 4 }")
    node_page.browser_page.evaluate("() => app.api.dispatchCustomEvent('graphChanged')")
    assert GAIN not in drawn(node_page)


def test_of_nodes_in_one_subgraph_the_one_that_is_busy_is_told(node_page):
    node_page.browser_page.evaluate(f"""() => {{
        const other = LiteGraph.createNode("PatchFP16Accumulation")
        app.graph.add(other)
        const {{ node }} = app.graph.convertToSubgraph(new Set([{NODE}, other]))
        window.outer = node
    }}""")
    ids = node_page.browser_page.evaluate(
        "() => Object.fromEntries(outer.subgraph.nodes.map(one => [one.type, `${outer.id}:${one.id}`]))"
    )
    warned = {"warnings": [web_answers.warning()], "badge": ""}
    show(
        node_page,
        node_id=ids["PatchFP16Accumulation"],
        node_type="PatchFP16Accumulation",
        **warned,
    )
    show(node_page, node_id=ids["PatchSageAttention"], badge=GAIN)
    node_page.wait_for("outer.badges.some(one => one.call && one().words === '⚠')")
    show(node_page, node_id=ids["PatchSageAttention"], badge="7/20", busy=True, time=2e9)
    node_page.wait_for("outer.badges.some(one => one.call && one().words === '7/20')")


def test_where_vue_draws_collapsed_nodes_and_subgraphs_have_a_button_at_their_title(node_page, tmp_path):
    draw_by_vue(node_page)
    tell(node_page).wait_for()
    badge = node_page.browser_page.locator(BADGE)
    assert badge.count() == 0
    node_page.browser_page.evaluate(f"() => app.canvas.select({NODE})")
    node_page.browser_page.evaluate(COLLAPSE)
    node_page.browser_page.evaluate("() => app.api.dispatchCustomEvent('graphChanged')")
    badge.filter(has_text=GAIN).wait_for()
    node_page.screenshot(tmp_path / "vue_collapsed.png")
    badge.click()
    node_page.browser_page.locator(".sagekit-panel").wait_for()
    node_page.browser_page.evaluate("() => { app.extensionManager.sidebarTab.activeSidebarTabId = null }")
    node_page.browser_page.evaluate(COLLAPSE)
    node_page.browser_page.evaluate("() => app.api.dispatchCustomEvent('graphChanged')")
    badge.wait_for(state="detached")
    outer, inner = in_a_subgraph(node_page)
    show(node_page, node_id=f"{outer}:{inner}", badge=GAIN, time=2e9)
    node_page.browser_page.locator(f"[data-node-id='{outer}'] > {BADGE}", has_text=GAIN).wait_for()
    node_page.screenshot(tmp_path / "vue_subgraph.png")


def test_the_kernel_check_and_a_node_that_is_left_out(node_page):
    check(node_page, 7, 23)
    node_page.browser_page.locator(LINE).wait_for()
    node_page.browser_page.evaluate(COLLAPSE)
    assert "check 7/23" in drawn(node_page)
    check(node_page, 0, 0)
    tell(node_page)
    node_page.wait_for(f"{NODE}.badges.some(one => one.call && one().words === '1.25x')")
    node_page.browser_page.evaluate(f"() => {{ {NODE}.mode = 4 }}")
    node_page.browser_page.evaluate("() => app.api.dispatchCustomEvent('graphChanged')")
    assert GAIN not in drawn(node_page)
