"""A command as a person types it, quoted for each shell by that shell's own rules."""

import re
import shlex

from .catalogue import TERMINAL

Command = tuple[str, ...]

# What cmd.exe or PowerShell takes for itself outside double quotes.
_SPECIAL_ON_WINDOWS = frozenset(" \t&|<>()^;,=!%'`~*?[]{}+$#@")
# Inside double quotes PowerShell still takes these, and cmd.exe a pair of percent signs, as a variable.
_SPECIAL_TO_POWERSHELL = frozenset("$`")
_VARIABLE = re.compile(r"%[^%]+%")


class NotTypedError(ValueError):
    """No line of that shell stands for the command."""


def shown(command: Command, system: str) -> str:
    """A command as a person types it, into cmd.exe on Windows, else into a shell."""
    return for_windows(command) if system == "windows" else for_sh(command)


def for_sh(command: Command) -> str:
    """For sh, bash, zsh. A ``~/`` at the beginning of an argument is the home folder."""
    program, *arguments = command
    return " ".join([_program_for_sh(program), *map(_argument_for_sh, arguments)])


def for_windows(command: Command) -> str:
    """For cmd.exe; PowerShell takes the same line where the program needs no quotes."""
    for part in command:
        if '"' in part or "\n" in part or "\r" in part:
            raise NotTypedError(TERMINAL("cannot-be-handed", part=repr(part)))
    return " ".join(f'"{part}"' if not part or set(part) & _SPECIAL_ON_WINDOWS else part for part in command)


def in_batch(command: Command) -> str:
    """For a line of a .bat file, where a percent sign is written twice."""
    return for_windows(command).replace("%", "%%")


def is_plain_on_windows(command: Command) -> bool:
    """Whether cmd.exe and PowerShell read the line of a command alike, as it was meant."""
    program, *arguments = command
    return not set(program) & _SPECIAL_ON_WINDOWS and not any(
        set(one) & _SPECIAL_TO_POWERSHELL or is_a_variable_to_cmd(one) for one in arguments
    )


def is_a_variable_to_cmd(part: str) -> bool:
    """Whether cmd.exe's prompt would put a variable's value in, as it does even between quotes."""
    # An address has percent signs too, and no variable has a name with the letters between them.
    return "://" not in part and _VARIABLE.search(part) is not None


def _program_for_sh(program: str) -> str:
    # A name without a folder may be one of the shell's own words.
    if "/" not in program or not set(program) - _PLAIN_TO_SH:
        return program
    return f'"{program}"' if not set(program) & set('$`\\"!\n') else shlex.quote(program)


def _argument_for_sh(argument: str) -> str:
    if argument.startswith("~/"):
        # Quotes would keep the shell from reading it as the home folder.
        return "~/" + (shlex.quote(argument[2:]) if argument[2:] else "")
    return shlex.quote(argument)


_PLAIN_TO_SH = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%_+=:,./-")
