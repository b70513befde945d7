"""A workflow saved with our nodes, opened where another pack has their id: put right with one click."""

import pytest
from support import other_pack
from support.page import Page

SAGE, OWN_SAGE = "PatchSageAttention", "SageKitPatchSageAttention"
VALUES = ["sdpa-flash", "fast", 0.25, 0.75, 3, 4]

# Three loaders, each with a node of ours behind it and a consumer behind that; the third one in a subgraph.
MAKE = """
([type, values]) => {
  app.graph.clear();
  for (const row of [0, 1, 2]) {
    const nodes = ["UNETLoader", type, "ModelSamplingAuraFlow"].map((one, column) => {
      const node = LiteGraph.createNode(one);
      node.pos = [column * 450, row * 400];
      app.graph.add(node);
      return node;
    });
    nodes[0].connect(0, nodes[1], 0);
    nodes[1].connect(0, nodes[2], 0);
    nodes[1].title = `ours ${row}`;
    values.forEach((value, index) => { nodes[1].widgets[index].value = value; });
    if (row === 1) nodes[1].mode = 4;
    if (row === 2) app.graph.convertToSubgraph(new Set([nodes[1]]));
  }
  return JSON.parse(JSON.stringify(app.graph.serialize()));
}
"""
# What is there of our nodes: type, title, mode, values, whence the model comes and where it goes.
FOUND = """
types => {
  const root = app.rootGraph ?? app.graph;
  const graphs = [root, ...root.nodes.filter(node => node.subgraph).map(node => node.subgraph)];
  const name = (graph, id) => graph.getNodeById(id)?.type ?? "subgraph";
  return graphs.flatMap(graph => graph.nodes.filter(node => types.includes(node.type)).map(node => {
    const into = graph.links.get(node.inputs.find(one => one.name === "model").link);
    const out = (node.outputs[0].links ?? []).map(id => graph.links.get(id));
    return {
      type: node.type,
      title: node.title,
      mode: node.mode,
      values: node.widgets.filter(one => one.name !== "sagekit_line").map(one => one.value),
      from: name(graph, into?.origin_id),
      to: out.map(link => name(graph, link.target_id)),
      sockets: node.inputs.map(one => one.name),
      slot: into?.target_slot,
    };
  }));
}
"""


@pytest.fixture(scope="module")
def saved(browser, plain) -> dict:
    """A workflow as the page saves it where the id is ours."""
    page = Page(browser, plain.url)
    workflow = page.browser_page.evaluate(MAKE, [SAGE, VALUES])
    page.close()
    return workflow


@pytest.fixture(scope="module")
def server(start, tmp_path_factory):
    folder = tmp_path_factory.mktemp("beside")
    other_pack.write(folder / "base", "the_other_pack", "by mappings", (SAGE,))
    with start(base=folder / "base") as running:
        yield running


@pytest.fixture
def page(browser, server, saved):
    opened = Page(browser, server.url)
    opened.browser_page.evaluate("saved => app.loadGraphData(saved)", saved)
    opened.wait_for(f"app.graph.nodes.some(node => node.type === '{SAGE}')")
    yield opened
    opened.close()


def found(page) -> list[dict]:
    return page.browser_page.evaluate(FOUND, [SAGE, OWN_SAGE])


def test_a_notice_tells_of_the_workflow_and_the_panel_puts_our_nodes_back(page):
    toast = page.browser_page.locator(".p-toast-message", has_text="saved as SageKit's")
    toast.wait_for()
    assert "the_other_pack here: 3" in toast.inner_text()
    assert [one["type"] for one in found(page)] == [SAGE] * 3
    page.browser_page.evaluate("() => { app.extensionManager.sidebarTab.activeSidebarTabId = 'sagekit' }")
    section = page.browser_page.locator("[data-section=ids]")
    section.get_by_role("button").click()
    page.wait_for(f"app.graph.nodes.some(node => node.type === '{OWN_SAGE}')")
    inside = {"type": OWN_SAGE, "values": VALUES, "slot": 0}
    names = ["model", "kernel", "quality", "start_percent", "end_percent"]
    names += ["exact_first_blocks", "exact_last_blocks"]
    consumer = {"from": "UNETLoader", "to": ["ModelSamplingAuraFlow"]}
    expected = [
        {"title": "ours 0", "mode": 0, **consumer},
        {"title": "ours 1", "mode": 4, **consumer},
        {"title": "ours 2", "mode": 0, "from": "subgraph", "to": ["subgraph"]},
    ]
    assert found(page) == [{**one, **inside, "sockets": names} for one in expected]
    section.get_by_text("No node of this workflow").wait_for()
    # One step back, and forth again.
    tracker = "app.extensionManager.workflow.activeWorkflow"
    assert page.browser_page.evaluate(f"() => {tracker}.isModified")
    page.browser_page.evaluate(f"() => {tracker}.changeTracker.undo()")
    assert [one["type"] for one in found(page)] == [SAGE] * 3
    page.browser_page.evaluate(f"() => {tracker}.changeTracker.redo()")
    assert [one["values"] for one in found(page)] == [VALUES] * 3


def test_a_node_that_the_other_pack_saved_stays_its_own(page):
    page.browser_page.evaluate(
        """type => {
          const node = LiteGraph.createNode(type);
          node.title = "theirs";
          app.graph.add(node);
        }""",
        SAGE,
    )
    page.browser_page.evaluate("() => app.extensionManager.command.execute('SageKit.UseOwnNodes')")
    page.wait_for(f"app.graph.nodes.some(node => node.type === '{OWN_SAGE}')")
    types = page.browser_page.evaluate("() => app.graph.nodes.map(node => [node.title, node.type])")
    assert ["theirs", SAGE] in types and ["ours 0", OWN_SAGE] in types


def test_values_come_back_even_after_the_other_class_has_saved_its_own(page):
    """As when one goes to another workflow and back."""
    page.browser_page.evaluate(
        "() => app.loadGraphData(JSON.parse(JSON.stringify((app.rootGraph ?? app.graph).serialize())))"
    )
    page.browser_page.evaluate("() => app.extensionManager.command.execute('SageKit.UseOwnNodes')")
    page.wait_for(f"app.graph.nodes.some(node => node.type === '{OWN_SAGE}')")
    assert [one["values"] for one in found(page)] == [VALUES] * 3


def test_the_search_offers_the_second_id_only_where_the_first_is_not_ours(page, browser, plain):
    beside = page.search("patch sage attention")
    assert any("(SageKit)" in one for one in beside)
    other = Page(browser, plain.url)
    other.browser_page.evaluate(MAKE, [SAGE, VALUES])
    alone = other.search("patch sage attention")
    assert alone and not any("(SageKit)" in one for one in alone)
    other.close()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_second_id_has_the_texts_of_the_first(browser, plain, language):
    page = Page(browser, plain.url)
    page.set("Comfy.Locale", language)
    page.reload()
    page.browser_page.evaluate(MAKE, [OWN_SAGE, VALUES])
    texts = """
    type => {
      const node = LiteGraph.createNode(type);
      const names = node.inputs.map(one => one.localized_name);
      return [node.title, ...node.widgets.map(one => one.tooltip), ...names];
    }
    """
    first, second = (page.browser_page.evaluate(texts, one) for one in (SAGE, OWN_SAGE))
    page.set("Comfy.Locale", "en")
    page.close()
    assert [f"{first[0]} (SageKit)", *first[1:]] == second
