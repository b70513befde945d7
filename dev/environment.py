"""A Python environment of our own: made once, and installed into only when what is wanted has changed."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

from . import PACK, MissingError, say

VENV = Path(os.environ.get("SAGEKIT_VENV") or PACK / ".venv").expanduser().absolute()
# In an environment without this file nothing is ever installed: somebody else made it.
STAMP = VENV / "sagekit-installed.json"

# A pair that belongs together: the host names neither version, and pip alone picks the newest of each.
TORCH = ["torch==2.14.1", "torchvision==0.29.1"]
# What the tests without a host need besides torch and requirements-dev.txt.
UNIT_TESTS = ["numpy>=1.25.0"]


def python_in(venv: Path) -> Path:
    return venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def torch_in(python: Path) -> str:
    """The torch version and the device it sees, "2.14.1 cuda"; empty where it cannot be imported."""
    code = "import torch; print(torch.__version__, 'cuda' if torch.cuda.is_available() else 'cpu')"
    child = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=False)
    return child.stdout.strip() if child.returncode == 0 else ""


def groups_for(host: Path | None) -> dict[str, list[str]]:
    """What to install to run this host, or the tests without one: arguments of pip by a name."""
    rest = ["-r", str(host / "requirements.txt")] if host else UNIT_TESTS
    # The pair again with the rest, so that nothing there replaces it.
    return {"torch": TORCH, "host": [*TORCH, *rest]}


def environment(groups: dict[str, list[str]]) -> Path:
    """The Python of our environment, made and brought up to date where it has to be."""
    python = python_in(VENV)
    if python.exists() and not STAMP.exists():
        say(f"Python: {python} (not made by this program: used as it is, nothing is installed into it)")
        return python
    if not _runs(python):
        _make(python)
    installed = json.loads(STAMP.read_text(encoding="utf-8"))
    for name, arguments in groups.items():
        wanted = _fingerprint(arguments)
        if installed.get(name) != wanted:
            _install(python, arguments)
            installed[name] = wanted
            STAMP.write_text(json.dumps(installed), encoding="utf-8")
    say(f"Python: {python}")
    return python


def _make(python: Path) -> None:
    say(f"Python: making {VENV} with {sys.executable}")
    if subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=False).returncode:
        raise MissingError(
            f"{sys.executable} cannot make environments (Debian, Ubuntu: apt install python3-venv)"
        )
    if not _runs(python):
        raise MissingError(f"a file system that lets programs start: {python} does not; set SAGEKIT_VENV")
    STAMP.write_text("{}", encoding="utf-8")


def _runs(python: Path) -> bool:
    try:
        return subprocess.run([str(python), "-c", ""], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _fingerprint(arguments: list[str]) -> str:
    """A hash of what pip is asked for, with the text of requirement files."""
    texts = [Path(one).read_text(encoding="utf-8") if one.endswith(".txt") else one for one in arguments]
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def _install(python: Path, arguments: list[str]) -> None:
    say(f"Python: installing {' '.join(arguments)}")
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments]
    if subprocess.run(command, check=False).returncode:
        raise MissingError(
            "what pip could not install (its message is above): is there a network connection?"
        )


def check_place(folder: Path) -> None:
    """Says so, before anything is tried, where nothing could be made."""
    if os.pathsep in str(folder):
        raise MissingError(f"a path without {os.pathsep!r}, for a Python environment: this is {folder}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise MissingError(
            f"a folder to write to: {folder} is not one ({error.strerror}); move this checkout"
        ) from error
