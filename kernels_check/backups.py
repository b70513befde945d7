"""What the command line asks of backups, one function a verb; each returns the exit code."""

import json
import os
import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from ..backup import (
    disk,
    manifest,
    place,
    processes,
    restoration,
    shelf,
    snapshot,
    swap,
)
from ..backup.place import EMBEDDED, Place
from ..doctor.commands.quoting import Command, shown
from ..doctor.plan.step import Step
from ..machine import Environment
from ..machine.message import Message, Value
from ..machine.user_error import UserError
from .catalogue import BACKUPS

FINE, WRONG = 0, 2
VERBS = ("backup", "backups", "verify", "restore", "forget")


def run(options: Namespace, pack: Path) -> int:
    """Does what a verb asks for the environment that is named, or for the one that runs."""
    _refuse_what_does_not_go_together(options)
    here = _find(options)
    verb = {"backup": _backup, "backups": _list, "verify": _verify, "restore": _restore, "forget": _forget}
    try:
        if options.verb == "backups" and not any(map(os.path.isdir, here.stores(options.to))):
            return _list(options, here, pack)
        with here.locked():
            for line in swap.recover(here, here.stores(options.to)):
                sys.stderr.write(line + "\n")
            return verb[options.verb](options, here, pack)
    except KeyboardInterrupt:
        raise UserError(BACKUPS("stopped")) from None
    except OSError as error:
        raise UserError(_what_happened(error)) from None


def _find(options: Namespace) -> Place:
    named = options.python or Path(sys.prefix)
    try:
        return place.find(named)
    except UserError:
        # What backups are for above all: nothing is left there that looks like a Python.
        lost = None if options.verb == "backup" else shelf.place_of_what_is_lost(named)
        if lost is None:
            raise
        return lost


def _refuse_what_does_not_go_together(options: Namespace) -> None:
    if options.name is None and options.verb in ("verify", "restore", "forget"):
        raise UserError(BACKUPS("verb-needs-a-name", verb=options.verb))
    if options.name is not None and options.verb == "backups":
        raise UserError(BACKUPS("backups-takes-no-name"))


def _what_happened(error: OSError) -> Message:
    said: Value = error.strerror or str(error)
    if error.filename:
        said = BACKUPS("error-of-a-file", file=disk.shown(str(error.filename)), error=said)
    return BACKUPS("disk-forbade" if isinstance(error, PermissionError) else "disk-refused", error=said)


def _backup(options: Namespace, here: Place, pack: Path) -> int:
    if not os.path.lexists(here.folder):
        raise UserError(BACKUPS("environment-not-there", folder=disk.shown(here.folder)))
    store = here.store(options.to)
    # Every name of this environment, and whatever else lies in that store.
    taken = {*shelf.names(here, options.to), *(os.listdir(store) if os.path.isdir(store) else ())}
    name = shelf.new_name(taken, options.name or "")
    made = snapshot.make(here, store, name, _progress(options))
    line = shown(restore_command(here, os.path.join(store, name), pack), _system())
    told = [
        BACKUPS("backup-made", name=name, folder=disk.shown(os.path.join(store, name)), **_amounts(made)),
        BACKUPS("way-back", command=line),
    ]
    _say(options, told, {"backup": _as_data(made, store), "restore": line})
    return FINE


def _list(options: Namespace, here: Place, pack: Path) -> int:
    lines, data = [], []
    for name, store in shelf.names(here, options.to).items():
        try:
            held = manifest.read(os.path.join(store, name))
        except UserError as error:
            lines.append(f"{name}  {error}")
            data.append({"name": name, "folder": disk.shown(store), "damaged": str(error)})
            continue
        lines.append(f"{name}  {_line(held, store, here)}")
        data.append(_as_data(held, store))
    kept = shelf.replaced(here)
    lines += [f"{name}  {BACKUPS('replaced-line', folder=disk.shown(here.home))}" for name in kept]
    none = [BACKUPS("no-backup-yet", folder=disk.shown(here.folder))]
    _say(options, lines or none, {"backups": data, "replaced": kept})
    return FINE


def _verify(options: Namespace, here: Place, pack: Path) -> int:
    folder = shelf.folder(here, options.name, options.to)
    held = manifest.read(folder)
    wrong = list(restoration.damage(folder, held, _progress(options)))
    told = [BACKUPS("backup-damaged", name=options.name), *(f"  {one}" for one in wrong)]
    sound = BACKUPS("backup-sound", name=options.name, files=len(held.files), size=disk.amount(held.size))
    _say(options, told if wrong else [sound], {"name": options.name, "damage": wrong})
    return WRONG if wrong else FINE


def _restore(options: Namespace, here: Place, pack: Path) -> int:
    if options.name in shelf.replaced(here):
        _refuse_while_it_runs(here, os.path.join(here.home, options.name), pack)
        # Under a name that the next call takes away would be wrong: it is the only copy.
        old = swap.swap(here, os.path.join(here.home, options.name))
    else:
        folder = shelf.folder(here, options.name, options.to)
        _refuse_while_it_runs(here, folder, pack)
        held = manifest.read(folder)
        restoration.fits(here, held)
        prepared = restoration.new_folder(here, options.name)
        try:
            restoration.prepare(here, folder, held, prepared, _progress(options))
            # Copying took a while, and somebody may have started ComfyUI.
            _refuse_while_it_runs(here, folder, pack)
            old = swap.swap(here, prepared)
        except BaseException:
            disk.remove_if_possible(prepared)
            raise
    told = [BACKUPS("restored", folder=disk.shown(here.folder), name=options.name)]
    if old is not None:
        told.append(BACKUPS("replaced-is-kept", name=old))
    _say(options, told, {"restored": options.name, "replaced": old})
    return FINE


