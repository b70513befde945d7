"""What a wheel's local version says of its build: for which torch, which CUDA, which GPU, and by whom."""

import re
from typing import NamedTuple

from .package import Package

SAGE_1 = "1.x"
WOCT0RDHO = "woct0rdho wheel"
OTHER_WHEEL = "other wheel"
LOCAL = "upstream or local build"

_TAG = re.compile(
    r"^cu\.?(?P<cuda>\d{2}\.\d(?=\.?torch)|\d{2,3})"
    r"(?:\.?torch\.?(?P<torch>\d+\.\d+(?:\.\d+)?|\d{3})(?P<higher>andhigher)?)?"
    r"(?:cxx11abi\w+?)?"
    r"(?:\.post(?P<post>\d+))?"
    r"(?:\.sm(?P<sm>\d{2,3})a?)?$",
    re.IGNORECASE,
)
# https://github.com/woct0rdho/SageAttention/releases: every file name since v2.1.1-windows.
_WOCT0RDHO = re.compile(r"^cu\d{3}torch\d+\.\d+\.\d+(andhigher)?(\.post\d+)?$")
_WOCT0RDHO_VERSIONS = ("2.1.1", "2.2.0")


class Build(NamedTuple):
    """A build tag such as "cu128torch2.9.0andhigher.post4", taken apart.

    Attributes:
        cuda: Numbers of the CUDA version it was built with, (12, 8), or (12,) where only that is named.
        torch: Numbers of the torch version it was built with, () where it names none.
        and_higher: It uses libtorch's stable ABI, so later versions of torch will do.
        post: The release of the same code and version, 4; 0 is the first.
        capability: The only compute capability it was compiled for, where it names one.
    """

    cuda: tuple[int, ...]
    torch: tuple[int, ...] = ()
    and_higher: bool = False
    post: int = 0
    capability: tuple[int, int] | None = None

    @classmethod
    def of(cls, package: Package) -> "Build | None":
        """The build of a package, None where its version tells of none."""
        match = _TAG.match(package.build)
        if match is None:
            return None
        torch = match["torch"] or ""
        # "cu12.8" and "cu.12.8" are written as "cu128" elsewhere.
        cuda = match["cuda"].replace(".", "")
        sm = match["sm"]
        return cls(
            cuda=(int(cuda[:2]), *map(int, cuda[2:])),
            # "torch271" is 2.7.1.
            torch=tuple(map(int, torch.split(".") if "." in torch else torch)),
            and_higher=bool(match["higher"]),
            post=int(match["post"] or 0),
            capability=(int(sm[:-1]), int(sm[-1])) if sm else None,
        )


def generation(package: Package) -> int | None:
    """Which SageAttention this is, 1 or 2; None where neither a version nor a compiled module tells.

    Version 1 has no compiled module.
    """
    if package.release:
        return package.release[0]
    return 2 if any(name.startswith("_qattn") for name in package.modules) else None


def fork(package: Package) -> str:
    """Whose sageattention this is: versions alone do not tell, and each has other limits."""
    if package.release[:1] == (1,):
        return SAGE_1
    if package.version in _WOCT0RDHO_VERSIONS and _WOCT0RDHO.match(package.build):
        return WOCT0RDHO
    return OTHER_WHEEL if Build.of(package) else LOCAL
