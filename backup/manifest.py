"""What a backup holds: every file with its size and SHA-256, every folder, every link."""

import hashlib
import json
import os
import re
from dataclasses import dataclass, field
from typing import Any

from ..machine import json_file, schema
from ..machine.user_error import UserError
from . import disk
from .catalogue import MESSAGES
from .place import EMBEDDED, VENV
from .tree import JUNCTION, SYMLINK, SYMLINK_TO_FOLDER, Mark

FILE, FILES = "manifest.json", "files"
_FORMAT = 1
# Bytes of the largest manifest: of a million files.
_LARGEST = 512 << 20
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass
class Manifest:
    """The record of one backup.

    Attributes:
        name: Of the backup.
        folder: The environment's.
        kind: Of the environment.
        program: The environment's Python, relative to its folder.
        made: When, in seconds since 1970.
        files: By path with slashes: what tells an unchanged file from another, and its SHA-256.
        folders: With their modes, each after the one it is in.
        links: Kind and target.
        copied: How many bytes this backup added to the disk.
    """

    name: str
    folder: str
    kind: str
    program: str
    made: float
    files: dict[str, tuple[Mark, str]] = field(default_factory=dict)
    folders: dict[str, int] = field(default_factory=dict)
    links: dict[str, tuple[str, str]] = field(default_factory=dict)
    copied: int = 0

    @property
    def size(self) -> int:
        return sum(mark[0] for mark, _ in self.files.values())


def write(folder: str, manifest: Manifest) -> None:
    """Writes the record into a backup's folder, with a checksum of its own."""
    content = json.dumps(vars(manifest))
    digest = hashlib.sha256(content.encode("ascii")).hexdigest()
    with open(os.path.join(folder, FILE), "x", encoding="ascii") as stream:
        # The content is a string in the file, so that the checksum is one of these very letters.
        json.dump({"format": _FORMAT, "sha256": digest, "content": content}, stream)
        stream.flush()
        os.fsync(stream.fileno())


def read(folder: str) -> Manifest:
    """Reads the record of a backup; refuses a damaged one, and one whose paths lead out of its folder."""
    file = os.path.join(folder, FILE)
    try:
        data = json_file.load(file, _LARGEST)
    except FileNotFoundError:
        raise _damaged(folder, MESSAGES("manifest-missing")) from None
    except json_file.DamagedError as error:
        raise _damaged(folder, MESSAGES("manifest-unreadable", error=str(error))) from None
    if not isinstance(data, dict) or not isinstance(data.get("content"), str):
        raise _damaged(folder, MESSAGES("manifest-is-none"))
    if data.get("format") != _FORMAT:
        came = repr(data.get("format"))
        raise _damaged(folder, MESSAGES("manifest-of-another-format", needed=_FORMAT, came=came))
    if hashlib.sha256(data["content"].encode("ascii", "replace")).hexdigest() != data.get("sha256"):
        raise _damaged(folder, MESSAGES("manifest-of-another-checksum"))
    try:
        return _parse(json_file.parse(data["content"].encode("ascii")))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(folder, str(error)) from None


def _damaged(folder: str, why: str) -> UserError:
    name, file = os.path.basename(folder), disk.shown(os.path.join(folder, FILE))
    return UserError(MESSAGES("manifest-damaged", name=name, why=why, file=file))


def _parse(data: dict[str, Any]) -> Manifest:
    manifest = Manifest(
        name=schema.text(data["name"]),
        folder=schema.text(data["folder"]),
        kind=schema.text(data["kind"]),
        program=schema.text(data["program"]),
        made=schema.number(data["made"]),
        files={path: (_mark(mark), digest) for path, (mark, digest) in data["files"].items()},
        folders={path: schema.whole(mode) for path, mode in data["folders"].items()},
        links={path: (kind, schema.text(target)) for path, (kind, target) in data["links"].items()},
        copied=schema.whole(data["copied"]),
    )
    every = {**manifest.folders, **manifest.links, **manifest.files}
    if len(every) != len(manifest.folders) + len(manifest.links) + len(manifest.files):
        raise ValueError(MESSAGES("manifest-path-twice"))
    for path in (*every, manifest.program):
        _inside(path)
        parent = path.rpartition("/")[0]
        # What lies below a link would be written wherever the link leads.
        if parent and parent not in manifest.folders and path in every:
            raise ValueError(MESSAGES("manifest-path-in-no-folder", path=repr(path)))
    if manifest.kind not in (EMBEDDED, VENV) or not isinstance(manifest.folder, str):
        raise ValueError(MESSAGES("manifest-of-no-environment"))
    if not all(kind in (SYMLINK, SYMLINK_TO_FOLDER, JUNCTION) for kind, _ in manifest.links.values()):
        raise ValueError(MESSAGES("manifest-link-of-no-kind"))
    if not all(_HASH.fullmatch(schema.text(digest)) for _, digest in manifest.files.values()):
        raise ValueError(MESSAGES("manifest-checksum-is-none"))
    return manifest


def _mark(values: list[Any]) -> Mark:
    # Times before 1970 are less than none.
    size, changed, mode, status, number = (schema.whole(one, -(2**63), 2**128) for one in values)
    return size, changed, mode, status, number


def _inside(path: str) -> None:
    parts = path.split("/")
    on_windows = os.name == "nt" and ("\\" in path or ":" in path)
    if on_windows or "\0" in path or any(part in ("", ".", "..") for part in parts):
        raise ValueError(MESSAGES("manifest-path-leads-out", path=repr(path)))
