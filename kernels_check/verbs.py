"""What the command line asks of the doctor, one function a verb; each returns the exit code."""

import json
import os
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from ..doctor.causes.answer import decode, explain, read_ends
from ..doctor.commands.python import python_of
from ..doctor.commands.quoting import shown
from ..doctor.described import read_machine
from ..doctor.plan import failures
from ..doctor.plan.outcome import TO_SEE_TO
from ..doctor.plan.plan import Plan, make_plan
from ..doctor.plan.step import Step
from ..doctor.scripts.fix import write_fix
from ..doctor.scripts.launcher import write_launcher
from ..doctor.text import answer_lines, plan_lines
from ..kernels.families import sought
from ..machine import Environment
from ..machine.layout import Layout
from ..machine.redaction import of_this_machine
from ..machine.surroundings import Surroundings, read_surroundings
from ..machine.user_error import UserError
from . import backups, other_python
from .catalogue import COMMAND, HELP

FINE, REFUSED = 0, 1
_NOT_WITH_A_VERB = (
    "plan",
    "sage3",
    "explain",
    "machine",
    "write_fix",
    "write_launcher",
    "with_flag",
    "report",
    "full",
)


def add_options(parser: ArgumentParser) -> None:
    """The doctor's options."""
    group = parser.add_argument_group("doctor", HELP("help-of-doctor"))
    group.add_argument("--plan", action="store_true", help=HELP("help-plan"))
    group.add_argument("--sage3", action="store_true", help=HELP("help-sage3"))
    group.add_argument("--explain", metavar="FILE", help=HELP("help-explain"))
    group.add_argument("--machine", metavar="FILE", type=Path, help=HELP("help-machine"))
    group.add_argument("--write-fix", metavar="FILE", type=Path, help=HELP("help-write-fix"))
    group.add_argument(
        "--write-launcher",
        metavar="FILE",
        type=Path,
        nargs="?",
        const=Path(),
        help=HELP("help-write-launcher"),
    )
    group.add_argument("--with-flag", action="store_true", help=HELP("help-with-flag"))
    group.add_argument("--report", action="store_true", help=HELP("help-report"))
    group.add_argument("--python", metavar="FOLDER", type=Path, help=HELP("help-python"))
    _add_backup(parser)


def _add_backup(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("backup", HELP("help-of-backups"))
    group.add_argument("verb", nargs="?", choices=backups.VERBS, help=HELP("help-verbs"))
    group.add_argument("name", metavar="NAME", nargs="?", help=HELP("help-name"))
    group.add_argument("--to", metavar="DIR", type=Path, help=HELP("help-to"))


def before_reading(options: Namespace, pack: Path) -> None:
    """What can be refused before the machine is read."""
    if options.to is not None and options.verb is None:
        raise UserError(COMMAND("to-without-verb"))
    if options.verb is not None:
        if other := next((one for one in _NOT_WITH_A_VERB if vars(options)[one]), None):
            option = other.replace("_", "-")
            raise UserError(COMMAND("verb-goes-without", verb=options.verb, option=option))
        # The environment that is meant may be another than the one that runs.
        return
    if options.machine is not None and not _is_about_another(options):
        raise UserError(COMMAND("machine-goes-alone"))
    if options.python is not None:
        other_python.expect(options.python, pack)
    if options.with_flag and options.write_launcher is None:
        raise UserError(COMMAND("with-flag-alone"))


def _is_about_another(options: Namespace) -> bool:
    here = ("write_fix", "write_launcher", "report", "full", "python", "store")
    if any(vars(options)[name] for name in here):
        return False
    return options.plan != (options.explain is not None)


def for_another(options: Namespace) -> int:
    """Plans or explains for the machine in a file."""
    environment, around = read_machine(options.machine)
    if options.explain is not None:
        return explain_file(options, environment, around)
    plan = make_plan(environment, around, sage3=options.sage3)
    lines = plan_lines(plan)
    say(lines, {"plan": plan.as_data() | {"lines": lines}}, options.json)
    return outcome(plan)


def is_asked(options: Namespace) -> bool:
    """Whether a verb is asked for that needs no kernel to be tried."""
    return options.plan or options.write_fix is not None or options.write_launcher is not None


def run(
    options: Namespace,
    environment: Environment,
    layout: Layout,
    pack: Path,
    found: failures.Found,
) -> int:
    """Plans, with what the last check found, and writes what is asked for."""
    around = read_surroundings(environment, layout)
    plan = make_plan(environment, around, sage3=options.sage3, **failures.told(found))
    code = outcome(plan)
    if options.plan:
        lines = plan_lines(plan)
        say(lines, {"plan": plan.as_data() | {"lines": lines}}, options.json)
    if options.write_fix is not None:
        code = _fix(options.write_fix, plan, environment, pack)
    if options.write_launcher is not None:
        file = None if options.write_launcher == Path() else options.write_launcher
        written = write_launcher(file, environment, around, flag=options.with_flag)
        sys.stderr.write(COMMAND("launcher-written", file=str(written)) + "\n")
        code = FINE if options.write_fix is None else code
    return code


def outcome(plan: Plan) -> int:
    """The exit code that a plan stands for."""
    return REFUSED if plan.outcome in TO_SEE_TO else FINE


def explain_file(options: Namespace, environment: Environment, around: Surroundings) -> int:
    """Answers a log; 1 where it says nothing known."""
    text = _read(options.explain)
    plan = make_plan(environment, around)
    answers = explain(text, plan, environment)
    say(answer_lines(answers), {"answers": [one.as_data() for one in answers]}, options.json)
    return FINE if answers else REFUSED


def say(lines: list[str], data: dict, as_json: bool) -> None:
    """Prints one of the two."""
    sys.stdout.write((json.dumps(data, indent=1) if as_json else "\n".join(lines)) + "\n")


def _fix(file: Path, plan: Plan, environment: Environment, pack: Path) -> int:
    if not plan.steps:
        sys.stderr.write(COMMAND("nothing-to-write", summary=plan.summary) + "\n")
        return REFUSED
    write_fix(file, plan, environment, pack, before=_backup_first(environment, pack))
    start = shown((str(file),) if plan.system == "windows" else ("sh", str(file)), plan.system)
    sys.stderr.write(COMMAND("fix-written", file=str(file), command=start) + "\n")
    return FINE


def _backup_first(environment: Environment, pack: Path) -> tuple[Step, ...]:
    """The backup that a script begins with; none of a Python that is no folder of its own."""
    try:
        return backups.step_before_a_fix(environment, pack, python_of(environment))
    except UserError as error:
        sys.stderr.write(COMMAND("fix-without-backup", why=str(error)) + "\n")
        return ()


def _read(named: str) -> str:
    if named == "-":
        if sys.stdin.isatty():
            on_windows = os.name == "nt"
            sys.stderr.write(COMMAND("paste-until-ctrl-z" if on_windows else "paste-until-ctrl-d") + "\n")
        return decode(read_ends(sys.stdin.buffer))
    try:
        with open(named, "rb") as stream:
            return decode(read_ends(stream))
    except OSError as error:
        raise UserError(COMMAND("log-unreadable", file=named, error=error.strerror or str(error))) from None


def names() -> list[str]:
    """The names of this user and computer, for a report to leave out."""
    told = [name.lower() for name in sought().names]
    return [name for name in of_this_machine().names if not any(name.lower() in one for one in told)]
