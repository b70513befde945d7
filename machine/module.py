"""Modules that an import would find, with metadata or without: by looking at files, nothing is imported.

A package need not be installed to be there: its folder may have been copied into site-packages, be on
PYTHONPATH, or be the source tree in which it was built.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

_SOURCES = (".py", ".pyc")
# What setuptools writes for an editable install, beside the metadata.
_FINDER = re.compile(r"__editable___\w+_finder\.py")
_MAPPED = re.compile(r"(['\"])(?P<name>\w+)\1: (['\"])(?P<place>.*?)\3[,}]")
_STATED = re.compile(r"^__version__\s*(?::\s*str\s*)?=\s*(['\"])(?P<version>\d[^'\"\n]*)\1", re.MULTILINE)


class Module(NamedTuple):
    """How the module of a package is told from others of its name.

    Attributes:
        name: What is imported.
        sign: A word in its source that no module of another kind has.
        within: The file with that word, where it is not the one that is imported.
        files: What its files' names begin with, beside its own folder.
        compiled: Where its compiled modules lie, where the whole folder is too much to look through.
    """

    name: str
    sign: bytes
    within: str = ""
    files: tuple[str, ...] = ()
    compiled: str = ""

    @property
    def path(self) -> str:
        """The name as a path."""
        return self.name.replace(".", "/")


def place_of(name: str, listed: Mapping[Path, list[str]], mapped: Mapping[str, str]) -> Path | None:
    """The folder in which an import finds the module of that name, None where it finds none.

    Args:
        name: What is imported.
        listed: The folders in the order in which Python searches them, each with the names in it.
        mapped: The answer of ``mapped_by_finders``, which Python asks when the path has nothing.
    """
    top = name.partition(".")[0]
    files = {top, *(f"{top}{ending}" for ending in _SOURCES)}
    # Most folders have none of these; asking the disk for each would cost a start milliseconds.
    path = [folder for folder, names in listed.items() if not files.isdisjoint(names)]
    # A folder without __init__ is a module only where nothing else on the path is, and no kernel by itself.
    places = [folder for folder in path if _source(folder / top) is not None][:1]
    if not places:
        places = [Path(mapped[top]).parent] if top in mapped else path
    inside = name.replace(".", "/")
    return next((folder for folder in places if _source(folder / inside) is not None), None)


def mapped_by_finders(listed: Mapping[Path, list[str]]) -> dict[str, str]:
    """The modules of editable installs, with the place that each is taken from.

    Args:
        listed: The names in each folder of the search path.
    """
    found: dict[str, str] = {}
    for folder, names in listed.items():
        for name in filter(_FINDER.fullmatch, names):
            text = _read(folder / name).decode(errors="replace")
            line = next((one for one in text.splitlines() if one.startswith("MAPPING")), "")
            for match in _MAPPED.finditer(line):
                found.setdefault(match["name"], match["place"].replace("\\\\", "\\"))
    return found


def is_genuine(module: Module, place: Path) -> bool:
    """Whether what lies there is the package and not something else of its name."""
    source = _source(place / module.path / module.within) if module.within else _source(place / module.path)
    return source is not None and module.sign in _read(source)


def stated_version(package: str, module: Module, place: Path) -> str:
    """The version that a module's own source states beyond doubt, else ""."""
    folder = place / module.path
    for file in (folder / "version.py", folder / "_version.py", folder / "__init__.py"):
        if match := _STATED.search(_read(file).decode(errors="replace")):
            return match["version"]
    return _of_project(package, place)


def files_of(module: Module, place: Path) -> list[str]:
    """The files of a module, relative to its place."""
    folder = module.compiled or module.path
    found = [file.relative_to(place).as_posix() for file in (place / folder).rglob("*")]
    single = _source(place / module.path)
    found += [single.name] if single is not None and single.parent == place else []
    for name in names_in(place) if module.files else ():
        if name.startswith(module.files):
            beside = place / name
            inner = (file.relative_to(place).as_posix() for file in beside.rglob("*"))
            found += inner if beside.is_dir() else [name]
    return found


def _source(module: Path) -> Path | None:
    """The file that an import of a module runs first, by the module's path without an ending."""
    for file in (f"{module}/__init__", str(module)):
        for ending in _SOURCES:
            if os.path.isfile(file + ending):
                return Path(file + ending)
    return None


def _of_project(package: str, place: Path) -> str:
    """The version in the source tree that a module lies in, where that is a tree of this package."""
    project = _read(place / "pyproject.toml").decode(errors="replace")
    table = re.search(r"^\[project\]$(.*?)(?=^\[|\Z)", project, re.MULTILINE | re.DOTALL)
    setup = re.search(r"\bsetup\((.*)\)", _read(place / "setup.py").decode(errors="replace"), re.DOTALL)
    for text, end in ((table, r"\s*$"), (setup, r"\s*[,)]")):
        if text is None:
            continue
        name, version = (
            re.search(rf"^\s*{key}\s*=\s*(['\"])([^'\"\n]+)\1{end}", text[1] + ")", re.MULTILINE)
            for key in ("name", "version")
        )
        if name and version and re.sub(r"[-_.]+", "-", name[2]).lower() == package:
            return version[2]
    return ""


def names_in(folder: Path) -> list[str]:
    """The names in a folder; none of a zip file, or of a folder that does not exist."""
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""
