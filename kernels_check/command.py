"""The command line: what this machine is, what each kernel does on it, and what does not fit together."""

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ..check import check, verdicts
from ..check.verdicts import REFUSED, Verdict
from ..doctor import rules
from ..doctor.causes.answer import explain
from ..doctor.described import machine_line, surroundings_data
from ..doctor.plan import failures
from ..doctor.plan.plan import WELL, Plan, make_plan
from ..doctor.report import block
from ..doctor.text import answer_lines, plan_lines
from ..kernels.families import backends, sought
from ..machine import Environment, layout, read_environment, with_gpus_from_torch
from ..machine.printable import words
from ..machine.redaction import of_this_machine
from ..machine.surroundings import read_surroundings
from ..machine.user_error import UserError
from . import backups, verbs
from .catalogue import COMMAND, HELP

ALL_WELL, SOMETHING_REFUSED, SOMETHING_WRONG, CHECK_FAILED = range(4)
_PACK = Path(__file__).resolve().parent.parent


def main(arguments: list[str] | None = None) -> int:
    """Runs the check; returns 0 all well, 1 something refused, 2 something wrong or crashed, 3 it failed."""
    for stream in (sys.stdout, sys.stderr):
        # What a redirected stream cannot spell, as a name in a code page of Windows, must not end the check.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        return _run(_parse(arguments))
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return CHECK_FAILED
    except Exception as error:
        sys.stderr.write(COMMAND("check-itself-failed", error=words(error)) + "\n")
        return CHECK_FAILED


class _Parser(argparse.ArgumentParser):
    """One that ends with this command's own code: argparse's would say that a kernel crashed."""

    def error(self, message: str):
        raise UserError(COMMAND("wrong-usage", fault=message[:1].upper() + message[1:]))


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = _Parser(
        prog="kernels_check",
        description=HELP("help-of-command"),
        epilog=HELP("help-of-exit-codes"),
    )
    parser.add_argument("--json", action="store_true", help=HELP("help-json"))
    parser.add_argument("--full", action="store_true", help=HELP("help-full"))
    parser.add_argument("--store", type=Path, help=HELP("help-store"))
    verbs.add_options(parser)
    return parser.parse_args(arguments)


def _run(options: argparse.Namespace) -> int:
    verbs.before_reading(options, _PACK)
    if options.verb is not None:
        return backups.run(options, _PACK)
    if options.machine is not None:
        return verbs.for_another(options)
    # The pack as it was started, which may be a link in custom_nodes, and as it is.
    here = layout.around((Path(sys.argv[0]).absolute().parent, _PACK))
    environment = read_environment(sought(), here.comfyui)
    if options.explain is not None:
        return verbs.explain_file(options, environment, read_surroundings(environment, here))
    environment = _with_gpus(environment)
    if verbs.is_asked(options):
        file = options.store or here.verdicts
        known = check.load(file, environment)[0].verdicts if file else {}
        return verbs.run(options, environment, here, _PACK, known)
    devices = {gpu.name: f"cuda:{gpu.index}" for gpu in reversed(environment.gpus)} or {"": "cpu"}
    found = {gpu: _check(gpu, device, options) for gpu, device in devices.items()}
    mismatches = rules.mismatches(environment)
    around = read_surroundings(environment, here)
    plan = make_plan(
        environment,
        around,
        sage3=options.sage3,
        **failures.told(found),
    )
    remark = _keep(options.store, here, environment, found)
    if options.json:
        data = _as_data(environment, found, mismatches) | {"plan": plan.as_data()}
        data["surroundings"] = surroundings_data(around)
        sys.stdout.write(json.dumps(data, indent=1) + "\n")
    elif options.report:
        lines = [_machine(environment, plan), *_lines(environment, found, mismatches, remark)]
        if plan.findings:
            lines += ["", COMMAND("title-of-surroundings"), *(f"  {one.mismatch}" for one in plan.findings)]
        lines += ["", COMMAND("plan-line", outcome=plan.outcome, summary=plan.summary)]
        lines += ["", machine_line(environment, around)]
        sys.stdout.write(block(lines, verbs.names(), here.comfyui or here.base) + "\n")
    else:
        lines = _lines(environment, found, mismatches, remark)
        sys.stdout.write("\n".join([*lines, *_plan_lines(plan, found, environment)]) + "\n")
    return _exit_code(found, mismatches)


def _with_gpus(environment: Environment) -> Environment:
    """The environment with what torch says of the GPUs, where torch is there and imports."""
    if environment.torch is None:
        return environment
    try:
        return with_gpus_from_torch(environment)
    except Exception as error:  # A broken torch raises whatever it likes, and is what the user came for.
        unread = COMMAND("gpus-unread", error=words(error))
        return replace(environment, gpus=(), unread=(*environment.unread, unread))


