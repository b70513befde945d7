"""Workflows saved with KJNodes' nodes, opened without KJNodes: the page with ours in their places."""

import pytest
from support.page import Page

SAGE, COMPILE, TORCH = "PathchSageAttentionKJ", "TorchCompileModelAdvanced", "ModelPatchTorchSettings"
# Each as KJNodes' page saves it: its id, the values of its widgets, its size.
SAVED = (
    (SAGE, ["sageattn_qk_int8_pv_fp8_cuda", False], [270, 82]),
    (SAGE, ["disabled"], [600, 400]),
    (COMPILE, ["cudagraphs", False, "reduce-overhead", False, False, 64, False, False], [340, 500]),
    (COMPILE, ["inductor", True, "max-autotune", "auto", True, 64, False], [320, 250]),
    ("TorchCompileModelWanVideoV2", ["inductor", False, "default", True, True, 64], [320, 178]),
    ("TorchCompileModelWanVideo", ["inductor", False, "default", False, 64, True], [320, 178]),
    (TORCH, [True], [270, 200]),
    ("PatchFlashAttentionKJ", [True], [270, 58]),
    ("LTX2MemoryEfficientSageAttentionPatch", [True], [300, 58]),
    ("WanVideoMemoryEfficientSageAttentionPatch", [], [300, 26]),
    ("MiniMaxH3MemoryEfficientSageAttentionPatch", [], [300, 26]),
)
BALANCED = {"quality": "balanced", "start_percent": 0, "end_percent": 1}
BALANCED |= {"exact_first_blocks": 0, "exact_last_blocks": 0}
COMPILED = {"backend": "inductor", "mode": "default", "fullgraph": False, "cache": True}
AUTOTUNED = {"mode": "max-autotune-no-cudagraphs", "fullgraph": True}
SHOWN = (
    ("PatchSageAttention", {"kernel": "sage2-int8-fp8", **BALANCED}),
    ("PatchSageAttention", {"kernel": "off", **BALANCED}),
    ("PatchTorchCompile", {"compile": "whole model", "dynamic": "false", **COMPILED}),
    ("PatchTorchCompile", {"compile": "blocks", "dynamic": "auto", **COMPILED, **AUTOTUNED}),
    ("PatchTorchCompile", {"compile": "blocks", "dynamic": "true", **COMPILED}),
    ("PatchTorchCompile", {"compile": "blocks", "dynamic": "auto", **COMPILED}),
    ("PatchFP16Accumulation", {"enabled": True}),
    ("PatchSageAttention", {"kernel": "auto", **BALANCED, "quality": "exact"}),
    ("PatchSageAttention", {"kernel": "auto", **BALANCED}),
    ("PatchSageAttention", {"kernel": "auto", **BALANCED}),
    ("PatchSageAttention", {"kernel": "auto", **BALANCED}),
)
# Of each node but the loader: what it is and shows, and its height beside the one of a new node of its kind.
FOUND = """
() => app.graph.nodes.filter(node => node.id != 1).sort((a, b) => a.id - b.id).map(node => ({
  type: node.type,
  values: Object.fromEntries((node.widgets ?? []).map(one => [one.name, one.value])),
  invalid: (node.widgets ?? []).filter(one => one.type === "combo" && !one.options.values.includes(one.value))
    .map(one => one.name),
  size: [...node.size],
  wanted: node.computeSize()[1],
  owner: ["cnr_id", "aux_id", "ver"].filter(name => name in node.properties),
  from: app.graph.links.get(node.inputs.find(one => one.name === "model").link)?.origin_id,
}))
"""


# Under Vue: the height of each node of ours, and the one that what is in it needs.
NATURAL_HEIGHTS = """
() => app.graph.nodes.filter(node => node.id != 1).map(node => {
  const element = document.querySelector(`[data-node-id="${node.id}"]`);
  const height = element.offsetHeight;
  const style = element.getAttribute("style");
  element.style.setProperty("--node-height", "0px");
  element.style.height = element.style.minHeight = "";
  const natural = element.offsetHeight;
  element.setAttribute("style", style);
  return [`${node.id} ${style}`, height, natural];
})
"""


def workflow(*saved: tuple[str, list, list]) -> dict:
    """A loader and the saved nodes behind it in a row, in the format that the page saves."""
    model = {"name": "MODEL", "type": "MODEL"}
    loader = {
        "id": 1,
        "type": "UNETLoader",
        "pos": [0, 0],
        "size": [300, 100],
        "inputs": [],
        "outputs": [{**model, "links": [1]}],
        "widgets_values": ["tiny-wan2.1-t2v.safetensors", "default"],
    }
    nodes = [
        {
            "id": number,
            "type": kind,
            "pos": [(number - 1) * 50, number * 600],
            "size": size,
            "order": number,
            "inputs": [{"name": "model", "type": "MODEL", "link": number - 1}],
            "outputs": [{**model, "links": [number] if number <= len(saved) else []}],
            "properties": {"cnr_id": "comfyui-kjnodes", "ver": "1.2.3", "Node name for S&R": kind},
            "widgets_values": values,
        }
        for number, (kind, values, size) in enumerate(saved, start=2)
    ]
    common = {"flags": {}, "mode": 0, "order": 0, "properties": {}}
    return {
        "last_node_id": len(nodes) + 1,
        "last_link_id": len(nodes),
        "nodes": [{**common, **one} for one in (loader, *nodes)],
        "links": [[number, number, 0, number + 1, 0, "MODEL"] for number in range(1, len(nodes) + 1)],
        "groups": [],
        "version": 0.4,
    }


