"""A pack of somebody else whose nodes have the ids of ours."""

from pathlib import Path

FORMS = {
    "by mappings": """
class Theirs:
    RETURN_TYPES = ("MODEL",)
    FUNCTION = "patch"
    CATEGORY = "theirs"

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"model": ("MODEL",), "sage_attention": (["disabled", "enabled"],)}}

    def patch(self, model, sage_attention):
        return (model,)


NODE_CLASS_MAPPINGS = {node_id: Theirs for node_id in IDS}
NODE_DISPLAY_NAME_MAPPINGS = {node_id: "Their node" for node_id in IDS}
""",
    "by entrypoint": """
from comfy_api.latest import ComfyExtension, io


def node(node_id):
    class Theirs(io.ComfyNode):
        @classmethod
        def define_schema(cls):
            model, choices = io.Model.Input("model"), ["disabled", "enabled"]
            return io.Schema(
                node_id=node_id,
                display_name="Their node",
                category="theirs",
                inputs=[model, io.Combo.Input("sage_attention", options=choices)],
                outputs=[io.Model.Output()],
            )

        @classmethod
        def execute(cls, model, sage_attention):
            return io.NodeOutput(model)

    return Theirs


class Extension(ComfyExtension):
    async def get_node_list(self):
        return [node(node_id) for node_id in IDS]


async def comfy_entrypoint():
    return Extension()
""",
}
WHEN = """
import logging
import sys

there = any(name.replace("\\\\", "/").endswith("/custom_nodes/sagekit") for name in sys.modules)
logging.info("the other pack is loaded %s SageKit", "after" if there else "before")
"""
# The host loads packs in the order in which the disk lists them, which differs from disk to disk.
SORTED = """
import os

listdir = os.listdir
os.listdir = lambda *args: sorted(listdir(*args))
"""


def write(base: Path, name: str, form: str, ids: tuple[str, ...]) -> None:
    """Puts the pack beside ours in a base directory."""
    folder = base / "custom_nodes" / name
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(f"IDS = {ids!r}\n{WHEN}{FORMS[form]}", encoding="utf-8")


def in_order_of_names(folder: Path) -> dict[str, str]:
    """What the environment of a server must hold that loads packs by their names, from A to z."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(SORTED, encoding="utf-8")
    return {"PYTHONPATH": str(folder)}
