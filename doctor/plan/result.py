"""A plan as it is handed on: what to do on one machine, and everything that it rests on."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ...machine.reason import Reason
from ...machine.redaction import redact
from ..commands.terminal import Terminal
from ..rules import Mismatch
from . import fit
from .finding import Finding
from .step import Step
from .wheel import Wheel

_NONE = Terminal("")


@dataclass(frozen=True)
class Plan:
    """What to do on one machine.

    Attributes:
        outcome: One of those in outcome.py.
        summary: The same in a sentence or two.
        steps: What the written fix does, in order.
        options: What a person may choose beside them; never done by the written fix.
        serving: The kernels that are here without any install.
        findings: What is wrong around this Python.
        mismatches: Versions that do not belong together.
        installed: Each SageAttention that is here: known to fit, known not to, or not known.
        unfit: Why what was wanted cannot be had.
        refused: The nearest files that do not fit, each with its reasons.
        here: This machine's own terminal, where commands are told in full.
        for_others: The one that a page and a forum are told of.
        kind: What kind of Python that is, in words.
        host: "Kaggle" or "Colab", where commands are typed into a notebook.
        uv: The program that its commands are for where this Python has no pip.
    """

    outcome: str
    summary: str
    steps: tuple[Step, ...] = ()
    options: tuple[Step, ...] = ()
    serving: tuple[dict[str, str], ...] = ()
    findings: tuple[Finding, ...] = ()
    mismatches: tuple[Mismatch, ...] = ()
    installed: tuple[fit.Fit, ...] = ()
    unfit: tuple[Reason, ...] = ()
    refused: tuple[tuple[Wheel, tuple[Reason, ...]], ...] = ()
    here: Terminal = _NONE
    for_others: Terminal = _NONE
    kind: str = ""
    host: str = ""
    uv: str = ""

    @property
    def system(self) -> str:
        """Whose shell the commands are for."""
        return self.here.system

    @property
    def stopped_by(self) -> tuple[Finding, ...]:
        """What must be put right by hand before anything can be installed."""
        return tuple(one for one in self.findings if one.stops)

    def texts(self) -> Iterator[str | Reason]:
        """What it says in sentences, which a page may say in another language."""
        yield self.summary
        for step in (*self.steps, *self.options):
            yield from step.texts
        for one in (*(finding.mismatch for finding in self.findings), *self.mismatches):
            yield from one.texts
        yield from self.unfit
        for _, against in self.refused:
            yield from against

    def as_data(self, *, private: bool = False) -> dict[str, Any]:
        """Values for JSON; with ``private``, commands from a folder that names nobody, no path in errors."""
        terminal = self.for_others if private else self.here
        wrong = [one.as_data() for one in self.mismatches]
        installed = [one.as_data() for one in self.installed]
        # What a package said when it was imported may name its folder.
        for one in wrong if private else ():
            one["reason"]["came"] = redact(one["reason"]["came"], terminal.names)
        for one in installed if private else ():
            one["known"] = redact(one["known"], terminal.names)
        return {
            "outcome": self.outcome,
            "summary": self.summary,
            "kind": self.kind,
            "host": self.host,
            "system": terminal.system,
            "place": terminal.place,
            "open_in": terminal.open_in,
            "steps": [step.as_data(terminal) for step in self.steps],
            "options": [step.as_data(terminal) for step in self.options],
            "serving": [dict(one) for one in self.serving],
            "findings": [one.as_data() for one in self.findings],
            "mismatches": wrong,
            "installed": installed,
            "unfit": [vars(one) for one in self.unfit],
            "refused": [
                {"file": wheel.file, "reasons": [vars(one) for one in against]}
                for wheel, against in self.refused
            ],
        }
