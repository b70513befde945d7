"""What happens before ComfyUI imports kernel packages and reads its launch flags.

A package that does not import is kept out of this start; a flag that asks for a broken kernel is cleared.
"""

import itertools
import logging
import os
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ..check import check, imports, verdicts
from ..check.imports import HOST_IMPORTS
from ..check.verdicts import NOT_IMPORTABLE, Verdict
from ..kernels.backend import Backend
from ..kernels.launch_flags import checked, declare, spelled
from ..machine import Environment
from ..machine.message import Message
from ..machine.printable import printable, words
from . import startup_text
from .catalogue import STARTUP
from .import_guard import Guard

LIMIT = 90.0
# The launch flags whose kernel is tried, with the name of its verdict.
FLAGS = checked()
# Under this name stand the verdicts on whether packages import.
IMPORTS = "imports"


@dataclass(frozen=True)
class Broken:
    """What does not work here.

    Attributes:
        packages: Those that do not import, by the name that they are imported by.
        flags: Launch options whose kernel is not usable, as ComfyUI spells them in ``args``.
        remarks: What a user should know of how the stored verdicts were read.
    """

    packages: Mapping[str, Verdict] = field(default_factory=dict)
    flags: Mapping[str, Verdict] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


def look(
    flags: Iterable[str],
    packages: Iterable[str],
    environment: Environment,
    file: Path,
    *,
    device: str,
    say: Callable[[str], None],
    visible: str | None = None,
    probe: Callable[[Backend, str], Verdict] | None = None,
    try_imports: Callable[..., tuple[dict[str, Verdict], str]] = imports.check,
    is_guarded: bool = True,
) -> Broken:
    """Those of the packages that do not import, and of the flags whose kernel is not usable.

    Args:
        flags: Names of the flags that are on, as ComfyUI spells them in ``args``.
        packages: What ComfyUI is about to import, by ``imports.present``.
        environment: This machine.
        file: Where verdicts are kept; what has none there is tried now, and its verdict added.
        device: Where models run, "cuda:0" or "cpu".
        visible: CUDA_VISIBLE_DEVICES as ComfyUI will have it.
        say: Tells the user one line.
        probe: Tries a kernel; the default starts a child process.
        try_imports: Imports packages; the default starts a child process.
        is_guarded: What raises while ComfyUI imports it will be caught, so that it need not be tried here.
    """
    flags, packages = tuple(flags), tuple(packages)
    stored, remarks = check.load(file, environment)
    for remark in remarks:
        say(STARTUP("line-of-sagekit", text=remark))
    key = f"{check.LAUNCH} {_where(device, visible, environment)}"
    relied_on = {name for name in packages if not is_guarded or HOST_IMPORTS[name].flag in flags}
    imported = _imported(packages, relied_on, stored.of(IMPORTS), say, try_imports)
    broken = {name: one for name, one in imported.items() if not one.is_good}
    probe = probe or partial(_probe, visible=visible)
    known = _tried(flags, dict(stored.of(key)), broken, environment, device, say, probe)
    # Written where something changed, too: else every start would say so again.
    kept = stored.with_verdicts(IMPORTS, imported).with_verdicts(key, known)
    if (remarks or kept != stored) and (trouble := verdicts.write(file, kept)):
        say(STARTUP("line-of-sagekit", text=trouble))
    by_flag = {HOST_IMPORTS[name].flag: one for name, one in broken.items()}
    found = {flag: by_flag.get(flag) or known.get(FLAGS.get(flag, "")) for flag in flags}
    not_good = {flag: one for flag, one in found.items() if one and not one.is_good}
    return Broken(broken, not_good, tuple(remarks))


def _where(device: str, visible: str | None, environment: Environment) -> str:
    """The GPU that models run on, as well as it can be told without torch: "NVIDIA GeForce RTX 4090"."""
    gpus = sorted(set(environment.driver.gpus)) if environment.driver is not None else []
    if device == "cpu" or not gpus:
        return device
    # Of several kinds, which one is first is CUDA's to say: by what is visible, and in what order.
    order = os.environ.get("CUDA_DEVICE_ORDER", "")
    return gpus[0] if len(gpus) == 1 else f"{device} of {visible or 'all'} {order}".rstrip()


def _imported(
    packages: Iterable[str],
    relied_on: Container[str],
    before: Mapping[str, Verdict],
    say: Callable[[str], None],
    try_imports: Callable,
) -> dict[str, Verdict]:
    """A verdict on the import of each package, of those that could be tried or need not be."""
    settled = {
        name: before[name] for name in packages if imports.is_settled(before.get(name), name in relied_on)
    }
    unsettled = [name for name in packages if name not in settled]
    if not unsettled:
        return settled
    again = any(name in before for name in unsettled)
    importing = STARTUP("importing-apart-again" if again else "importing-apart", packages=tuple(unsettled))
    say(STARTUP("line-of-sagekit", text=importing))
    hung = {name: one.cases for name, one in before.items() if one.state == verdicts.TIMED_OUT}
    found, remark = try_imports(unsettled, lambda name: hung.get(name, 0))
    if remark:
        say(STARTUP("line-of-sagekit", text=remark))
    return settled | found


