"""The page with inputs that a prompt may leave out: what a user sees of them is as if they were required."""

import pytest
from support.page import Page

ORDERS = {
    "PatchSageAttention": [
        "kernel",
        "quality",
        "start_percent",
        "end_percent",
        "exact_first_blocks",
        "exact_last_blocks",
    ],
    "PatchTorchCompile": ["compile", "dynamic", "backend", "mode", "fullgraph", "cache"],
    "PatchFP16Accumulation": ["enabled"],
}
# As a workflow keeps them: by place, not by name.
SAVED = {
    "PatchSageAttention": ["sdpa-flash", "fast", 0.25, 0.75, 3, 4],
    "PatchTorchCompile": ["whole model", "true", "eager", "max-autotune-no-cudagraphs", True, False],
    "PatchFP16Accumulation": [False],
}
MAKE = """
async ([type, values]) => {
  app.graph.clear();
  const [loader, node] = ["UNETLoader", type].map(one => LiteGraph.createNode(one));
  [loader, node].forEach(one => app.graph.add(one));
  loader.connect(0, node, 0);
  const saved = JSON.parse(JSON.stringify(app.graph.serialize()));
  saved.nodes.find(one => one.type === type).widgets_values = values;
  await app.loadGraphData(saved);
  const made = app.graph.nodes.find(one => one.type === type);
  const shown = made.widgets.filter(one => one.name !== "sagekit_line");
  const prompt = (await app.graphToPrompt()).output;
  return {
    names: shown.map(one => one.name),
    values: shown.map(one => one.value),
    prompt: Object.values(prompt).find(one => one.class_type === type).inputs,
  };
}
"""


@pytest.fixture(scope="module")
def page(browser, plain):
    opened = Page(browser, plain.url)
    yield opened
    opened.close()


@pytest.mark.parametrize("kind", ORDERS)
@pytest.mark.parametrize("prefix", ["", "SageKit"])
def test_the_widgets_keep_their_order_and_a_saved_workflow_its_values(page, kind, prefix):
    found = page.browser_page.evaluate(MAKE, [prefix + kind, SAVED[kind]])
    assert found["names"] == ORDERS[kind] and found["values"] == SAVED[kind]
    inputs = found["prompt"]
    assert isinstance(inputs.pop("model"), list)
    assert inputs == dict(zip(ORDERS[kind], SAVED[kind], strict=True))