def _check(gpu: str, device: str, options: argparse.Namespace) -> dict[str, Verdict]:
    live = sys.stderr.isatty() and not options.json

    def progress(kernel: str, case: str) -> None:
        if live:
            sys.stderr.write(f"\r{kernel}: {case}"[:100].ljust(100))
            sys.stderr.flush()

    names = list(backends().values())
    if device == "cpu":
        return {backend.name: _refused_off_cuda(backend) for backend in names}
    found = check.check(names, device, thorough=options.full, timed=True, progress=progress)
    if live:
        sys.stderr.write("\r" + " " * 100 + "\r")
    return found


def _refused_off_cuda(backend) -> Verdict:
    if backend.machine:
        return Verdict(REFUSED, None, COMMAND("refused-for", reasons=tuple(map(str, backend.machine))))
    return Verdict(REFUSED, None, COMMAND("no-gpu-to-try-on"))


def _keep(
    named: Path | None,
    here: layout.Layout,
    environment: Environment,
    found: Mapping[str, Mapping[str, Verdict]],
) -> str:
    """Stores the verdicts where the server looks; returns what to tell about it."""
    file = named or here.verdicts
    if file is None:
        return COMMAND("verdicts-have-no-folder")
    # A server that wrote there before looks there again.
    sure = named or here.told or file.parent.is_dir()
    stored, _ = check.load(file, environment)
    for gpu, verdicts_of_gpu in found.items():
        if gpu:
            stored = stored.with_verdicts(gpu, verdicts_of_gpu)
    if trouble := verdicts.write(file, stored):
        return trouble
    return COMMAND("verdicts-kept" if sure else "verdicts-kept-as-it-seems", folder=str(file.parent))


def _exit_code(found: Mapping[str, Mapping[str, Verdict]], mismatches) -> int:
    """Kernels whose package is not installed are no fault; whatever is installed should work."""
    states = {
        verdict.state
        for of_gpu in found.values()
        for name, verdict in of_gpu.items()
        if not backends()[name].machine
    }
    if states & {verdicts.WRONG, verdicts.CRASHED, verdicts.TIMED_OUT, verdicts.NOT_IMPORTABLE}:
        return SOMETHING_WRONG
    return SOMETHING_REFUSED if REFUSED in states or mismatches or not states else ALL_WELL


def _as_data(environment: Environment, found, mismatches) -> dict:
    hidden = of_this_machine()
    return {
        "environment": hidden.redact_all(environment.as_data()),
        "kernels": {
            gpu: {
                name: vars(one) | {"detail": one.told, "times": dict(one.times)}
                for name, one in of_gpu.items()
            }
            for gpu, of_gpu in found.items()
        },
        "mismatches": [one.as_data() for one in mismatches],
        "limits": [one.as_data() for one in rules.limits(environment)],
    }


def _lines(environment: Environment, found, mismatches, remark: str) -> list[str]:
    lines = [f"{name}: {value}" for name, value in check.versions_of(environment).items()]
    lines += [COMMAND("not-read", what=one) for one in environment.unread]
    for gpu, of_gpu in found.items():
        lines += ["", COMMAND("kernels-on", gpu=gpu) if gpu else COMMAND("kernels-without-gpu")]
        width = max(map(len, of_gpu))
        for name, verdict in of_gpu.items():
            lines.append(f"  {name:{width}}  {verdict}")
            times = (
                COMMAND("time-of-shape", shape=shape, milliseconds=ms) for shape, ms in verdict.times.items()
            )
            lines += [f"{'':{width}}    {one}" for one in times]
    if mismatches:
        lines += ["", COMMAND("title-of-mismatches")]
        lines += [f"  {one}" for one in mismatches]
    if limits := rules.limits(environment):
        lines += ["", COMMAND("title-of-limits")]
        lines += [f"  {one}" for one in limits]
    return [*lines, "", COMMAND("verdicts-line", remark=remark)]


def _machine(environment: Environment, plan: Plan) -> str:
    machine = environment.python.machine if environment.python else ""
    told = (
        COMMAND("system-and-release", system=environment.system, release=environment.release),
        "WSL" if environment.wsl else "",
        machine,
        plan.kind,
        COMMAND("comfyui-version", version=environment.comfyui) if environment.comfyui else "",
    )
    return COMMAND("system-line", facts=tuple(filter(None, told)))


def _plan_lines(
    plan: Plan, found: Mapping[str, Mapping[str, Verdict]], environment: Environment
) -> list[str]:
    """The plan where there is something to do, and what the kernels' errors mean."""
    answers = explain(failures.errors(found), plan, environment)
    lines = ["", COMMAND("title-of-errors"), *answer_lines(answers)] if answers else []
    return lines if plan.outcome == WELL else [*lines, "", *plan_lines(plan, versions=False)]
