"""What the command line asks of backups, one function a verb; each returns the exit code."""

import json
import os
import sys
import time
from argparse import Namespace
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
from ..machine.user_error import UserError

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
        raise UserError("Stopped. Nothing was lost; the next call tidies up.") from None
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
        raise UserError(f"{options.verb} needs a name; `backups` lists them. Nothing was changed.")
    if options.name is not None and options.verb == "backups":
        raise UserError("backups lists all of them and takes no name. Nothing was changed.")


def _what_happened(error: OSError) -> str:
    file = disk.shown(str(error.filename)) + ": " if error.filename else ""
    hint = ""
    if isinstance(error, PermissionError):
        hint = (
            " Close ComfyUI and whatever else may have it open, and start this as a user who may write there."
        )
    return f"{file}{error.strerror or error}.{hint} The environment is as it was, and so are its backups."


def _backup(options: Namespace, here: Place, pack: Path) -> int:
    if not os.path.lexists(here.folder):
        raise UserError(f"{disk.shown(here.folder)} is not there. Nothing was written.")
    store = here.store(options.to)
    # Every name of this environment, and whatever else lies in that store.
    taken = {*shelf.names(here, options.to), *(os.listdir(store) if os.path.isdir(store) else ())}
    name = shelf.new_name(taken, options.name or "")
    made = snapshot.make(here, store, name, _progress(options))
    line = shown(restore_command(here, os.path.join(store, name), pack), _system())
    told = [
        f"Backup {name}: {len(made.files)} files, {disk.amount(made.size)}; "
        f"{disk.amount(made.copied)} new on the disk, in {disk.shown(os.path.join(store, name))}",
        f"To go back to it, with ComfyUI closed: {line}",
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
        other = "" if held.folder == here.folder else f", of {disk.shown(held.folder)}"
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(held.made))
        size = f"{len(held.files)} files, {disk.amount(held.size)}, {disk.amount(held.copied)} of its own"
        lines.append(f"{name}  made {when}, {size}, in {disk.shown(store)}{other}")
        data.append(_as_data(held, store))
    kept = shelf.replaced(here)
    lines += [f"{name}  replaced by a restore, in {disk.shown(here.home)}" for name in kept]
    none = [f"There is no backup of {disk.shown(here.folder)} yet."]
    _say(options, lines or none, {"backups": data, "replaced": kept})
    return FINE


def _verify(options: Namespace, here: Place, pack: Path) -> int:
    folder = shelf.folder(here, options.name, options.to)
    held = manifest.read(folder)
    wrong = list(restoration.damage(folder, held, _progress(options)))
    told = [f"The backup {options.name} is damaged; `restore` refuses it:", *(f"  {one}" for one in wrong)]
    sound = (
        f"The backup {options.name} is sound: {len(held.files)} files, {disk.amount(held.size)}, all read."
    )
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
    told = [f"{disk.shown(here.folder)} is again as {options.name} has it."]
    if old is not None:
        told.append(
            f"What it replaced is kept: `restore {old}` takes it back, `forget {old}` frees its room."
        )
    _say(options, told, {"restored": options.name, "replaced": old})
    return FINE


def _forget(options: Namespace, here: Place, pack: Path) -> int:
    if options.name in shelf.replaced(here):
        folder = os.path.join(here.home, options.name)
    else:
        folder = shelf.folder(here, options.name, options.to)
    swap.forget(here, folder)
    _say(options, [f"{options.name} is gone; the other backups are whole."], {"forgotten": options.name})
    return FINE


def _refuse_while_it_runs(here: Place, backup: str, pack: Path) -> None:
    used = [os.path.realpath(sys.prefix), os.path.realpath(sys.executable)]
    if any(place.is_within(disk.reach(one), here.folder) for one in used):
        line = shown(restore_command(here, backup, pack), _system())
        raise UserError(
            f"This Python runs from {disk.shown(here.folder)}, and cannot take its own place. "
            f"Start the restore with another one; nothing was changed:\n{line}"
        )
    if found := processes.running(here.folder):
        raise UserError(
            f"{disk.shown(here.folder)} is in use by {', '.join(found[:5])}. "
            "Close ComfyUI and whatever else runs from it, then try again; nothing was changed."
        )


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
        raise UserError("Which Python is meant is not known.")
    here = place.find(Path(program))
    # Known before the script runs, so that the script itself can name the way back.
    name = shelf.new_name(set(shelf.names(here)))
    title = f"Back up the whole environment as {name} (the first time it takes as much room again)"
    command = (*python, str(pack / "kernels_check"), "backup", name)
    back = restore_command(here, os.path.join(here.home, name), pack)
    return (Step("backup", title, commands=(command,), undo=(back,)),)


def _progress(options: Namespace) -> snapshot.Progress:
    live = sys.stderr.isatty() and not options.json
    said = [""]

    def progress(doing: str, done: int, total: int) -> None:
        if not live:
            return
        line = f"{doing}: {100 * done // max(total, 1)} % of {disk.amount(total)}"
        if line != said[0]:
            sys.stderr.write("\r" + line.ljust(60) + ("\n" if done >= total else ""))
            sys.stderr.flush()
            said[0] = line

    return progress


def _say(options: Namespace, lines: list[str], data: dict) -> None:
    sys.stdout.write((json.dumps(data, indent=1) if options.json else "\n".join(lines)) + "\n")


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
