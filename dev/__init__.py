"""The parts of dev.py, one noun per file. Standard library only, but for demo/, which needs torch."""

import sys
from pathlib import Path

PACK = Path(__file__).resolve().parent.parent
DEMO = PACK / ".demo"


class MissingError(Exception):
    """Something this machine lacks; the message says what, and how to get it."""


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
