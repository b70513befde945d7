"""Draws the thumbnails of the example workflows: each one as ComfyUI's own page shows it.

    <the host's Python> -m dev.thumbnails

Needs a ComfyUI, playwright, Pillow and a Chromium.
"""

import io
import json
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from . import PACK, packages, say

base_directory, host, page, server = (
    packages.support(name) for name in ("base_directory", "host", "page", "server")
)

WORKFLOWS = sorted((PACK / "example_workflows").glob("*.json"))
WIDTH, QUALITY, MARGIN = 640, 80, 16
ALONE = "body * { visibility: hidden } canvas, .dom-widget, .dom-widget * { visibility: visible !important }"
STYLE = (
    "rule => { const all = new CSSStyleSheet(); all.replaceSync(rule); document.adoptedStyleSheets = [all] }"
)
LOAD = "async file => window.app.loadGraphData(await (await fetch(file)).json())"
FRAME = """() => {
    const { offset, scale } = window.app.canvas.ds;
    const { nodes, groups } = window.app.graph;
    const boxes = [...nodes, ...groups].map(one => one.boundingRect ?? one.bounding);
    const [left, top] = [0, 1].map(side => Math.min(...boxes.map(box => box[side])));
    const [right, bottom] = [0, 1].map(side => Math.max(...boxes.map(box => box[side] + box[side + 2])));
    const place = (value, side) => (value + offset[side]) * scale;
    return [place(left, 0), place(top, 1), place(right, 0), place(bottom, 1)];
}"""


def with_models(base: Path) -> Path:
    """Empty files with the names of the models, so that the page marks none as missing."""
    for workflow in WORKFLOWS:
        for node in json.loads(workflow.read_text(encoding="utf-8"))["nodes"]:
            for model in node["properties"].get("models", []):
                (base / "models" / model["directory"]).mkdir(parents=True, exist_ok=True)
                (base / "models" / model["directory"] / model["name"]).touch()
    return base


def draw(browser, url: str, name: str) -> Image.Image:
    """The graph of one example, cut out of the page."""
    opened = page.Page(browser, url)
    opened.browser_page.evaluate(LOAD, f"/api/workflow_templates/{base_directory.PACK_FOLDER}/{name}.json")
    opened.wait_for("app.graph.nodes.some(node => node.type === 'PatchSageAttention')")
    opened.browser_page.evaluate(STYLE, ALONE)
    # Where a pixel of the page is less than half a unit of the graph, the host leaves out all text.
    opened.browser_page.set_viewport_size({"width": 2600, "height": 1500})
    opened.browser_page.wait_for_timeout(500)
    opened.browser_page.evaluate("() => window.app.extensionManager.command.execute('Comfy.Canvas.FitView')")
    opened.browser_page.wait_for_timeout(2000)
    left, top, right, bottom = opened.browser_page.evaluate(FRAME)
    whole = Image.open(io.BytesIO(opened.browser_page.screenshot()))
    opened.close()
    return whole.crop((left - MARGIN, top - MARGIN, right + MARGIN, bottom + MARGIN)).convert("RGB")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        base = with_models(base_directory.prepare(Path(folder)))
        with server.running(host.find().folder, base) as running:
            browser = page.launch(playwright)
            for workflow in WORKFLOWS:
                picture = draw(browser, running.url, workflow.stem)
                height = round(picture.height * WIDTH / picture.width)
                file = workflow.with_suffix(".jpg")
                picture.resize((WIDTH, height), Image.LANCZOS).save(file, quality=QUALITY, optimize=True)
                say(f"{file.name}: {WIDTH} x {height}, {file.stat().st_size:,} bytes")
            browser.close()


if __name__ == "__main__":
    sys.exit(main())
