"""Room for the line: a new node has it from the start, and no node covers another for it."""

import pytest
from support.web_node import NODE, draw_by_vue, serialised, show

# Another node right below, as near as nodes are put.
BELOW = f"""vue => {{
    {NODE}.setSize([{NODE}.size[0], vue ? 60 : {NODE}.computeSize()[1]])
    return new Promise(done => setTimeout(() => {{
        const other = LiteGraph.createNode("KSampler")
        other.pos = [{NODE}.pos[0] + 20, {NODE}.pos[1] + {NODE}.size[1] + 35]
        app.graph.add(other)
        window.other = other
        setTimeout(done, 300)
    }}, 300))
}}"""
BADGE = f"{NODE}.badges.some(one => one.call && one().words === '1.25x')"


def test_a_new_node_is_as_high_with_its_line_as_without(node_page):
    id = node_page.browser_page.evaluate("""() => {
        const node = LiteGraph.createNode("PatchTorchCompile")
        node.pos = [900, 700]
        app.graph.add(node)
        window.made = node
        return String(node.id)
    }""")
    before, height = serialised(node_page), node_page.browser_page.evaluate("() => made.size[1]")
    line = show(node_page, node_id=id, node_type="PatchTorchCompile")
    line.wait_for()
    node_page.browser_page.wait_for_timeout(200)
    assert node_page.browser_page.evaluate("() => made.size[1]") == height
    assert serialised(node_page) == before
    inside = line.evaluate("""element => {
        const { bottom } = element.getBoundingClientRect()
        const { scale, offset } = app.canvas.ds
        const canvas = app.canvas.canvas.getBoundingClientRect()
        return bottom <= canvas.y + (made.pos[1] + made.size[1] + offset[1]) * scale + 1
    }""")
    assert inside


@pytest.mark.parametrize("vue", [False, True], ids=["on the canvas", "drawn by Vue"])
def test_a_line_that_would_make_its_node_cover_another_is_a_badge_until_there_is_room(
    node_page, vue, tmp_path
):
    if vue:
        draw_by_vue(node_page)
    node_page.browser_page.evaluate(BELOW, vue)
    before, height = serialised(node_page), node_page.browser_page.evaluate(f"() => {NODE}.size[1]")
    line = show(node_page)
    if vue:
        node_page.browser_page.locator(".sagekit-badge", has_text="1.25x").wait_for()
    else:
        node_page.wait_for(BADGE)
    line.wait_for(state="detached")
    node_page.wait_for(f"Math.abs({NODE}.size[1] - {height}) < 1")
    node_page.screenshot(tmp_path / "no_room.png")
    assert serialised(node_page) == before
    # Again with each message, and on the node when the other is out of the way.
    show(node_page, time=2e9)
    node_page.browser_page.wait_for_timeout(300)
    assert line.count() == 0
    node_page.browser_page.evaluate("() => { other.pos = [other.pos[0], other.pos[1] + 300] }")
    node_page.browser_page.evaluate("() => app.api.dispatchCustomEvent('graphChanged')")
    line.wait_for()
    node_page.wait_for(f"{NODE}.size[1] > {height}")
    node_page.wait_for("!document.querySelector('.sagekit-badge')" if vue else f"!({BADGE})")


def test_a_line_without_a_badge_is_cut_where_it_has_no_room(node_page):
    node_page.browser_page.evaluate(BELOW, False)
    show(node_page, badge="", line="ComfyUI 320")
    node_page.wait_for(f"{NODE}.badges.some(one => one.call && one().words === 'ComfyUI 320')")
    show(node_page, badge="", line="not compiled " * 5, time=2e9)
    node_page.wait_for(f"{NODE}.badges.some(one => one.call && one().words?.endsWith('…'))")
