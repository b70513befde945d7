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

from .catalogue import REASONS
from .module import Module, files_of, is_genuine, mapped_by_finders, names_in, place_of, stated_version
from .reason import Reason
from .sought import ALL_FILES, NO_FILES, Distribution

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
# The folder of the search path that a package lies in, and its metadata file.
_Place = tuple[Path, Path]


def user_site() -> str | None:
    """The user's site-packages, where this process searches them."""
    return site.USER_SITE if site.ENABLE_USER_SITE else None


def missing(packages: Installed, *names: str) -> tuple[Reason, ...]:
    """One reason for each of the names that is not installed; "a|b" is satisfied by either."""
    absent = [name for name in names if not any(one in packages for one in name.split("|"))]
    return tuple(REASONS("not-installed", packages=tuple(name.split("|"))) for name in absent)


def read_packages(
    path: Iterable[str], distributions: Iterable[Distribution], user_folder: str | None = None
) -> Installed:
    """Those of the packages that an import would find on this search path.

    Args:
        path: Folders in the order in which Python searches them, as ``sys.path``.
        distributions: What to look for.
        user_folder: The one among them that is the user's site-packages.
    """
    known = {one.name: one for one in distributions}
    spelled = {other: one.name for one in known.values() for other in one.also_called}
    listed = {folder: names_in(folder) for folder in _once(path)}
    found: dict[str, list[_Place]] = {}
    for folder, entries in listed.items():
        for name, metadata in _distributions(folder, entries):
            found.setdefault(spelled.get(name, name), []).append((folder, metadata))
    mapped = mapped_by_finders(listed)
    user = os.path.realpath(user_folder) if user_folder else None
    packages: dict[str, Package] = {}
    for name, one in known.items():
        place = place_of(one.module.name, listed, mapped)
        before = [known[other].module for other in packages]
        if name in found or (
            place is not None
            and one.module not in before
            and _is_without_metadata(one.module, place, found, known)
        ):
            packages[name] = _read(one, found.get(name, []), place, user)
    return packages


def _is_without_metadata(
    module: Module,
    place: Path,
    found: Mapping[str, list[_Place]],
    known: Mapping[str, Distribution],
) -> bool:
    """Whether what lies there is that module, and nothing of another name brought it."""
    return is_genuine(module, place) and not any(
        folder == place and _brings(other, known.get(other), folder, metadata, module)
        for other, places in found.items()
        for folder, metadata in places
    )


def _brings(name: str, own: Distribution | None, folder: Path, metadata: Path, module: Module) -> bool:
    """Whether the distribution of that name, one of those looked for or not, has the module."""
    if own is None:
        # Builds for other makers' GPUs bring Triton under names of their own.
        return module.name == "triton" and "triton" in name
    if own.module.name == module.name:
        return True
    inside = module.name.startswith(f"{own.module.name}.")
    return inside and f"{module.path}/__init__.py" in _files(own, folder, metadata)


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
    """A distribution's name in the spelling of ``Distribution``."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _read(one: Distribution, found: list[_Place], place: Path | None, user: str | None) -> Package:
    """A package by its metadata and by the place of its module; one of the two may be missing."""
    own = _metadata_of(found, place)
    folder = place or found[0][0]
    stated = _version(own) if own is not None else stated_version(one.name, one.module, folder)
    names = [] if one.looked_at == NO_FILES else _files(one, folder, own)
    compiled = {file: match["module"] for file in names if (match := COMPILED.match(Path(file).name))}
    python = [file for file in names if file.endswith(".py")] if one.looked_at == ALL_FILES else []
    # Metadata of a copy that is gone hide nothing.
    others = [file for at, file in found if file != own and (own is not None or _holds(at, one.module))]
    version, _, build = stated.partition("+")
    return Package(
        version=version,
        build=build,
        modules=frozenset(compiled.values()),
        head_dim_limit=_number(one.head_dim_limit, folder),
        files=tuple(identity(folder, file) for file in sorted({*compiled, *python})),
        in_user_site=str(folder) == user,
        copies=tuple(_version(other) for other in others),
        as_module=own is None,
    )


def _metadata_of(found: list[_Place], place: Path | None) -> Path | None:
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


def _files(one: Distribution, folder: Path, metadata: Path | None) -> list[str]:
    """The files that a package brought, relative to its folder; without a record, those that lie there."""
    record = _record(metadata) if metadata is not None and metadata.parent.parent == folder else ""
    if record and _EDITABLE not in record:
        return [line.rsplit(",", 2)[0].strip('"').replace("\\", "/") for line in record.splitlines()]
    return files_of(one.module, folder)


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


def _number(told: tuple[str, str] | None, folder: Path) -> int | None:
    """The number that a source states, None where it states none."""
    if told is None:
        return None
    file, expression = told
    try:
        source = (folder / file).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = re.search(expression, source)
    return int(found[1]) if found else None
