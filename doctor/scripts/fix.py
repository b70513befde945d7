"""The plan as a script that a person reads and starts: keep, change, check again, and how to go back."""

from collections.abc import Iterable
from pathlib import Path

from ...machine import Environment
from ...machine.user_error import UserError
from ..commands.python import pip, python_of
from ..plan import uv
from ..plan.plan import Plan
from ..plan.step import Step
from ..plan.undo import what_is_there
from . import batch, shell
from .contents import Fix
from .written import write


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
        raise UserError(f"No script was written: {plan.stopped_by[0].mismatch}")
    if any(step.by_hand for step in plan.steps):
        by_hand = next(step for step in plan.steps if step.by_hand)
        raise UserError(
            f"No script was written, one step is for a person: {by_hand.title}. {by_hand.by_hand}"
        )
    wanted = ".bat" if plan.system == "windows" else ".sh"
    if file.suffix.lower() != wanted:
        raise UserError(f"{file} must end in {wanted} on this system. Nothing was written.")
    fix = _fix(file, plan, environment, pack, tuple(before))
    write(file, (batch if plan.system == "windows" else shell).text(fix))


def _fix(file: Path, plan: Plan, environment: Environment, pack: Path, before: tuple[Step, ...]) -> Fix:
    python, freeze = python_of(environment), pip(environment, "freeze")
    kept = str(file.absolute().parent / f"{file.stem}_before")
    torch = environment.packages["torch"].full_version if "torch" in environment.packages else ""
    gpus = ", ".join(dict.fromkeys(gpu.name for gpu in environment.gpus))
    return Fix(
        plan,
        kept,
        (plan.uv and uv.command(freeze, plan.uv)) or freeze,
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
