"""The installed packages, from their metadata and file names: nothing is imported, nothing runs.

``importlib.metadata`` is not used: it takes 25 ms to import and, for torch alone, another 80 ms to parse
14,700 lines of RECORD that nobody needs; nor does it say which folder a package came from, or that there
are two of it.
"""

import os
import re
import site
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from .module import (
    MODULES,
    Module,
    files_of,
    is_genuine,
    mapped_by_finders,
    names_in,
    place_of,
    stated_version,
)
from .reason import Reason

# Distribution names as their metadata spells them.
PACKAGES = (
    "torch",
    "triton",
    "triton-windows",
    "sageattention",
    "sageattn3",
    "comfy-kitchen",
    "flash-attn",
    "flash-attn-3",
    "fa3-fwd",
    "flash-attn-4",
    "xformers",
    "kernels",
)
# torch's nightly and ROCm builds bring the module `triton` under another distribution name.
_ALSO_CALLED = {
    "pytorch-triton": "triton",
    "pytorch-triton-rocm": "triton",
    "triton-rocm": "triton",
}
# Of torch its version file says enough; Triton's Python code is too much to look at on every start.
_FILES_IGNORED = frozenset({"torch"})
_MODULES_ONLY = frozenset({"triton", "triton-windows"})
# In the record of an install that leaves the module where it was written.
_EDITABLE = "__editable__"
COMPILED = re.compile(r"^(?P<module>\w+)(\.[^/\\]+)?\.(so|pyd)$")
_METADATA_FOLDER = re.compile(r"^(?P<name>[^-]+?)(-.+)?\.(dist-info|egg-info)$")


class InstalledFile(NamedTuple):
    """The identity of one installed file, without reading it; size -1 where it is gone."""

    name: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Package:
    """One package that an import finds.

    Attributes:
        version: Its public version, "2.2.0"; "" where nothing states it.
        build: The local part of the version, "cu130torch2.9.1.post3", or "".
        modules: Names of the compiled modules it brought, such as "_qattn_sm90".
        head_dim_limit: Largest head_dim its own Python code passes on, where it can be read there.
        files: Identities of its compiled modules and Python files, by name relative to its folder.
        in_user_site: It lies in the user's site-packages, not in those of this Python.
        copies: Full versions of further installations of the same package that this one hides.
        as_module: It has no metadata, and pip knows nothing of it.
    """

    version: str
    build: str = ""
    modules: frozenset[str] = frozenset()
    head_dim_limit: int | None = None
    files: tuple[InstalledFile, ...] = ()
    in_user_site: bool = False
    copies: tuple[str, ...] = ()
    as_module: bool = False

    @property
    def release(self) -> tuple[int, ...]:
        """The numbers of the version, (2, 2, 0); none where it is not known."""
        return tuple(int(number) for number in re.findall(r"\d+", self.version)[:3])

    @property
    def full_version(self) -> str:
        """Version and build as the metadata writes them, "2.2.0+cu130torch2.9.1.post3"."""
        return f"{self.version}+{self.build}" if self.build else self.version

    @property
    def shown(self) -> str:
        """The full version for people, who are told where it is not known and where pip knows nothing."""
        version = self.full_version or "version unknown"
        return f"{version} (found as a module, without metadata)" if self.as_module else version


Installed = Mapping[str, Package]


def user_site() -> str | None:
    """The user's site-packages, where this process searches them."""
    return site.USER_SITE if site.ENABLE_USER_SITE else None


def missing(packages: Installed, *names: str) -> tuple[Reason, ...]:
    """One reason for each of the names that is not installed; "a|b" is satisfied by either."""
    absent = [name for name in names if not any(one in packages for one in name.split("|"))]
    return tuple(Reason("not-installed", name.replace("|", " or "), "nothing") for name in absent)


def read_packages(path: Iterable[str], user_folder: str | None = None) -> Installed:
    """The packages of ``PACKAGES`` that an import would find on this search path.

    Args:
        path: Folders in the order in which Python searches them, as ``sys.path``.
        user_folder: The one among them that is the user's site-packages.
    """
    listed = {folder: names_in(folder) for folder in _once(path)}
    found: dict[str, list[tuple[Path, Path]]] = {}
    for folder, entries in listed.items():
        for name, metadata in _distributions(folder, entries):
            found.setdefault(name, []).append((folder, metadata))
    mapped = mapped_by_finders(listed)
    user = os.path.realpath(user_folder) if user_folder else None
    packages: dict[str, Package] = {}
    for name in PACKAGES:
        place = place_of(MODULES[name].name, listed, mapped)
        if name in found or (place is not None and _is_without_metadata(name, place, found, packages)):
            packages[name] = _read(name, found.get(name, []), place, user)
    return packages


def _is_without_metadata(
    name: str, place: Path, found: Mapping[str, list[tuple[Path, Path]]], before: Installed
) -> bool:
    """Whether what lies there is that package, and nothing of another name brought it."""
    module = MODULES[name]
    if any(MODULES[other] is module for other in before):
        return False
    return is_genuine(module, place) and not any(
        folder == place and _brings(other, folder, metadata, module)
        for other, places in found.items()
        for folder, metadata in places
    )


