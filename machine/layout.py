"""Where a ComfyUI has its code, and where its user's things: with --base-directory or Desktop elsewhere."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from . import json_file

# Beside the verdicts: what a server says of its folders where the pack's own place does not tell them.
FILE_NAME, VERDICTS = "server.json", "verdicts.json"


@dataclass(frozen=True)
class Layout:
    """The folders of one ComfyUI. What is not known is None.

    Attributes:
        comfyui: ComfyUI's own folder, where main.py is.
        base: The folder with custom_nodes and models: the same one, or what --base-directory names.
        user: The user folder: "user" in the base, or what --user-directory names.
        told: A server that ran said so; else it is what the pack's own place tells.
    """

    comfyui: Path | None = None
    base: Path | None = None
    user: Path | None = None
    told: bool = False

    @property
    def kept(self) -> Path | None:
        """Where this pack keeps what it found."""
        return self.user / "sagekit" if self.user else None

    @property
    def verdicts(self) -> Path | None:
        """The file of verdicts, for a server and for a check by hand."""
        return self.kept / VERDICTS if self.kept else None

    @property
    def arguments(self) -> tuple[str, ...]:
        """ComfyUI's launch options for this layout, none for the usual one."""
        found: list[str] = []
        if self.base and self.base != self.comfyui:
            found += ["--base-directory", str(self.base)]
        if self.base and self.user and self.user != self.base / "user":
            found += ["--user-directory", str(self.user)]
        return tuple(found)


def around(packs: Iterable[Path]) -> Layout:
    """The layout of the ComfyUI whose custom_nodes one of these folders of the pack lies in.

    Args:
        packs: This pack's folder, as it was started and as it is: one of them may be a link.
    """
    for pack in packs:
        base = pack.parent.parent
        if pack.parent.name != "custom_nodes":
            continue
        found = _by_place(base)
        if found.user is not None:
            return _told(base) or found
    return Layout()


def tell(layout: Layout, pack: Path) -> str:
    """Writes down a server's folders where the pack's place does not tell them, else takes the note away.

    Returns what went wrong in the system's words, "" if nothing. A check by hand is started with the pack's
    path alone, and cannot know --user-directory, nor where main.py is beside a --base-directory.
    """
    base = pack.parent.parent
    if layout.base is None or not _same(base, layout.base):
        # custom_nodes named in extra_model_paths.yaml: the folder around it is not ComfyUI's to write to.
        return ""
    file = base / "user" / "sagekit" / FILE_NAME
    usual = _by_place(base)
    if _same(usual.comfyui, layout.comfyui) and _same(base / "user", layout.user):
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            return error.strerror or str(error)
        return ""
    data = {"comfyui": str(layout.comfyui), "user": str(layout.user)}
    return "" if json_file.read(file, "")[0] == data else json_file.write(file, data)


def _by_place(base: Path) -> Layout:
    has_main = (base / "main.py").is_file()
    # Only main.py or a user folder says that a ComfyUI keeps its things here, and not just custom_nodes.
    if not has_main and not (base / "user").is_dir():
        return Layout()
    return Layout(base if has_main else None, base, base / "user")


def _told(base: Path) -> Layout | None:
    """What the last server with this base said, where it still holds."""
    data, _ = json_file.read(base / "user" / "sagekit" / FILE_NAME, "")
    if not isinstance(data, dict) or not all(isinstance(data.get(key), str) for key in ("comfyui", "user")):
        return None
    comfyui, user = Path(data["comfyui"]), Path(data["user"])
    if not (comfyui / "main.py").is_file() or not user.is_dir():
        return None
    return Layout(comfyui, base, user, told=True)


def _same(one: Path | None, other: Path | None) -> bool:
    if one is None or other is None:
        return one is other
    return os.path.normcase(os.path.realpath(one)) == os.path.normcase(os.path.realpath(other))
