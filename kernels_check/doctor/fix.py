"""The plan as a script that a person reads and starts: keep, change, check again, and how to go back."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from ..environment import Environment
from . import batch, shell, uv
from .plan import Plan
from .quoting import Command, shown
from .step import Step, pip, python_of
from .trouble import DoctorError
from .undo import what_is_there
from .written import write


@dataclass(frozen=True)
class Fix:
    """What goes into a script, in the order in which it happens.

    Attributes:
        plan: Where its steps come from.
        kept: The folder for the list of packages and the files to go back to.
        freeze: The command whose output is that list.
        before: What to do before anything is changed.
        torch: A command that fails once torch is not the one that the plan was made for.
        check: The command that runs the kernel check.
        machine: Python, torch and GPU in one line.
    """

    plan: Plan
    kept: str
    freeze: Command
    before: tuple[Step, ...]
    torch: Command
    check: Command
    machine: str

    @property
    def steps(self) -> tuple[Step, ...]:
        """The plan's steps; the first one's way back, told last, also names that of what came before."""
        first, *rest = self.plan.steps
        whole = [
            f"Or all at once, from another window: {shown(command, self.plan.system)}"
            for step in self.before
            for command in step.undo
        ]
        told = [first.undo_by_hand] if first.undo_by_hand else []
        return (replace(first, undo_by_hand="  ".join([*told, *whole])), *rest)


def write_fix(
    file: Path, plan: Plan, environment: Environment, pack: Path, before: Iterable[Step] = ()
) -> None:
    """Writes the script for a plan that has steps.

    Args:
        file: Where to; its ending decides nothing, the machine's system does.
        plan: The plan.
        environment: The machine that it was made for.
        pack: The folder of this pack.
        before: Steps that come before every change, ahead of keeping the list of packages: a backup.
    """
    if plan.stopped_by:
        raise DoctorError(f"No script was written: {plan.stopped_by[0].mismatch}")
    if any(step.by_hand for step in plan.steps):
        by_hand = next(step for step in plan.steps if step.by_hand)
        raise DoctorError(
            f"No script was written, one step is for a person: {by_hand.title}. {by_hand.by_hand}"
        )
    wanted = ".bat" if plan.system == "windows" else ".sh"
    if file.suffix.lower() != wanted:
        raise DoctorError(f"{file} must end in {wanted} on this system. Nothing was written.")
    fix = _fix(file, plan, environment, pack, tuple(before))
    write(file, (batch if plan.system == "windows" else shell).text(fix))


def _fix(file: Path, plan: Plan, environment: Environment, pack: Path, before: tuple[Step, ...]) -> Fix:
    python = python_of(environment)
    kept = str(file.absolute().parent / f"{file.stem}_before")
    torch = environment.packages["torch"].full_version if "torch" in environment.packages else ""
    gpus = ", ".join(dict.fromkeys(gpu.name for gpu in environment.gpus))
    return Fix(
        plan,
        kept,
        uv.command(pip(environment, "freeze"), plan.uv) if plan.uv else pip(environment, "freeze"),
        (*before, *_keep(plan, environment, kept)),
        (*python, "-c", f"import importlib.metadata as m; raise SystemExit(m.version('torch') != '{torch}')"),
        (*python, str(pack / "kernels_check")),
        f"Python {environment.python}, torch {environment.torch}, {gpus}",
    )


def _keep(plan: Plan, environment: Environment, kept: str) -> Iterable[Step]:
    """Fetches the files that going back would need, so that it works without their servers too."""
    if plan.uv:
        # uv fetches nothing without installing it.
        return
    there = [change.name for step in plan.steps for change in step.changes if change.before is not None]
    for name in dict.fromkeys(there):
        if target := what_is_there(name, environment):
            yield Step(
                f"keep-{name}",
                f"Keep the file of {name} that is installed now",
                commands=(pip(environment, "download", "--no-deps", "--dest", kept, target),),
            )
