"""The steps of a plan for a GPU that SageAttention 2 serves: Triton, SageAttention, a stale cache."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ...knowledge.gpus import capabilities
from ...knowledge.tables import numbers, row_of_gpu, triton_of
from ...machine import Environment, fork
from ...machine.build import SAGE_1
from ...machine.message import as_message
from ...machine.reason import Reason
from ...machine.surroundings import Surroundings
from ..commands.python import pip, python_of
from ..commands.quoting import Command
from ..commands.remove import remove_folder
from ..rules import Mismatch
from . import wheel
from .catalogue import INSTALLER, REASONS, STEPS
from .sources import SOURCES
from .step import Change, Step
from .triton import Triton, triton_for
from .undo import away_by_hand, back_by_hand, way_back

# The codes of what a reinstall puts right.
REPAIRED = frozenset(
    {
        "two-copies",
        "build-torch",
        "build-cuda",
        "build-gpu",
        "sage-branch",
        "kernels-failed",
        "known-bad-build",
        "modules-python",
        "not-importable",
        "triton-torch",
        "triton-missing",
    }
)


@dataclass(frozen=True)
class Unfit:
    """What was wanted and cannot be had.

    Attributes:
        reasons: Why.
        option: What a person may do instead.
    """

    reasons: tuple[Reason, ...]
    option: Step | None = None

    @property
    def options(self) -> tuple[Step, ...]:
        """That one, or none."""
        return () if self.option is None else (self.option,)


def has_triton(environment: Environment) -> bool:
    """Whether an import would find one."""
    return triton_of(environment) is not None


def triton(environment: Environment) -> Step | Unfit | None:
    """Installs the Triton that belongs to torch; None where it is there."""
    wanted, there = triton_for(environment), triton_of(environment)
    if isinstance(wanted, Reason):
        # One that is installed and that no table judges is left alone.
        return None if there else Unfit((wanted,))
    if there is not None and not there[1].copies and (wanted.takes(there[1]) or not there[1].release):
        return None
    if reason := _too_old_for_the_gpu(wanted, environment):
        return Unfit((reason,))
    # The fork and the original bring the same module: of two, both have to go first.
    other = there[0] if there is not None and there[0] != wanted.name else None
    return _install_triton(environment, wanted, other)


def _install_triton(environment: Environment, wanted: Triton, other: str | None) -> Step | Unfit:
    back = _ways_back(environment, [wanted.name, *([other] if other else [])])
    if isinstance(back, Unfit):
        return back
    there = environment.packages.get(wanted.name)
    remove = _uninstall(environment, other) if other else ()
    if there is not None and there.copies:
        remove += _uninstall(environment, wanted.name)
    torch = str(environment.torch)
    return Step(
        "install-triton",
        STEPS("install-requirement", requirement=wanted.requirement),
        (
            STEPS("triton-of-torch-newest", torch=torch, newest=wanted.newest)
            if wanted.newest
            else STEPS("triton-of-torch", torch=torch),
            STEPS("triton-is-used"),
        ),
        commands=(*remove, pip(environment, "install", "--upgrade", "--no-deps", wanted.requirement)),
        undo=back,
        changes=_changes(environment, {wanted.name: wanted.requirement} | ({other: None} if other else {})),
        sources=(wanted.source,),
    )


def _too_old_for_the_gpu(wanted: Triton, environment: Environment) -> Reason | None:
    rows = [row for one in capabilities(environment) if (row := row_of_gpu(one))]
    limits = [row["triton_from"] for row in rows if "triton_from" in row]
    # Only where every GPU asks for more: on a mixed machine the others are served.
    if len(limits) == len(rows) and limits and numbers(wanted.specifier)[:2] < min(map(numbers, limits)):
        return REASONS("triton-gpu", oldest=limits[0], torch=str(environment.torch))
    return None


def sage(
    environment: Environment, wrong: Iterable[Mismatch], triton_step: Step | Unfit | None
) -> Step | Unfit | None:
    """Installs the SageAttention that fits; None where a good one is there."""
    package = environment.packages.get("sageattention")
    wrong = [one for one in wrong if one.about == "sageattention"]
    old = package is not None and fork(package) == SAGE_1
    if package is not None and not wrong and not old:
        return None
    if isinstance(triton_step, Unfit):
        lost = any(reason.code == "no-way-back" for reason in triton_step.reasons)
        return Unfit((REASONS("triton-needed-by-hand" if lost else "triton-needed"),))
    chosen = wheel.choose(environment, "sageattention").wheel
    if chosen is None:
        # A version 1 that works stays: nothing better fits, and nothing is wrong with it.
        if old and not wrong:
            return None
        return Unfit((REASONS("wheel-none"),), _removal(environment))
    # What it said then is told among the versions, and may name a folder.
    reasons = [
        STEPS("installed-does-not-import")
        if one.reason.code == "not-importable"
        else STEPS("installed-does-not-fit", reason=as_message(one.reason) or str(one.reason))
        for one in wrong
    ]
    if old:
        reasons.append(STEPS("version-1-is-wrong"))
    return _install(environment, "sageattention", chosen, reasons)


def sage_instead(environment: Environment, names: Iterable[str]) -> Step | None:
    """A build that is known to fit in place of one of which nobody knows; for a person to choose."""
    chosen = wheel.choose(environment, "sageattention").wheel if "sageattention" in names else None
    if chosen is None or chosen.version == environment.packages["sageattention"].full_version:
        return None
    made = _install(environment, "sageattention", chosen, [STEPS("known-to-fit-instead")])
    return made.option if isinstance(made, Unfit) else made


def sage3(environment: Environment, wrong: Iterable[Mismatch], asked: bool) -> Step | Unfit | None:
    """Installs SageAttention 3 where it is asked for; puts a wrong one right, or takes it out."""
    there = "sageattn3" in environment.packages
    if not any(one.about == "sageattn3" for one in wrong) if there else not asked:
        return None
    chosen = wheel.choose(environment, "sageattn3").wheel
    if chosen is None:
        none = Unfit((REASONS("wheel-none-of-3"),))
        away = remove(environment, "sageattn3") if there else none
        return replace(none, option=away.option) if isinstance(away, Unfit) else away
    return _install(environment, "sageattn3", chosen, [STEPS("fp4-is-coarse")])


def _removal(environment: Environment) -> Step | None:
    if "sageattention" not in environment.packages:
        return None
    found = remove(environment, "sageattention")
    return found.option if isinstance(found, Unfit) else found


def remove(environment: Environment, name: str) -> Step | Unfit:
    """Takes a package out that only does harm; as an option only where it could not be brought back."""
    back = _ways_back(environment, [name])
    lost = back if isinstance(back, Unfit) else None
    step = Step(
        f"remove-{name}",
        STEPS("take-package-out-by-hand" if lost else "take-package-out", package=name),
        (STEPS("only-harm"),),
        commands=_uninstall(environment, name),
        undo=() if isinstance(back, Unfit) else back,
        by_hand=away_by_hand(name, environment),
        undo_by_hand=back_by_hand(name, environment),
        changes=_changes(environment, {name: None}),
    )
    return Unfit(lost.reasons, step) if lost else step


def clear_cache(environment: Environment, around: Surroundings) -> Step | None:
    """Empties what another Triton compiled; None where there is nothing."""
    if not (has_triton(environment) and around.triton_cache_there and around.triton_cache_writable):
        return None
    return Step(
        "clear-triton-cache",
        STEPS("empty-triton-cache"),
        (STEPS("cache-of-another-triton"),),
        commands=(remove_folder(python_of(environment), around.triton_cache, environment.system),),
        sources=(SOURCES["clear-triton-cache"],),
    )


def _install(
    environment: Environment, name: str, chosen: wheel.Wheel, reasons: Sequence[str]
) -> Step | Unfit:
    back = _ways_back(environment, [name])
    package = environment.packages.get(name)
    copies = _uninstall(environment, name) if package is not None and package.copies else ()
    again = ("--force-reinstall",) if package is not None else ()
    step = Step(
        "install-sage" if name == "sageattention" else "install-sage3",
        STEPS("install-version", package=name, version=chosen.version),
        (*reasons, *wheel.why(chosen, environment), INSTALLER("no-deps", installer="pip")),
        commands=(*copies, pip(environment, "install", "--no-deps", *again, chosen.target)),
        undo=() if isinstance(back, Unfit) else back,
        by_hand=away_by_hand(name, environment),
        undo_by_hand=back_by_hand(name, environment),
        changes=_changes(environment, {name: chosen.file}),
        wheel=chosen,
        sources=(chosen.source,),
    )
    if isinstance(back, Unfit):
        return Unfit(back.reasons, step)
    return step


def _uninstall(environment: Environment, name: str) -> tuple[Command, ...]:
    """Once for every copy: pip takes out the one it finds first."""
    package = environment.packages[name]
    copies = len(package.copies) + (not package.as_module)
    return (pip(environment, "uninstall", "-y", name),) * copies


def _ways_back(environment: Environment, names: list[str]) -> tuple[Command, ...] | Unfit:
    """The commands that bring back several packages; removals first, since two may hold the same module."""
    found = {name: way_back(name, environment) for name in names}
    lost = [name for name, commands in found.items() if commands is None]
    if lost:
        package = environment.packages[lost[0]]
        reason = REASONS("no-way-back", package=lost[0], version=package.shown)
        option = Step(
            f"replace-{lost[0]}",
            STEPS("replace-package-by-hand", package=lost[0], version=package.shown),
            commands=_uninstall(environment, lost[0]),
            by_hand=away_by_hand(lost[0], environment),
            undo_by_hand=back_by_hand(lost[0], environment),
        )
        return Unfit((reason,), option)
    known = [commands for commands in found.values() if commands is not None]
    ordered = sorted(known, key=lambda commands: "uninstall" not in commands[0])
    return tuple(command for commands in ordered for command in commands)


def _changes(environment: Environment, after: dict[str, str | None]) -> tuple[Change, ...]:
    packages = environment.packages
    return tuple(
        Change(name, packages[name].shown if name in packages else None, one) for name, one in after.items()
    )
