"""Which torch is installed, from the text of its version file: importing it takes seconds."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .package import Package

CPU, CUDA, ROCM, XPU = "cpu", "cuda", "rocm", "xpu"


@dataclass(frozen=True)
class Torch:
    """One build of torch.

    Attributes:
        version: Its public version, "2.9.1".
        build: The local part, "cu130", "cpu", or "".
        cuda: The CUDA it is built with, "13.0"; None for every other build.
        rocm: The ROCm (HIP) it is built with, "6.4.43484".
        xpu: The Intel toolkit it is built with.
        commit: The commit it is built from, which tells one nightly from another.
    """

    version: str
    build: str = ""
    cuda: str | None = None
    rocm: str | None = None
    xpu: str | None = None
    commit: str = ""

    def __str__(self) -> str:
        return f"{self.version}+{self.build}" if self.build else self.version

    @property
    def release(self) -> tuple[int, ...]:
        """(2, 9, 1)."""
        return _numbers(self.version)[:3]

    @property
    def cuda_release(self) -> tuple[int, ...]:
        """(13, 0), or () without CUDA."""
        return _numbers(self.cuda or "")

    @property
    def is_nightly(self) -> bool:
        """Built between releases: what belongs to it is in no table."""
        return ".dev" in self.version or re.search(r"\da0$", self.version) is not None

    @property
    def kind(self) -> str:
        """ "cuda", "rocm", "xpu" or "cpu"."""
        if self.cuda:
            return CUDA
        if self.rocm:
            return ROCM
        return XPU if self.xpu else CPU


def read_torch(path: Iterable[str], package: Package | None) -> Torch | None:
    """The torch that an import would find, else the one in the metadata, else None.

    The metadata alone do not do: those of the package registry's wheels name no CUDA.
    """
    for folder in path:
        try:
            text = (Path(folder) / "torch" / "version.py").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        return _from_version_file(text)
    return _from_metadata(package) if package else None


def _from_version_file(text: str) -> Torch:
    # cuda: Optional[str] = '13.0'    since 2.1;    cuda = '12.4'    before
    stated = dict(re.findall(r"^(\w+)(?::[^=\n]*)?\s*=\s*['\"]([^'\"\n]+)['\"]", text, re.MULTILINE))
    version, _, build = stated.get("__version__", "").partition("+")
    return Torch(
        version=version,
        build=build,
        cuda=stated.get("cuda"),
        rocm=stated.get("hip"),
        xpu=stated.get("xpu"),
        commit=stated.get("git_version", ""),
    )


def _from_metadata(package: Package) -> Torch:
    cuda = re.match(r"cu(\d{2})(\d)", package.build)
    rocm = re.match(r"rocm([\d.]+)", package.build)
    return Torch(
        version=package.version,
        build=package.build,
        cuda=f"{cuda[1]}.{cuda[2]}" if cuda else None,
        rocm=rocm[1] if rocm else None,
        xpu="unknown" if package.build.startswith("xpu") else None,
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))