def _brings(name: str, folder: Path, metadata: Path, module: Module) -> bool:
    """Whether a distribution of that name has the module."""
    own = MODULES.get(name)
    if own is None:
        # Builds for other makers' GPUs bring Triton under names of their own.
        return module.name == "triton" and "triton" in name
    if own.name == module.name:
        return True
    inside = module.name.startswith(f"{own.name}.")
    return inside and f"{module.path}/__init__.py" in _files(name, folder, metadata)


def _once(path: Iterable[str]) -> list[Path]:
    """The folders of a search path, each once, however often and through whatever links it is named."""
    return [Path(folder) for folder in dict.fromkeys(os.path.realpath(entry or ".") for entry in path)]


def _distributions(folder: Path, entries: list[str]) -> Iterable[tuple[str, Path]]:
    """Name and metadata file of what is installed in a folder of the search path."""
    # `setup.py install` unpacks a package into a folder that is itself on the search path.
    if folder.suffix == ".egg":
        name = folder.name.partition("-")[0]
        yield _normal(name), folder / "EGG-INFO" / "PKG-INFO"
        return
    for entry in entries:
        if match := _METADATA_FOLDER.match(entry):
            file = "METADATA" if match[2] == "dist-info" else "PKG-INFO"
            yield _normal(match["name"]), folder / entry / file


def _normal(name: str) -> str:
    """A distribution's name in the spelling of ``PACKAGES``."""
    name = re.sub(r"[-_.]+", "-", name).lower()
    return _ALSO_CALLED.get(name, name)


def _read(name: str, found: list[tuple[Path, Path]], place: Path | None, user: str | None) -> Package:
    """A package by its metadata and by the place of its module; one of the two may be missing."""
    module, own = MODULES[name], _metadata_of(found, place)
    folder = place or found[0][0]
    stated = _version(own) if own is not None else stated_version(name, module, folder)
    names = [] if name in _FILES_IGNORED else _files(name, folder, own)
    compiled = {file: match["module"] for file in names if (match := COMPILED.match(Path(file).name))}
    python = [] if name in _MODULES_ONLY else [file for file in names if file.endswith(".py")]
    # Metadata of a copy that is gone hide nothing.
    others = [one for where, one in found if one != own and (own is not None or _holds(where, module))]
    version, _, build = stated.partition("+")
    return Package(
        version=version,
        build=build,
        modules=frozenset(compiled.values()),
        head_dim_limit=_head_dim_limit(folder) if name == "sageattention" else None,
        files=tuple(identity(folder, file) for file in sorted({*compiled, *python})),
        in_user_site=str(folder) == user,
        copies=tuple(_version(other) for other in others),
        as_module=own is None,
    )


def _metadata_of(found: list[tuple[Path, Path]], place: Path | None) -> Path | None:
    """The metadata that are those of the module in that place, None where it has none."""
    if place is None:
        return found[0][1]
    for folder, metadata in found:
        if folder == place:
            return metadata
    # An editable install has them in site-packages, and its module where it was written.
    return next((metadata for _, metadata in found if _EDITABLE in _record(metadata)), None)


def _holds(folder: Path, module: Module) -> bool:
    return place_of(module.name, {folder: names_in(folder)}, {}) is not None


def _version(metadata: Path) -> str:
    """The version that a metadata file states, or else the one in its folder's name."""
    try:
        text = metadata.read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    stated = re.search(r"^Version:\s*(\S+)", text, re.MULTILINE)
    if stated:
        return stated[1]
    named = re.match(r"[^-]+-(.+)\.dist-info$", metadata.parent.name)
    return named[1] if named else ""


def _files(name: str, folder: Path, metadata: Path | None) -> list[str]:
    """The files that a package brought, relative to its folder; without a record, those that lie there."""
    record = _record(metadata) if metadata is not None and metadata.parent.parent == folder else ""
    if record and _EDITABLE not in record:
        return [line.rsplit(",", 2)[0].strip('"').replace("\\", "/") for line in record.splitlines()]
    return files_of(MODULES[name], folder) if name in MODULES else []


def _record(metadata: Path) -> str:
    """The list of files beside a metadata file, "" where there is none."""
    try:
        return (metadata.parent / "RECORD").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def identity(folder: Path, name: str) -> InstalledFile:
    """Of a file by its name in a folder."""
    try:
        status = os.stat(folder / name)
    except OSError:
        return InstalledFile(name, -1, 0)
    return InstalledFile(name, status.st_size, status.st_mtime_ns)


def _head_dim_limit(folder: Path) -> int | None:
    """The head_dim above which sageattention's own padding raises.

    Upstream stops at 128, the woct0rdho fork at 256 since its post5, both under version 2.2.0: only
    the code tells them apart (``pad_qkv`` in sageattention/core.py).
    """
    try:
        source = (folder / "sageattention" / "core.py").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    limit = re.search(r"head_dim_og > (\d+):\s*raise ValueError", source)
    return int(limit[1]) if limit else None
