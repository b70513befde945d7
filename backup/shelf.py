"""The backups that there are, and what was replaced and is still kept."""

import contextlib
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

from ..machine.user_error import UserError
from . import disk, manifest
from .catalogue import MESSAGES
from .manifest import Manifest
from .place import INSIDE, Place, home_of

# Windows takes these for something else than a file, in every folder.
_DEVICE = re.compile(r"(?:con|prn|aux|nul|(?:com|lpt)\d)", re.IGNORECASE)
# Names that no backup has: what an interrupted call leaves, and what restores replaced.
UNFINISHED, RESTORING, FORGOTTEN, REPLACED = ".unfinished_", ".restoring_", ".forgotten_", "replaced_"


def new_name(taken: set[str], wanted: str = "") -> str:
    """Date and time, or what is asked for; with a number where that is taken."""
    name = wanted or time.strftime("%Y-%m-%d_%H-%M-%S")
    # Windows tells no "One" from "one", and a folder may get there.
    taken = {one.casefold() for one in taken}
    if not is_name(name):
        raise UserError(MESSAGES("no-name-of-a-backup", name=repr(name)))
    number = 2
    while name.casefold() in taken:
        name = f"{name.removesuffix(f'-no{number - 1}')}-no{number}"
        number += 1
    return name


def is_name(name: str) -> bool:
    """Whether it can be a backup's name, hence never a path."""
    letters = name.replace("-", "").replace("_", "")
    return (
        letters.isascii()
        and letters.isalnum()
        and not name.startswith(REPLACED)
        and not _DEVICE.fullmatch(name)
        and len(name) < 80
    )


def names(place: Place, also: Path | None = None) -> dict[str, str]:
    """Every backup's name and the folder that it is in, oldest first."""
    found: dict[str, str] = {}
    for store in place.stores(also):
        for name in _folders(store):
            if is_name(name) and os.path.isfile(os.path.join(store, name, manifest.FILE)):
                found.setdefault(name, store)
    return dict(sorted(found.items()))


def replaced(place: Place) -> list[str]:
    """What restores replaced and nobody has forgotten yet."""
    return [name for name in _folders(place.home) if name.startswith(REPLACED)]


def folder(place: Place, name: str | None, also: Path | None) -> str:
    """The folder of a backup that the user named."""
    there = names(place, also)
    if name in there:
        return os.path.join(there[name], name)
    asked, of = name or MESSAGES("without-a-name"), disk.shown(place.folder)
    if known := (*there, *replaced(place)):
        raise UserError(MESSAGES("no-such-backup", name=asked, folder=of, known=known))
    raise UserError(MESSAGES("no-backup-at-all", name=asked, folder=of))


def last(place: Place, store: str) -> Manifest | None:
    """The newest sound backup of this environment in a store."""
    same = (one for one in _sound(store) if os.path.normcase(one.folder) == os.path.normcase(place.folder))
    return next(same, None)


def place_of_what_is_lost(named: Path) -> Place | None:
    """The environment that a user names and that is gone or broken, by the backups beside where it was."""
    for inside in INSIDE:
        target = disk.reach(os.path.realpath(named / inside))
        if newest := next(_sound(home_of(target)), None):
            return Place(target, newest.kind, newest.program)
    return None


def _sound(store: str) -> Iterator[Manifest]:
    """Newest first."""
    for name in _newest_first(store):
        try:
            found = manifest.read(os.path.join(store, name))
        except UserError:
            # It cannot be linked to; `backups` lists it as damaged.
            continue
        if found.name == name:
            yield found


def _newest_first(store: str) -> list[str]:
    """By the age of the manifests: reading each whole takes long where there are many."""
    written = {}
    for name in filter(is_name, _folders(store)):
        with contextlib.suppress(OSError):
            written[name] = os.stat(os.path.join(store, name, manifest.FILE)).st_mtime_ns
    return sorted(written, key=written.__getitem__, reverse=True)


def _folders(store: str) -> list[str]:
    try:
        with os.scandir(store) as entries:
            return sorted(one.name for one in entries if one.is_dir(follow_symlinks=False))
    except (FileNotFoundError, NotADirectoryError):
        return []
