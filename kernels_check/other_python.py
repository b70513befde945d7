"""A Python named by the user: this very one, or the line that starts the check with it."""

import os
import sys
from pathlib import Path

from ..doctor.commands.quoting import shown
from ..machine.user_error import UserError
from .catalogue import COMMAND

_SYSTEM = "windows" if os.name == "nt" else "linux"
_PROGRAMS = (
    "python.exe",
    "Scripts/python.exe",
    "bin/python",
    "bin/python3",
    "python_embeded/python.exe",
    "../python_embeded/python.exe",
    ".venv/Scripts/python.exe",
    ".venv/bin/python",
    "venv/Scripts/python.exe",
    "venv/bin/python",
)


def expect(named: Path, pack: Path, executable: str = sys.executable) -> None:
    """Returns where a folder or program is the running Python; else says what to do instead.

    Kernels can only be tried in the Python that has them, so for another one the check starts there.
    """
    program = (
        named
        if named.is_file()
        else next((named / one for one in _PROGRAMS if (named / one).is_file()), None)
    )
    if program is None:
        raise UserError(COMMAND("no-environment-named", named=str(named)))
    if os.path.normcase(os.path.abspath(program)) != os.path.normcase(os.path.abspath(executable)):
        line = shown((os.path.abspath(program), "-s", str(pack / "kernels_check")), _SYSTEM)
        raise UserError(COMMAND("another-python", command=line))
