"""Real public reports as cases for the doctor: what was pasted, on which machine, and what is true of it.

A case is a folder under tests/cases/doctor: input.txt, machine.json where the machine is known, truth.json.
Of each group of ``must_say`` one expression is found in the causes, fixes and commands, and none of
``must_not_say``.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sagekit.doctor.causes.answer import decode, explain
from sagekit.doctor.described import read_machine
from sagekit.doctor.plan.plan import make_plan
from sagekit.doctor.text import plan_lines
from sagekit.machine.surroundings import Surroundings

FOLDER = Path(__file__).resolve().parent.parent / "cases" / "doctor"
RIGHT, PARTLY, SILENT, MISLEADING = "right", "partly", "silent", "misleading"


@dataclass(frozen=True)
class Case:
    """One report.

    Attributes:
        name: Of its folder.
        folder: Where it lies.
        truth: What is true of it.
    """

    name: str
    folder: Path
    truth: dict[str, Any]

    @property
    def text(self) -> str:
        """What was pasted."""
        return decode((self.folder / "input.txt").read_bytes())

    def said(self) -> str:
        """What the doctor says: its plan, or its causes, fixes and commands; not the line that it quotes."""
        machine = self.folder / "machine.json"
        environment, around = read_machine(machine) if machine.exists() else (None, Surroundings())
        plan = make_plan(environment, around) if environment else None
        if self.truth["kind"] == "plan":
            return "\n".join(plan_lines(plan))
        answers = explain(self.text, plan, environment)
        return "\n".join(part for one in answers for part in (one.cause, one.fix, *one.commands))


def cases(kind: str) -> list[Case]:
    """All of a kind: "explain" or "plan"."""
    files = sorted(FOLDER.rglob("truth.json"))
    found = [Case(file.parent.name, file.parent, json.loads(file.read_text("utf-8"))) for file in files]
    return [one for one in found if one.truth["kind"] == kind]


def judged(truth: dict[str, Any], said: str) -> str:
    """RIGHT, PARTLY, SILENT or MISLEADING."""
    text = re.sub(r"\s+", " ", said)
    if not text.strip():
        return SILENT
    if any(re.search(one, text, re.I) for one in truth["must_not_say"]):
        return MISLEADING
    met = (any(re.search(one, text, re.I) for one in group) for group in truth["must_say"])
    return RIGHT if all(met) else PARTLY