def _forget(options: Namespace, here: Place, pack: Path) -> int:
    if options.name in shelf.replaced(here):
        folder = os.path.join(here.home, options.name)
    else:
        folder = shelf.folder(here, options.name, options.to)
    swap.forget(here, folder)
    _say(options, [BACKUPS("forgotten", name=options.name)], {"forgotten": options.name})
    return FINE


def _refuse_while_it_runs(here: Place, backup: str, pack: Path) -> None:
    used = [os.path.realpath(sys.prefix), os.path.realpath(sys.executable)]
    if any(place.is_within(disk.reach(one), here.folder) for one in used):
        line = shown(restore_command(here, backup, pack), _system())
        raise UserError(BACKUPS("restores-itself", folder=disk.shown(here.folder), command=line))
    if found := processes.running(here.folder):
        programs = tuple(found[:5])
        raise UserError(BACKUPS("environment-in-use", folder=disk.shown(here.folder), programs=programs))


def restore_command(here: Place, backup: str, pack: Path) -> Command:
    """The line that restores a backup, with a Python that does not run from the environment.

    Args:
        here: The environment.
        backup: The folder of the backup.
        pack: The folder of this pack.
    """
    name, store = os.path.basename(backup), os.path.dirname(backup)
    where = () if store == here.home else ("--to", disk.shown(store))
    kept = name.startswith(shelf.REPLACED)
    if here.kind == EMBEDDED:
        # It works from any folder, so the backup's own will do; -B keeps it from writing into the backup.
        files = backup if kept else os.path.join(backup, manifest.FILES)
        program = disk.shown(disk.join(files, here.program))
    else:
        program = _base_of(backup if kept else here.folder)
    folder = disk.shown(here.folder)
    command = ("-B", "-s", str(pack / "kernels_check"), "restore", name, "--python", folder)
    return (program, *command, *where)


def _base_of(folder: str) -> str:
    """The Python that a venv was made with."""
    try:
        text = Path(folder, "pyvenv.cfg").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    home = {name.strip(): value.strip() for name, _, value in pairs}.get("home", "")
    for program in ("python.exe", "python3", "python"):
        if home and os.path.isfile(os.path.join(home, program)):
            return os.path.join(home, program)
    return "python.exe" if os.name == "nt" else "python3"


def step_before_a_fix(environment: Environment, pack: Path, python: Command) -> tuple[Step, ...]:
    """The backup as the first step of a written fix, with the line that puts it back.

    Args:
        environment: The machine; its Python is the one to be kept.
        pack: The folder of this pack.
        python: The command that starts that Python.
    """
    program = environment.python.executable if environment.python else ""
    if not program:
        raise UserError(BACKUPS("which-python-is-not-known"))
    here = place.find(Path(program))
    # Known before the script runs, so that the script itself can name the way back.
    name = shelf.new_name(set(shelf.names(here)))
    title = BACKUPS("step-of-backup", name=name)
    command = (*python, str(pack / "kernels_check"), "backup", name)
    back = restore_command(here, os.path.join(here.home, name), pack)
    return (Step("backup", title, commands=(command,), undo=(back,)),)


def _progress(options: Namespace) -> snapshot.Progress:
    live = sys.stderr.isatty() and not options.json
    said = [""]

    def progress(doing: Message, done: int, total: int) -> None:
        if not live:
            return
        percent, amount = 100 * done // max(total, 1), disk.amount(total)
        line = BACKUPS("backup-progress", doing=doing, percent=percent, amount=amount)
        if line != said[0]:
            sys.stderr.write("\r" + line.ljust(60) + ("\n" if done >= total else ""))
            sys.stderr.flush()
            said[0] = line

    return progress


def _say(options: Namespace, lines: Sequence[str], data: dict) -> None:
    sys.stdout.write((json.dumps(data, indent=1) if options.json else "\n".join(lines)) + "\n")


def _line(held: manifest.Manifest, store: str, here: Place) -> Message:
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(held.made))
    folder, amounts = disk.shown(store), _amounts(held)
    if held.folder == here.folder:
        return BACKUPS("backup-line", when=when, folder=folder, **amounts)
    environment = disk.shown(held.folder)
    return BACKUPS("backup-line-of-another", when=when, folder=folder, environment=environment, **amounts)


def _amounts(held: manifest.Manifest) -> dict[str, Value]:
    copied = disk.amount(held.copied)
    return {"files": len(held.files), "size": disk.amount(held.size), "copied": copied}


def _as_data(held: manifest.Manifest, store: str) -> dict:
    return {
        "name": held.name,
        "folder": disk.shown(store),
        "environment": disk.shown(held.folder),
        "made": held.made,
        "files": len(held.files),
        "bytes": held.size,
        "bytes_of_its_own": held.copied,
    }


def _system() -> str:
    return "windows" if os.name == "nt" else "linux"
