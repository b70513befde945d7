"""The parts of dev.py, one noun per file. Standard library only, but for demo/, which needs torch."""

import os
import subprocess
import sys
from pathlib import Path

PACK = Path(__file__).resolve().parent.parent
DEMO = PACK / ".demo"
EXIT_SOMETHING_MISSING = 3
EXIT_STOPPED = 130
EXIT_UNHEARD = 141


class MissingError(Exception):
    """Something this machine lacks; the message says what, and how to get it."""


def last_words(child: subprocess.CompletedProcess) -> str:
    """The last line of a child's captured stderr: of a traceback the one that names the error."""
    return (child.stderr.strip().splitlines() or [f"it ended with code {child.returncode}"])[-1]


def say(text: str) -> None:
    """One line to whoever reads; a sign that their terminal lacks is shown by its number."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read has left, as head does; what Python still holds back goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_UNHEARD)
