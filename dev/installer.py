"""Makes Python environments and fills them, with whatever this Python has for it: venv and pip, or uv."""

import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from . import MissingError, last_words, say

# So little space is no space: pip stops in the middle of a wheel.
_FULL = 200 * 2**20
# Words of pip and uv for an index that is not reached.
_NO_CONNECTION = ("connection broken", "ConnectionError", "Failed to fetch", "Could not connect", "timed out")

_UV_FOR_PIP = {
    "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    "PIP_EXTRA_INDEX_URL": "UV_INDEX",
    "PIP_FIND_LINKS": "UV_FIND_LINKS",
    "PIP_CERT": "SSL_CERT_FILE",
}


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
    reason = "neither venv with ensurepip or pip, nor uv, nor virtualenv is there"
    for command in _makers(venv):
        child = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        if child.returncode == 0:
            break
        reason = last_words(child)
    else:
        if shutil.disk_usage(venv).free < _FULL:
            raise MissingError(f"space on the disk: {venv} has no room for a Python environment")
        raise MissingError(
            f"a way to make Python environments: {sys.executable} has none ({reason}). Debian, Ubuntu: sudo "
            f"apt install python3-venv; or install uv (https://docs.astral.sh/uv), which needs no rights; "
            f"then start again"
        )
    # On Linux the Python itself may be a link to one that starts; the libraries in the folder would not load.
    if _forbids_programs(venv) or not runs(python_in(venv), "-c", ""):
        raise MissingError(
            f"a file system that lets programs start: {venv} is on one that does not; set SAGEKIT_VENV to a "
            f"folder on another"
        )


def _forbids_programs(folder: Path) -> bool:
    """Whether it is on a file system that is mounted with noexec."""
    return hasattr(os, "ST_NOEXEC") and bool(os.statvfs(folder).f_flag & os.ST_NOEXEC)


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
    """Installs into an environment; raises where that cannot be done.

    Args:
        python: The environment's.
        arguments: Of pip.
        extra_index: The address of a package index to ask besides those that are configured.
    """
    say(f"Python: installing {' '.join(arguments)}")
    more = ["--extra-index-url", extra_index] if extra_index else []
    command = [*_installer(python), *more, *arguments]
    pipes = {"stderr": subprocess.PIPE, "text": True, "errors": "replace"}
    child = subprocess.run(command, **pipes, check=False, env=_as_pip_is_told(os.environ))
    if child.returncode:
        raise MissingError(_why(child.stderr, shutil.disk_usage(python.parent).free, python.parent.parent))


def _why(told: str, free: int, venv: Path) -> str:
    """What was missing, from what pip or uv told."""
    if free < _FULL or "No space left" in told:
        return (
            f"space on the disk: {venv} has {free // 2**20} MiB left; free some, or set SAGEKIT_VENV to a "
            f"folder on another disk, and start again"
        )
    lines = told.strip().splitlines()
    if any(sign in told for sign in _NO_CONNECTION):
        return (
            "a package index that answers: check the network, or set PIP_INDEX_URL to an index that can be "
            "reached, and start again"
        )
    if "ResolutionImpossible" in told:
        wanted = re.search(r"Cannot install (.+?) because", told)
        return (
            f"a package index that has {wanted[1] if wanted else 'what is installed here'} and all that it "
            f"needs: set PIP_INDEX_URL to one, and start again"
        )
    if found := re.search(r"No matching distribution found for (\S+)|no version of (\S+)", told):
        return (
            f"{found[1] or found[2]}: the package index has none for Python {platform.python_version()} on "
            f"{platform.system()} {platform.machine()}; start again with another Python, such as 3.12, or "
            f"set PIP_INDEX_URL to an index that has it"
        )
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR")] or lines[-3:]
    return f"packages that could not be installed: {' '.join(errors) or 'no reason was given'}"


def _as_pip_is_told(variables: Mapping[str, str]) -> dict[str, str]:
    """These variables with pip's settings for uv, too, which reads none of them; its own come first."""
    told = {uv: variables[pip] for pip, uv in _UV_FOR_PIP.items() if variables.get(pip)}
    if "UV_INDEX_URL" in variables:
        told.pop("UV_DEFAULT_INDEX", None)  # The newer name of the same, which would come before it.
    if "UV_FIND_LINKS" in told:
        told["UV_FIND_LINKS"] = ",".join(told["UV_FIND_LINKS"].split())
    return {**told, **variables}


def _installer(python: Path) -> list[str]:
    """The command that installs into an environment."""
    # Twice quiet: errors, but not each retry of each package. Bytecode is made of what is imported, not of
    # everything: 125 MiB less with torch alone, 290 MiB with ComfyUI's packages.
    quiet = ["install", "-qq", "--no-compile", "--disable-pip-version-check", "--no-input"]
    if runs(python, "-m", "pip", "--version"):
        return [str(python), "-m", "pip", *quiet]
    if uv := shutil.which("uv"):
        # uv takes a package from the first index that has it, whatever the version; pip looks at all.
        strategy = ["--index-strategy", "unsafe-best-match"]
        return [uv, "pip", "install", "--quiet", "--python", str(python), *strategy]
    if _pip_reaches_out():
        return [sys.executable, "-m", "pip", "--python", str(python), *quiet]
    raise MissingError(f"pip or uv, to install into {python}")