def _tried(
    flags: Iterable[str],
    known: dict[str, Verdict],
    broken: Mapping[str, Verdict],
    environment: Environment,
    device: str,
    say: Callable[[str], None],
    probe: Callable[[Backend, str], Verdict],
) -> dict[str, Verdict]:
    """The verdicts on what the flags ask for, those of a package that does not import left out."""
    entries = {backend.name: backend for backend in declare(environment.packages)}
    without = {HOST_IMPORTS[name].flag for name in broken}
    for flag in flags:
        name = FLAGS.get(flag)
        if name is None or flag in without:
            continue
        # The package imports by now: what failed to import then says nothing any more.
        if name not in known or known[name].state == NOT_IMPORTABLE:
            checking = STARTUP("checking-flag", flag=spelled(flag), limit=LIMIT)
            say(STARTUP("line-of-sagekit", text=checking))
            known[name] = probe(entries[name], device)
    return known


def _probe(backend: Backend, device: str, visible: str | None = None) -> Verdict:
    return check.check([backend], device, limit=LIMIT, visible=visible)[backend.name]


class Start:
    """What a start of ComfyUI does with what was found.

    Args:
        args: ComfyUI's own options, before it reads them.
        environment: This machine.
        pack: The folder of this pack.
        acts: Keep packages out and turn flags off; otherwise it is only said.

    Attributes:
        remarks: On the stored verdicts.
        cleared: The flags that were turned off, each with the verdict on it.
        kept_out: The packages that were kept out, likewise.
        guard: Stands before the imports of the packages that are let in; whoever comes after the start takes
            it away.
    """

    def __init__(self, args: Any, environment: Environment, pack: Path, acts: bool) -> None:
        self._args, self._environment, self._pack, self._acts = args, environment, pack, acts
        self.remarks: tuple[str, ...] = ()
        self.cleared: dict[str, Verdict] = {}
        self.kept_out: dict[str, Verdict] = {}
        self.guard: Guard | None = None

    def act_on(self, broken: Broken, packages: Iterable[str]) -> None:
        """Keeps out, turns off and guards the import of the other packages; then says so."""
        self.remarks = broken.remarks
        # What raises in a child raises here, too, unless it has been mended: no reason to bar it.
        barred = {
            name: one
            for name, one in broken.packages.items()
            if not (
                self._acts and one.state == NOT_IMPORTABLE and HOST_IMPORTS[name].flag not in broken.flags
            )
        }
        by_package = {HOST_IMPORTS[name].flag for name in barred}
        by_kernel = {flag: one for flag, one in broken.flags.items() if flag not in by_package}
        asked = {name: self._keep_out(name, one) for name, one in barred.items()}
        for flag, verdict in by_kernel.items():
            self._turn_off(flag, verdict)
        if self._acts:
            for name in barred:
                imports.keep_out(name)
            let_in = (HOST_IMPORTS[name].modules for name in packages if name not in barred)
            self.guard = Guard(itertools.chain(*let_in), self._failed)
            self.guard.install()
        for name, verdict in barred.items():
            self._say_of_package(name, verdict, asked[name])
        for flag, verdict in by_kernel.items():
            self._say_of_flag(flag, verdict)

    def _failed(self, module: str, error: BaseException) -> None:
        """A package that was let in does not import: it ends as one that is not there. Said once."""
        package = module.partition(".")[0]
        if package not in self.kept_out:
            verdict = Verdict(NOT_IMPORTABLE, None, printable(words(error)))
            self._say_of_package(package, verdict, self._keep_out(package, verdict))

    def _keep_out(self, name: str, verdict: Verdict) -> bool:
        """Whether a flag had asked for the package that is kept out."""
        flag = HOST_IMPORTS[name].flag
        asked = bool(flag) and bool(getattr(self._args, flag, False))
        if asked:
            self._turn_off(flag, verdict)
        if self._acts:
            self.kept_out[name] = verdict
        return asked

    def _turn_off(self, flag: str, verdict: Verdict) -> None:
        if self._acts:
            setattr(self._args, flag, False)
            self.cleared[flag] = verdict

    def _say_of_package(self, name: str, verdict: Verdict, asked: bool) -> None:
        _say(
            lambda: startup_text.of_package(name, verdict, self._environment, self._pack, asked, self._acts),
            STARTUP("no-import-short", package=name, verdict=str(verdict)),
        )

    def _say_of_flag(self, flag: str, verdict: Verdict) -> None:
        _say(
            lambda: startup_text.of_flag(flag, verdict, self._environment, self._pack, self._acts),
            STARTUP("flag-does-not-work-short", flag=spelled(flag), verdict=str(verdict)),
        )


def _say(write: Callable[[], str], otherwise: Message) -> None:
    """Logs what is written; where the pack itself is broken, its short form: a start must not end here."""
    try:
        text = write()
    except Exception as error:
        known = STARTUP("no-more-is-known", text=otherwise, error=words(error))
        text = STARTUP("line-of-sagekit", text=known)
    logging.warning(text)