@pytest.fixture(params=["canvas", "vue"])
def page(request, browser, replacing):
    opened = Page(browser, replacing.url)
    opened.set("Comfy.VueNodes.Enabled", request.param == "vue")
    opened.browser_page.wait_for_timeout(500)
    opened.drawn_by = request.param
    yield opened
    opened.set("Comfy.VueNodes.Enabled", False)
    opened.close()


def load(page, saved: dict, kind: str) -> None:
    page.browser_page.evaluate("saved => app.loadGraphData(saved)", saved)
    page.wait_for(f"app.graph.nodes.some(node => node.type === '{kind}')")


def replace(page) -> None:
    page.browser_page.get_by_role("button", name="View details").click()
    page.browser_page.get_by_role("button", name="Replace All").first.click()
    page.wait_for(
        "app.graph.nodes.every(node => node.type === 'UNETLoader' || node.type.startsWith('Patch'))"
    )
    page.browser_page.wait_for_timeout(1000)


def found(page) -> list[dict]:
    return page.browser_page.evaluate(FOUND)


def test_our_nodes_show_values_of_ours_at_their_own_height(page):
    load(page, workflow(*SAVED), SAGE)
    replace(page)
    nodes = found(page)
    assert [(one["type"], one["values"]) for one in nodes] == list(SHOWN)
    assert [int(one["from"]) for one in nodes] == list(range(1, len(SAVED) + 1))
    assert [one["invalid"] for one in nodes] == [[]] * len(SAVED)
    # None is said to be of KJNodes, where somebody who lacks ours would look for it.
    assert [one["owner"] for one in nodes] == [[]] * len(SAVED)
    assert [one["size"][0] for one in nodes] == [size[0] for _, _, size in SAVED]
    if page.drawn_by == "canvas":
        assert [one["size"][1] for one in nodes] == [one["wanted"] for one in nodes]
        return
    for name, height, natural in page.browser_page.evaluate(NATURAL_HEIGHTS):
        assert height == pytest.approx(natural, abs=1), name


def test_one_undo_brings_the_other_packs_nodes_back_and_one_redo_ours(page):
    load(page, workflow(SAVED[2]), COMPILE)
    replace(page)
    ours = found(page)
    page.browser_page.evaluate("() => app.extensionManager.command.execute('Comfy.Undo')")
    page.wait_for(f"app.graph.nodes.some(node => node.type === '{COMPILE}')")
    page.browser_page.evaluate("() => app.extensionManager.command.execute('Comfy.Redo')")
    page.wait_for("app.graph.nodes.some(node => node.type === 'PatchTorchCompile')")
    again = found(page)
    if page.drawn_by == "vue":
        # It opens a workflow with the height of the canvas.
        again[0]["size"] = ours[0]["size"]
    assert again == ours


def test_a_notice_says_what_runs_in_place_of_cuda_graphs(page):
    load(page, workflow(SAVED[2]), COMPILE)
    replace(page)
    for value, runs in (("cudagraphs", "inductor"), ("reduce-overhead", "default")):
        words = f"CUDA graphs are not used: {value} became {runs}"
        page.browser_page.locator(".p-toast-message", has_text=words).wait_for()


def test_ours_that_was_saved_with_values_of_the_other_pack_shows_ours_and_keeps_its_size(page):
    values = ["sageattn3", "fast", 0.25, 0.75, 3, 4]
    load(page, workflow(("PatchSageAttention", values, [500, 400])), "PatchSageAttention")
    page.browser_page.wait_for_timeout(1000)
    (node,) = found(page)
    assert list(node["values"].values()) == ["sage3-fp4", *values[1:]]
    assert (node["size"], node["owner"]) == ([500, 400], ["cnr_id", "ver"])


def test_a_new_node_and_one_that_is_edited_keep_the_size_they_were_given(page):
    size = page.browser_page.evaluate(
        """async () => {
          app.graph.clear();
          const node = LiteGraph.createNode("PatchSageAttention");
          node.size = [450, 420];
          app.graph.add(node);
          await new Promise(resolve => setTimeout(resolve, 500));
          node.widgets[0].value = "off";
          node.widgets[0].callback("off");
          return [...node.size];
        }"""
    )
    assert size == [450, 420]
