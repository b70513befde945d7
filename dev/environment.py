"""A Python environment of our own: made once, and installed into only when what is wanted has changed."""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from . import DEMO, PACK, MissingError, installer, last_words, say, torch_builds
from .installer import python_in

NAMED = os.environ.get("SAGEKIT_VENV")
VENV = Path(NAMED or PACK / ".venv").expanduser().absolute()
# In an environment without this file nothing is ever installed: somebody else made it.
STAMP = "sagekit-installed.json"

# What of requirements-dev.txt the tests import.
TEST_MODULES = ("pytest", "pytest_timeout", "xdist", "ruff", "mypy")
_UNFINISHED = "unfinished"


def torch_in(python: Path, *modules: str) -> tuple[str, str]:
    """("2.14.1 cuda", torch's version and the device it sees; why it or another module is not imported)."""
    lines = ["import torch", *(f"import {module}" for module in modules)]
    lines.append("print(torch.__version__, 'cuda' if torch.cuda.is_available() else 'cpu')")
    command = [str(python), "-c", "\n".join(lines)]
    try:
        child = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    except OSError as error:
        return "", str(error)
    if child.returncode == 0:
        return child.stdout.strip().splitlines()[-1], ""
    return "", last_words(child)


def groups_for(host: Path | None) -> dict[str, list[str]]:
    """What to install to run this host, or the demo and the tests without one: arguments of pip by a name."""
    if host is None:
        return {"torch": torch_builds.ALONE}
    needed = host / "requirements.txt"
    if not needed.is_file():
        raise MissingError(f"a whole ComfyUI: {host} has no requirements.txt, which says what it runs on")
    # One call, so that nothing in the host's list replaces the pair.
    return {"host": [*torch_builds.WITH_HOST, "-r", str(needed)]}


def groups_for_tests(host: Path | None) -> dict[str, list[str]]:
    """The same to run the tests; a browser is driven where a host has a page for it."""
    development = {"development": ["-r", str(PACK / "requirements-dev.txt")]}
    # Without numpy, which every host brings, torch warns into whatever a test reads.
    more = (
        {"browser": ["-r", str(PACK / "requirements-browser.txt")]} if host else {"numpy": ["numpy>=1.25.0"]}
    )
    return groups_for(host) | development | more


def environment(groups: dict[str, list[str]], modules: Sequence[str] = ("torch",)) -> Path:
    """The Python of our environment, made and brought up to date where it has to be.

    Args:
        groups: What is to be in it.
        modules: What of that must import, for one that somebody else has made to be used.
    """
    venv = VENV
    if not _is_ours(venv):
        python = python_in(venv)
        _, trouble = torch_in(python, *modules)
        if not trouble:
            say(f"Python: {python} (not made by this program: used as it is, nothing is installed into it)")
            return python
        if NAMED:
            raise MissingError(
                f"an environment in SAGEKIT_VENV that has what is needed, or a folder that is not there yet: "
                f"{VENV} was not made by this program ({trouble})"
            )
        venv = DEMO / "venv"
        say(f"Python: {VENV} is not this program's and is left as it is ({trouble}); using {venv}")
    check_place(venv.parent)
    _bring_up_to_date(venv, groups)
    say(f"Python: {python_in(venv)}")
    return python_in(venv)


def has_torch() -> bool:
    """Whether our environment is complete as far as the demo goes."""
    installed = _read(VENV)
    return bool({"torch", "host"} & installed.keys()) and not _is_half_done(VENV, installed) and _starts(VENV)


def _is_ours(venv: Path) -> bool:
    """Made by this program, or not there yet."""
    if not os.path.lexists(venv):
        return True
    return (venv / STAMP).exists() or (venv.is_dir() and not any(venv.iterdir()))


def _bring_up_to_date(venv: Path, groups: dict[str, list[str]]) -> None:
    installed = _read(venv)
    if _is_half_done(venv, installed) or not _starts(venv):
        installed = _made_anew(venv)
    for name, arguments in groups.items():
        if name == "torch" and "host" in installed:
            continue  # The host's own torch serves, and is not replaced by another.
        wanted = _fingerprint(arguments)
        if installed.get(name) == wanted:
            continue
        # Whoever is stopped in the middle of this leaves it so, and the next call finds it.
        _write(venv, {**installed, _UNFINISHED: _packages(venv)})
        builds = torch_builds.index() if name in ("torch", "host") else None
        installer.install(python_in(venv), arguments, builds)
        installed[name] = wanted
        installed.pop(_UNFINISHED, None)
        _write(venv, installed)


def _made_anew(venv: Path) -> dict:
    if venv.exists():
        say(f"Python: {venv} was not finished or does not start; making it anew")
    venv.mkdir(parents=True, exist_ok=True)
    # First of all, and never removed, so that one that is stopped half-way is known to be ours.
    _write(venv, {_UNFINISHED: None})
    _empty(venv)
    installer.make(venv)
    _write(venv, {})
    return {}


def _empty(venv: Path) -> None:
    """Removes all but the stamp."""
    try:
        for one in venv.iterdir():
            if one.is_dir() and not one.is_symlink():
                shutil.rmtree(one)
            elif one.name != STAMP:
                one.unlink()
    except OSError as error:
        raise MissingError(
            f"{venv} to itself, to make it anew: {error}; end what runs from it, and start again"
        ) from error


def _is_half_done(venv: Path, installed: dict) -> bool:
    """Whether an earlier call was stopped while it changed something: not while it downloaded."""
    return _UNFINISHED in installed and installed[_UNFINISHED] != _packages(venv)


def _starts(venv: Path) -> bool:
    """Whether its Python runs and is the version that filled it: an update of the system's changes either."""
    own = "import os, sys, sysconfig; sys.exit(not os.path.isdir(sysconfig.get_path('purelib')))"
    return installer.runs(python_in(venv), "-c", own)


def _packages(venv: Path) -> list[str]:
    """What lies in site-packages, by name: whatever is installed or half-installed shows."""
    folders = [*venv.glob("lib/python*/site-packages"), *venv.glob("Lib/site-packages")]
    return sorted({one.name for folder in folders for one in folder.iterdir() if one.name != "__pycache__"})


def _read(venv: Path) -> dict:
    try:
        installed = json.loads((venv / STAMP).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        return {_UNFINISHED: None}  # Stopped while it was written.
    return installed if isinstance(installed, dict) else {_UNFINISHED: None}


def _write(venv: Path, installed: dict) -> None:
    (venv / STAMP).write_text(json.dumps(installed), encoding="utf-8")


def _fingerprint(arguments: list[str]) -> str:
    """A hash of what pip is asked for, with the text of requirement files."""
    texts = [Path(one).read_text(encoding="utf-8") if one.endswith(".txt") else one for one in arguments]
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


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
            f"a folder to write to: {folder} is not one ({error.strerror}); move this checkout, or set "
            f"SAGEKIT_VENV to a folder for a Python environment"
        ) from error
