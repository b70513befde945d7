"""A base directory for a ComfyUI that is not ours to change: its own models, nodes, output and users."""

import json
import os
import shutil
from pathlib import Path

SUPPORT = Path(__file__).resolve().parent
PACK = SUPPORT.parent.parent
DEMO_NODES = SUPPORT / "demo_nodes"
DEMO_WORKFLOW = DEMO_NODES / "example_workflows" / "sagekit-demo.json"

PACK_FOLDER = "sagekit"
DEMO_FOLDER = "sagekit_demo"


def link(folder: Path, target: Path) -> None:
    """Makes `folder` lead to `target`, without administrator rights on Windows too."""
    if os.path.lexists(folder):
        if folder.resolve() == target.resolve():
            return
        unlink(folder)
    if os.name == "nt":
        # A symbolic link needs a privilege that users lack; a junction does not.
        import _winapi

        _winapi.CreateJunction(str(target), str(folder))
    else:
        folder.symlink_to(target, target_is_directory=True)


def unlink(folder: Path) -> None:
    """Removes a link and never what it leads to."""
    if folder.is_symlink():
        folder.unlink()
    else:
        # Removes a junction; fails on a real folder that is not empty, which is then not ours.
        folder.rmdir()


def prepare(base: Path, pack: Path | None = PACK) -> Path:
    """Lays out a base directory with the demo nodes, the demo workflow and, if given, the pack."""
    for name in ("custom_nodes", "models", "input", "output", "user/default/workflows"):
        (base / name).mkdir(parents=True, exist_ok=True)
    link(base / "custom_nodes" / DEMO_FOLDER, DEMO_NODES)
    if pack is not None:
        link(base / "custom_nodes" / PACK_FOLDER, pack)
    saved = base / "user" / "default" / "workflows" / DEMO_WORKFLOW.name
    if not saved.exists():
        shutil.copy(DEMO_WORKFLOW, saved)
    settings = base / "user" / "default" / "comfy.settings.json"
    if not settings.exists():
        # Without it the first visit opens the host's template browser over the workflow.
        settings.write_text(json.dumps({"Comfy.TutorialCompleted": True}), encoding="utf-8")
    return base


def arguments(base: Path) -> list[str]:
    """The host's options that keep all it writes inside the base directory."""
    database = (base / "user" / "comfyui.db").as_posix()
    return ["--base-directory", str(base), "--database-url", f"sqlite:///{database}"]
