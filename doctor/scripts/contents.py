"""What goes into a script, whatever shell it is for."""

from dataclasses import dataclass, replace

from ..commands.quoting import Command, shown
from ..plan.plan import Plan
from ..plan.step import Step


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
