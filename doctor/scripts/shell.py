"""The written fix for a POSIX shell."""

import shlex

from ..commands.quoting import Command, shown
from ..plan.step import Step
from .contents import Fix

_START = """\
#!/bin/sh
# A fix for ComfyUI's attention kernels. Read it, then start it: sh FILE
# Made for: {machine}
# It stops at the first failure, never removes torch, and tells how to go back.
reached=0
say() {{ printf '%s\\n' "$@"; }}
quietly() {{ "$@" >/dev/null 2>&1; }}
stop() {{
    say "" "STOPPED: $1"
    go_back
    exit 1
}}
run() {{
    say "  $*"
    "$@" </dev/null || stop "that command failed."
}}
"""


def text(fix: Fix) -> str:
    """The whole script."""
    parts = [
        _START.format(machine=_comment(fix.machine)),
        *_torch(fix),
        *_go_back(fix),
        *_show(fix),
        *_guards(fix),
        *_keep(fix),
    ]
    for number, step in enumerate(fix.steps, 1):
        parts += [
            "",
            f"say '' {_quoted(f'Step {number} of {len(fix.steps)}: {step.title}')}",
            f"reached={number}",
        ]
        parts += _commands(step)
        parts += ["torch_is_there || stop 'torch is not what it was.'"]
    return "\n".join([*parts, *_end(fix)]) + "\n"


def _torch(fix: Fix) -> list[str]:
    return ["torch_is_there() {", f"    quietly {_command(fix.torch)}", "}"]


def _go_back(fix: Fix) -> list[str]:
    lines = ["go_back() {", '    if [ "$reached" -eq 0 ]; then say "Nothing was changed."; return; fi']
    lines += ["    say 'To go back, type these lines:'"]
    for number, step in reversed(list(enumerate(fix.steps, 1))):
        told = [f"  {shown(command, 'linux')}" for command in step.undo]
        told += [f"  {step.undo_by_hand}"] if step.undo_by_hand else []
        lines += [f'    if [ "$reached" -ge {number} ]; then say {_quoted(line)}; fi' for line in told]
    kept = f"The list of packages as they were, and the files to go back to: {fix.kept}"
    return [*lines, f"    say {_quoted(kept)}", "}", ""]


def _show(fix: Fix) -> list[str]:
    lines = [f"say {_quoted('This will change packages of ' + fix.plan.kind + ':')}"]
    lines += [f"say {_quoted(f'  First: {step.title}')}" for step in fix.before]
    for number, step in enumerate(fix.steps, 1):
        lines.append(f"say {_quoted(f'  {number}. {step.title}')}")
        lines += [f"say {_quoted('       ' + shown(command, 'linux'))}" for command in step.commands]
    return [
        *lines,
        "say 'Close ComfyUI first. Afterwards the kernels are checked again.'",
        "printf 'Type yes to go on: '",
        "read -r answer || answer=",
        'if [ "$answer" != yes ]; then say "Nothing was changed."; exit 1; fi',
        "",
    ]


def _guards(fix: Fix) -> list[str]:
    return ["torch_is_there || stop 'this Python or its torch is not the one that the fix was written for.'"]


def _keep(fix: Fix) -> list[str]:
    kept = shlex.quote(fix.kept)
    listed = shlex.quote(fix.kept + "/packages.txt")
    lines = [
        "",
        "say '' 'Before anything is changed:'",
        f"mkdir -p {kept} || stop 'the folder for what is kept cannot be made.'",
        "# The first list stays: a second start must not replace it by what the first start changed.",
        f"if [ ! -e {listed} ]; then",
        f"    {_command(fix.freeze)} >{listed}.new || stop 'the list of packages cannot be had.'",
        f"    mv {listed}.new {listed} || stop 'the list of packages cannot be kept.'",
        "fi",
    ]
    for step in fix.before:
        lines += [f"say {_quoted('  ' + step.title)}", *_commands(step)]
    return lines


def _commands(step: Step) -> list[str]:
    return [f"run {_command(command)}" for command in step.commands]


def _end(fix: Fix) -> list[str]:
    return [
        "",
        "say '' 'Checking the kernels:'",
        _command(fix.check),
        "verdict=$?",
        '[ "$verdict" -lt 2 ] || stop "the kernel check found something wrong (exit code $verdict)."',
        "say '' 'Done. Start ComfyUI again; the node Patch Sage Attention needs no launch flag.'",
        "go_back",
    ]


def _command(command: Command) -> str:
    return " ".join(shlex.quote(part) for part in command)


def _quoted(line: str) -> str:
    return shlex.quote(line)


def _comment(line: str) -> str:
    return line.replace("\n", " ")
