"""Whether what is installed fits: known to, known not to, or not known and by what it would be told."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ...knowledge.gpus import capabilities, ptxas_needed
from ...knowledge.tables import numbers, oldest_for_sage, sage_packages, tables, triton_of
from ...machine import Environment, Package, fork
from ...machine.build import OTHER_WHEEL, SAGE_1, WOCT0RDHO
from ..rules import Mismatch
from . import wheel
from .triton import Triton, triton_for

FITS, UNKNOWN, WRONG = "fits", "unknown", "wrong"
_CHECK = "the kernel check, which runs each kernel here (kernels_check without --plan)"
# The kernel check runs on NVIDIA GPUs alone.
_PICTURE = "a picture with ComfyUI's --use-sage-attention beside the same picture without it"


@dataclass(frozen=True)
class Fit:
    """What is known of one installed package.

    Attributes:
        name: The package.
        version: Its full version.
        state: FITS, UNKNOWN or WRONG.
        known: What is known of it.
        tells: What would tell the rest; "" where all is known.
    """

    name: str
    version: str
    state: str
    known: str = ""
    tells: str = ""

    def as_data(self) -> dict[str, Any]:
        """Values for JSON."""
        return asdict(self)


def judge(
    environment: Environment,
    wrong: Iterable[Mismatch],
    passed: Mapping[str, bool] | None = None,
) -> tuple[Fit, ...]:
    """Each SageAttention that is installed, and whatever else no version is known of.

    Args:
        environment: The machine.
        wrong: What does not fit on it.
        passed: Packages whose kernels passed the check here; False where some of them did and some did not.
    """
    about = {one.about: one for one in wrong}
    return tuple(
        _judge(environment, name, package, about, passed or {})
        for name, package in [*sage_packages(environment), *_without_a_version(environment)]
    )


def _without_a_version(environment: Environment) -> list[tuple[str, Package]]:
    """What the tables cannot judge, and a fault of which would be SageAttention's too."""
    found = triton_of(environment)
    return [found] if found is not None and not found[1].version else []


def _judge(
    environment: Environment,
    name: str,
    package: Package,
    about: Mapping[str, Mismatch],
    passed: Mapping[str, bool],
) -> Fit:
    version = package.full_version or "of unknown version"
    if name in about:
        return Fit(name, version, WRONG, str(about[name].reason))
    if passed.get(name):
        return Fit(name, version, FITS, "its kernels passed the kernel check on this machine")
    if name in passed:
        known = "some of its kernels passed the kernel check here and some did not; the node uses the former"
        return Fit(name, version, UNKNOWN, known, "--explain with what the check says of the latter")
    if unproven := _unproven(environment, name, package):
        tells = _CHECK if environment.torch is None or environment.torch.kind == "cuda" else _PICTURE
        return Fit(name, version, UNKNOWN, unproven, tells)
    return Fit(name, version, FITS, "it is a build that is known to fit this machine")


def _unproven(environment: Environment, name: str, package: Package) -> str:
    """Why nobody knows whether it fits; "" where it is known to."""
    torch, kind = environment.torch, fork(package)
    if not package.version:
        return "no version of it is known"
    if torch is not None and torch.kind == "rocm":
        return _on_rocm(package)
    if torch is None or torch.is_nightly or not torch.release:
        return f"torch {torch} is none that a build or a table names"
    if not capabilities(environment):
        return "which GPU it runs on is not known"
    if name == "sageattention" and kind == SAGE_1:
        return _without_a_known_triton(environment)
    if known := wheel.find(name, package.full_version, environment):
        against = wheel.reasons(known, environment)
        return f"its file {against[0]}" if against else ""
    if kind == WOCT0RDHO and environment.system == "windows":
        return ""
    if name != "sageattention" or kind == OTHER_WHEEL:
        return (
            "nothing in its name speaks against it, but a name is not proven: others with fitting names "
            + ("did not load (wildminder/AI-windows-whl#18, #19)")
        )
    return _of_ones_own(environment)


def _of_ones_own(environment: Environment) -> str:
    known = "nothing speaks against it, but a build of one's own names no torch, no CUDA and no GPU"
    for row in tables()["own_builds"]["rows"]:
        if numbers(row["capability"]) in capabilities(environment):
            known += f"; {row['known']}"
    return known


def _on_rocm(package: Package) -> str:
    if fork(package) == SAGE_1:
        return "SageAttention 1 is Triton alone and runs on some AMD GPUs; on RDNA1 pictures came out grey"
    return "upstream's version 2 is CUDA code; forks for AMD carry the same version"


def _without_a_known_triton(environment: Environment) -> str:
    """Version 1 is Triton alone, so it fits where Triton does."""
    found, wanted = triton_of(environment), triton_for(environment)
    file = next(one for one in wheel.wheels() if (one.package, one.cuda) == ("sageattention", None))
    if not capabilities(environment) & set(map(numbers, file.capabilities)):
        ptxas = ptxas_needed(environment)
        known = f"version 1 is Triton alone, and no report tells of it on this GPU. {ptxas}"
        return known.rstrip(". ")
    if max(capabilities(environment)) < oldest_for_sage(2):
        # Turing: the rules tell of a Triton that is too new, and of none.
        return ""
    if isinstance(wanted, Triton) and found is not None and wanted.takes(found[1]):
        return ""
    return f"it is Triton alone, and no table says which Triton belongs to torch {environment.torch}"


def unknown(fits: Collection[Fit]) -> list[Fit]:
    """Those of which nobody knows."""
    return [one for one in fits if one.state == UNKNOWN]
