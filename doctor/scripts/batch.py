"""The written fix for cmd.exe."""

from ..commands.quoting import Command, in_batch, shown
from ..plan.step import Step
from .contents import Fix

# On a line of its own and by its value: `||` misses what wine and old versions of cmd.exe return, and
# `if errorlevel 1` misses a crash, whose exit code is negative.
_OR_STOP = 'if not "%errorlevel%"=="0" goto :stopped'
_START = """\
@echo off
rem A fix for ComfyUI's attention kernels. Read it, then start it with a double click.
rem Made for: {machine}
rem It stops at the first failure, never removes torch, and tells how to go back.
setlocal EnableExtensions DisableDelayedExpansion
chcp 65001 >nul
set "REACHED=0"
"""


def text(fix: Fix) -> str:
    """The whole script; line ends are the writer's."""
    parts = [_START.format(machine=_literal(fix.machine)), *_show(fix), *_keep(fix)]
    for number, step in enumerate(fix.steps, 1):
        parts += [
            "",
            "echo.",
            echo(f"Step {number} of {len(fix.steps)}: {step.title}"),
            f'set "REACHED={number}"',
        ]
        parts += _commands(step)
        parts += ['set "WHY=torch is not what it was."', "call :torch_is_there", _OR_STOP]
    return "\n".join([*parts, *_end(fix), *_go_back(fix), *_torch(fix)]) + "\n"


def echo(line: str) -> str:
    """The command that prints a line as it is."""
    out, quoted = "", False
    for letter in line:
        if letter == '"':
            quoted = not quoted
        # Inside double quotes cmd.exe takes a caret for itself, and needs none.
        out += "^" + letter if letter in "&|<>^()" and not quoted else letter
    return f"echo {out.replace('%', '%%')}"


def _literal(line: str) -> str:
    return line.replace("%", "%%").replace("\n", " ")


def _command(command: Command) -> str:
    return in_batch(command)


def _show(fix: Fix) -> list[str]:
    lines = [echo(f"This will change packages of {fix.plan.kind}:")]
    lines += [echo(f"  First: {step.title}") for step in fix.before]
    for number, step in enumerate(fix.steps, 1):
        lines.append(echo(f"  {number}. {step.title}"))
        lines += [echo("       " + shown(command, "windows")) for command in step.commands]
    return [
        *lines,
        "echo Close ComfyUI first. Afterwards the kernels are checked again.",
        'set "ANSWER="',
        'set /p "ANSWER=Type yes to go on: "',
        'if /i not "%ANSWER%"=="yes" goto :declined',
        'set "WHY=this Python or its torch is not the one that the fix was written for."',
        "call :torch_is_there",
        _OR_STOP,
    ]


def _keep(fix: Fix) -> list[str]:
    kept, listed = (f'"{_literal(fix.kept)}{end}"' for end in ("", "\\packages.txt"))
    lines = [
        "",
        "echo.",
        "echo Before anything is changed:",
        'set "WHY=the list of packages cannot be kept."',
        f"if not exist {kept} mkdir {kept}",
        _OR_STOP,
        "rem The first list stays: a second start must not replace it by what the first start changed.",
        f"if exist {listed} goto :listed",
        f"{_command(fix.freeze)} >{listed}",
        'if not "%errorlevel%"=="0" goto :not_listed',
        ":listed",
        'set "WHY=a command failed."',
    ]
    for step in fix.before:
        lines += [echo("  " + step.title), *_commands(step)]
    return lines


def _commands(step: Step) -> list[str]:
    lines = ['set "WHY=that command failed."']
    for command in step.commands:
        lines += [echo("  " + shown(command, "windows")), _command(command), _OR_STOP]
    return lines


def _end(fix: Fix) -> list[str]:
    return [
        "",
        "echo.",
        "echo Checking the kernels:",
        'set "WHY=the kernel check found something wrong."',
        _command(fix.check),
        "if errorlevel 2 goto :stopped",
        "rem A crash has a negative exit code.",
        "if not errorlevel 0 goto :stopped",
        "echo.",
        "echo Done. Start ComfyUI again; the node Patch Sage Attention needs no launch flag.",
        "call :go_back",
        "pause",
        "exit /b 0",
        "",
        ":declined",
        "echo Nothing was changed.",
        "pause",
        "exit /b 1",
        "",
        ":not_listed",
        f'del "{_literal(fix.kept)}\\packages.txt"',
        ":stopped",
        "echo.",
        "echo STOPPED: %WHY%",
        "call :go_back",
        "pause",
        "exit /b 1",
    ]


def _go_back(fix: Fix) -> list[str]:
    lines = ["", ":go_back", 'if "%REACHED%"=="0" echo Nothing was changed.', 'if "%REACHED%"=="0" exit /b 0']
    lines.append("echo To go back, type these lines into cmd.exe:")
    for number, step in reversed(list(enumerate(fix.steps, 1))):
        told = [f"  {shown(command, 'windows')}" for command in step.undo]
        told += [f"  {step.undo_by_hand}"] if step.undo_by_hand else []
        lines += [f"if %REACHED% GEQ {number} {echo(line)}" for line in told]
    kept = f"The list of packages as they were, and the files to go back to: {fix.kept}"
    return [*lines, echo(kept), "exit /b 0"]


def _torch(fix: Fix) -> list[str]:
    return ["", ":torch_is_there", f"{_command(fix.torch)} >nul 2>nul", "exit /b %errorlevel%"]
