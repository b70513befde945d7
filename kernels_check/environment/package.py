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

from ..backend import Reason

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
COMPILED = re.compile(r"^(?P<module>\w+)(\.[^/\\]+)?\.(so|pyd)$")
_METADATA_FOLDER = re.compile(r"^(?P<name>[^-]+?)(-.+)?\.(dist-info|egg-info)$")


class InstalledFile(NamedTuple):
    """The identity of one installed file, without reading it; size -1 where it is gone."""

    name: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Package:
    """One installed distribution.

    Attributes:
        version: Its public version, "2.2.0".
        build: The local part of the version, "cu130torch2.9.1.post3", or "".
        modules: Names of the compiled modules it brought, such as "_qattn_sm90".
        head_dim_limit: Largest head_dim its own Python code passes on, where it can be read there.
        files: Identities of its compiled modules and Python files, by name relative to its folder.
        in_user_site: It lies in the user's site-packages, not in those of this Python.
        copies: Full versions of further installations of the same package that this one hides.
    """

    version: str
    build: str = ""
    modules: frozenset[str] = frozenset()
    head_dim_limit: int | None = None
    files: tuple[InstalledFile, ...] = ()
    in_user_site: bool = False
    copies: tuple[str, ...] = ()

    @property
    def release(self) -> tuple[int, ...]:
        """The numbers of the version, (2, 2, 0)."""
        return tuple(int(number) for number in re.findall(r"\d+", self.version)[:3])

    @property
    def full_version(self) -> str:
        """Version and build as the metadata writes them, "2.2.0+cu130torch2.9.1.post3"."""
        return f"{self.version}+{self.build}" if self.build else self.version


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
    found: dict[str, list[tuple[Path, Path]]] = {}
    for folder in _once(path):
        for name, metadata in _distributions(folder):
            if name in PACKAGES:
                found.setdefault(name, []).append((folder, metadata))
    user = os.path.realpath(user_folder) if user_folder else None
    return {name: _read(name, found[name], user) for name in PACKAGES if name in found}


def _once(path: Iterable[str]) -> list[Path]:
    """The folders of a search path, each once, however often and through whatever links it is named."""
    return [Path(folder) for folder in dict.fromkeys(os.path.realpath(entry or ".") for entry in path)]


def _distributions(folder: Path) -> Iterable[tuple[str, Path]]:
    """Name and metadata file of what is installed in a folder of the search path."""
    # `setup.py install` unpacks a package into a folder that is itself on the search path.
    if folder.suffix == ".egg":
        name = folder.name.partition("-")[0]
        yield _normal(name), folder / "EGG-INFO" / "PKG-INFO"
        return
    try:
        entries = sorted(os.listdir(folder))
    except OSError:  # A zip file, or a folder that does not exist.
        return
    for entry in entries:
        if match := _METADATA_FOLDER.match(entry):
            file = "METADATA" if match[2] == "dist-info" else "PKG-INFO"
            yield _normal(match["name"]), folder / entry / file


def _normal(name: str) -> str:
    """A distribution's name in the spelling of ``PACKAGES``."""
    name = re.sub(r"[-_.]+", "-", name).lower()
    return _ALSO_CALLED.get(name, name)


def _read(name: str, found: list[tuple[Path, Path]], user: str | None) -> Package:
    (folder, metadata), *others = found
    version, _, build = _version(metadata).partition("+")
    names = [] if name in _FILES_IGNORED else _files(name, folder, metadata)
    compiled = {file: match["module"] for file in names if (match := COMPILED.match(Path(file).name))}
    python = [] if name in _MODULES_ONLY else [file for file in names if file.endswith(".py")]
    return Package(
        version=version,
        build=build,
        modules=frozenset(compiled.values()),
        head_dim_limit=_head_dim_limit(folder) if name == "sageattention" else None,
        files=tuple(identity(folder, file) for file in sorted({*compiled, *python})),
        in_user_site=str(folder) == user,
        copies=tuple(_version(other) for _, other in others),
    )


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


def _files(name: str, folder: Path, metadata: Path) -> list[str]:
    """The files that a package brought, relative to its folder; without a record, those that lie there."""
    try:
        record = (metadata.parent / "RECORD").read_text(encoding="utf-8", errors="replace")
    except OSError:
        there = (folder / name.replace("-", "_")).rglob("*")
        return [file.relative_to(folder).as_posix() for file in there]
    return [line.rsplit(",", 2)[0].strip('"').replace("\\", "/") for line in record.splitlines()]


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
