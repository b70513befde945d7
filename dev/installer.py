"""Makes Python environments and fills them, with whatever this Python has for it: venv and pip, or uv."""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from . import MissingError, say

# So little space is no space: pip stops in the middle of a wheel.
_FULL = 200 * 2**20


def python_in(venv: Path) -> Path:
    return venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def runs(*command: str | Path) -> bool:
    """Whether a command can be started and ends well."""
    try:
        return subprocess.run([*map(str, command)], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def make(venv: Path) -> None:
    """Makes an environment in a folder that may exist and holds none."""
    say(f"Python: making {venv} with {sys.executable}")
    for command in _makers(venv):
        if subprocess.run(command, check=False).returncode == 0:
            break
    else:
        if shutil.disk_usage(venv).free < _FULL:
            raise MissingError(f"space on the disk: {venv} has no room for a Python environment")
        raise MissingError(
            f"a way to make Python environments: {sys.executable} has none. Debian, Ubuntu: sudo apt install "
            f"python3-venv; or install uv (https://docs.astral.sh/uv) without any rights; then start again"
        )
    if not runs(python_in(venv), "-c", ""):
        raise MissingError(
            f"a file system that lets programs start: {python_in(venv)} does not; set SAGEKIT_VENV to a "
            f"folder on another"
        )


def _makers(venv: Path) -> Iterator[list[str]]:
    """Commands that make an environment, best first; the last gives one without pip, filled from outside."""
    python, folder = sys.executable, str(venv)
    # Debian and Ubuntu part ensurepip from Python; venv then fails half-way.
    if importlib.util.find_spec("ensurepip"):
        yield [python, "-m", "venv", folder]
    if uv := shutil.which("uv"):
        yield [uv, "venv", "--quiet", "--allow-existing", "--python", python, folder]
    if importlib.util.find_spec("virtualenv"):
        yield [python, "-m", "virtualenv", "--quiet", folder]
    if virtualenv := shutil.which("virtualenv"):
        yield [virtualenv, "--quiet", "--python", python, folder]
    if _pip_reaches_out():
        yield [python, "-m", "venv", "--without-pip", folder]


def _pip_reaches_out() -> bool:
    """Whether this Python has a pip that installs into another one (22.3 or newer)."""
    return runs(sys.executable, "-m", "pip", "--python", sys.executable, "--version")


def install(python: Path, arguments: list[str], extra_index: str | None = None) -> None:
    """Installs into an environment; raises where that can not be done.

    Args:
        python: The environment's.
        arguments: Of pip.
        extra_index: The address of a package index to ask besides those that are configured.
    """
    say(f"Python: installing {' '.join(arguments)}")
    more = ["--extra-index-url", extra_index] if extra_index else []
    command = [*_installer(python, bool(extra_index)), *more, *arguments]
    if subprocess.run(command, check=False).returncode == 0:
        return
    free = shutil.disk_usage(python.parent).free
    if free < _FULL:
        raise MissingError(
            f"space on the disk: {python.parent.parent} has {free // 2**20} MiB left; free some, or set "
            f"SAGEKIT_VENV to another place, and start again"
        )
    raise MissingError(
        "packages that could not be installed (the reason is above); without a network, start again with "
        "one, or set PIP_INDEX_URL to an index that can be reached"
    )


def _installer(python: Path, several_indexes: bool) -> list[str]:
    """The command that installs into an environment."""
    # Twice quiet: errors, but not each retry of each package. Bytecode is made of what is imported, not of
    # everything: 125 MiB less with torch alone, 290 MiB with ComfyUI's packages.
    quiet = ["install", "-qq", "--no-compile", "--disable-pip-version-check", "--no-input"]
    if runs(python, "-m", "pip", "--version"):
        return [str(python), "-m", "pip", *quiet]
    if uv := shutil.which("uv"):
        # uv takes a package from the first index that has it, whatever the version; pip looks at all.
        strategy = ["--index-strategy", "unsafe-best-match"] if several_indexes else []
        return [uv, "pip", "install", "--quiet", "--python", str(python), *strategy]
    if _pip_reaches_out():
        return [sys.executable, "-m", "pip", "--python", str(python), *quiet]
    raise MissingError(f"pip or uv, to install into {python}")
