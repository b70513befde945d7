"""The node of the demo workflow in a page: what tests of its line, badge and cards do with it."""

from . import web_answers

LINE = ".sagekit-line"
NODE = f"app.graph.getNodeById({web_answers.NODE})"
# Opened as a workflow of its own, so that what was said before is about another.
OPEN_ANEW = """async () => {
    window.demo ??= app.graph.serialize()
    await app.loadGraphData({ ...structuredClone(window.demo), id: crypto.randomUUID() })
}"""


def serialised(page) -> str:
    return page.browser_page.evaluate("() => JSON.stringify(app.graph.serialize())")


def prompt(page) -> str:
    return page.browser_page.evaluate("async () => JSON.stringify((await app.graphToPrompt()).output)")


def show(page, **more):
    workflow = page.browser_page.evaluate("() => app.graph.id")
    page.tell("sagekit.node", web_answers.message(**{"workflow": workflow, **more}))
    return page.browser_page.locator(LINE)


def draw_by_vue(page) -> None:
    page.set("Comfy.VueNodes.Enabled", True)
    page.browser_page.wait_for_timeout(1000)


def in_a_subgraph(page) -> tuple[str, str]:
    """Puts the node into a subgraph; the ids of the subgraph's node and of the node in it."""
    page.browser_page.evaluate(
        f"""() => {{
            const {{ node }} = app.graph.convertToSubgraph(new Set([{NODE}]))
            window.outer = node
        }}"""
    )
    return tuple(page.browser_page.evaluate("() => [String(outer.id), String(outer.subgraph.nodes[0].id)]"))


def check(page, number: int, count: int) -> None:
    page.tell("sagekit.check", web_answers.checking(number, count)["check"])
