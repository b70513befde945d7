"""A prepared folder gets an environment's place, and what is interrupted on the way is finished or undone."""

import os

from ..machine.message import Message
from ..machine.user_error import UserError
from . import disk, exchange, note, shelf
from .catalogue import MESSAGES
from .place import Place
from .snapshot import key


def swap(place: Place, prepared: str) -> str | None:
    """Puts a prepared folder in the environment's place; returns the name of what it replaced, if any."""
    if not os.path.lexists(place.folder):
        os.rename(prepared, place.folder)
        return None
    old = shelf.new_name(set()) if not shelf.replaced(place) else _free(place)
    old = shelf.REPLACED + old.removeprefix(shelf.REPLACED)
    kept, journal = os.path.join(place.home, old), os.path.join(place.home, note.RESTORE)
    was = os.lstat(place.folder).st_ino
    note.write(journal, {"old": old, "new": os.path.basename(prepared), "was": was})
    if not _exchange(place, prepared, kept):
        _rename_both(place, prepared, kept, journal)
    os.unlink(journal)
    return old


def _exchange(place: Place, prepared: str, kept: str) -> bool:
    """Without a moment in which there is no environment; False where the system cannot."""
    if not exchange.is_there():
        return False
    # First it takes the name of what it replaces, so that all is done once they have changed places.
    os.rename(prepared, kept)
    if exchange.exchange(kept, place.folder):
        return True
    os.rename(kept, prepared)
    return False


def _rename_both(place: Place, prepared: str, kept: str, journal: str) -> None:
    try:
        os.rename(place.folder, kept)
    except OSError as error:
        os.unlink(journal)
        folder, why = disk.shown(place.folder), error.strerror or str(error)
        raise UserError(MESSAGES("environment-cannot-be-moved", folder=folder, error=why)) from None
    try:
        os.rename(prepared, place.folder)
    except BaseException:
        os.rename(kept, place.folder)
        os.unlink(journal)
        raise


def _free(place: Place) -> str:
    return shelf.new_name({name.removeprefix(shelf.REPLACED) for name in shelf.replaced(place)})


def recover(place: Place, stores: list[str]) -> list[Message]:
    """Finishes or undoes what an interrupted call left; returns what it did, one sentence each.

    Only for the one that holds the lock: what a running backup makes looks the same.
    """
    said = _finish_swap(place)
    marks = {f"{shelf.UNFINISHED}{key(place)}_": "backup", shelf.FORGOTTEN + key(place) + "_": ""}
    for store in stores:
        for name in _hidden(store):
            what = next((what for mark, what in marks.items() if name.startswith(mark)), None)
            if what is not None:
                disk.remove(os.path.join(store, name))
                said += [MESSAGES("backup-taken-away")] if what else []
    for name in _hidden(place.home):
        if name.startswith(shelf.RESTORING):
            disk.remove(os.path.join(place.home, name))
            said.append(MESSAGES("restore-taken-back"))
    return said


def _finish_swap(place: Place) -> list[Message]:
    journal = os.path.join(place.home, note.RESTORE)
    data = note.read(journal)
    if not isinstance(data, dict):
        return []
    # Two folders of this home and nothing else, whoever wrote the journal.
    if not (
        _is_one(data.get("old"), shelf.REPLACED) and _is_one(data.get("new"), shelf.RESTORING, shelf.REPLACED)
    ):
        return []
    old, new = (os.path.join(place.home, data[one]) for one in ("old", "new"))
    said: list[Message] = []
    if not os.path.lexists(place.folder):
        # The prepared folder was proven before the journal was written.
        took = new if os.path.isdir(new) else old
        os.rename(took, place.folder)
        said = [MESSAGES("restore-finished" if took == new else "restore-undone")]
    elif os.path.isdir(old) and os.lstat(place.folder).st_ino == data.get("was"):
        # They have not changed places yet: what bears the old one's name is the prepared one.
        os.rename(old, new)
    elif os.path.isdir(old):
        said = [MESSAGES("restore-finished")]
    os.unlink(journal)
    return said


def _is_one(name: object, *begins: str) -> bool:
    return isinstance(name, str) and name.startswith(begins) and os.path.basename(name) == name


def _hidden(store: str) -> list[str]:
    try:
        return [name for name in os.listdir(store) if name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []


def forget(place: Place, folder: str) -> None:
    """Takes a backup away; after the rename it is none any more, wherever the rest is interrupted."""
    going = os.path.join(os.path.dirname(folder), f"{shelf.FORGOTTEN}{key(place)}_{os.path.basename(folder)}")
    os.rename(folder, going)
    disk.remove(going)
