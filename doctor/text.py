"""A plan, findings and answers as lines for a terminal."""

from collections.abc import Iterator

from .causes.answer import Answer
from .commands.terminal import Terminal
from .plan import fit
from .plan.plan import NOT_JUDGED, Plan
from .plan.step import Step


def plan_lines(plan: Plan, *, versions: bool = True) -> list[str]:
    """The plan, with the commands as they are to be typed, and with the versions that do not fit together."""
    lines = [f"Plan for {plan.kind}: {plan.summary}"]
    if plan.findings:
        lines += ["", "Around this Python:"]
        lines += [f"  {'' if one.remark else '! '}{one.mismatch}" for one in plan.findings]
    if plan.mismatches and versions:
        lines += ["", "What does not fit together:"]
        lines += [f"  {one}" for one in plan.mismatches]
    unclear = [one for one in plan.installed if one.state == fit.UNKNOWN]
    # Where nothing else is the matter the summary has said it.
    if unclear and plan.outcome != NOT_JUDGED:
        lines += ["", "Installed, and not known to fit:"]
        lines += [f"  {one.name} {one.version}: {one.known}. What tells: {one.tells}." for one in unclear]
    if plan.serving:
        lines += ["", "Here already, without any install:"]
        lines += [f"  {one['kernel']}: {one['what']}" for one in plan.serving]
    for number, step in enumerate(plan.steps, 1):
        lines += ["", *_step_lines(f"{number}. {step.title}", step, plan.here)]
    if plan.unfit:
        lines += ["", "What does not fit:"]
        lines += [f"  {reason.with_code}" for reason in plan.unfit]
    if plan.refused:
        lines += ["", "The nearest files, and what would have to be otherwise for them:"]
        lines += [f"  {wheel.file}: {'; '.join(map(str, against))}" for wheel, against in plan.refused]
    for step in plan.options:
        lines += ["", *_step_lines(f"Another way: {step.title}", step, plan.here)]
    if any(step.commands for step in (*plan.steps, *plan.options)):
        lines += ["", plan.here.open_in] if plan.here.open_in else []
        if plan.system == "windows" and any(line.lstrip().startswith('"') for line in lines):
            told = "The commands are for cmd.exe; in PowerShell put & and a space before a first quote."
            lines += ["", told]
        if plan.host:
            lines += ["", "In a cell of the notebook put ! before each command."]
    return lines


def answer_lines(answers: list[Answer]) -> list[str]:
    """Causes and fixes, most specific first."""
    if not answers:
        return [
            "Nothing in this text is known here. An issue of this pack needs it and what --report prints."
        ]
    lines: list[str] = ["", answers[0].note] if answers[0].note else []
    for answer in answers:
        lines += ["", answer.line or "The log as a whole"]
        lines += [f"  cause: {answer.cause}", f"  fix: {answer.fix}"]
        lines += [f"    {command}" for command in answer.commands]
        lines += [f"  [{answer.code}, {answer.confidence} confidence; {', '.join(answer.sources)}]"]
    there = dict.fromkeys(answer.open_in for answer in answers if answer.open_in)
    lines += [line for place in there for line in ("", place)]
    return lines[1:]


def _step_lines(title: str, step: Step, terminal: Terminal) -> Iterator[str]:
    told, back = terminal.tell(step.commands), terminal.tell(step.undo)
    yield title
    yield from (f"   {line}" for line in step.why)
    if step.by_hand:
        yield f"   By hand: {step.by_hand}"
    yield from (f"     {line}" for line in (*told.lines, told.missing) if line)
    if step.undo or step.undo_by_hand:
        yield "   To go back:"
        yield from (f"     {line}" for line in (*back.lines, back.missing) if line)
        if step.undo_by_hand:
            yield f"     {step.undo_by_hand}"
