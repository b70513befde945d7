"""Whether what is installed fits: known to, known not to, or not known and by what it would be told."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ...knowledge.gpus import capabilities, ptxas_needed
from ...knowledge.tables import numbers, oldest_for_sage, sage_packages, tables, triton_of
from ...machine import Environment, Package, fork
from ...machine.build import OTHER_WHEEL, SAGE_1, WOCT0RDHO
from ...machine.message import as_message
from ...machine.reason import Reason
from ..rules import Mismatch
from . import wheel
from .catalogue import INSTALLED, WORDS
from .triton import Triton, triton_for

FITS, UNKNOWN, WRONG = "fits", "unknown", "wrong"


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
    version = package.full_version or INSTALLED("version-not-known")
    if name in about:
        return Fit(name, version, WRONG, _said(about[name].reason))
    if passed.get(name):
        return Fit(name, version, FITS, INSTALLED("kernels-passed"))
    if name in passed:
        return Fit(name, version, UNKNOWN, INSTALLED("some-kernels-passed"), INSTALLED("explain-tells"))
    if unproven := _unproven(environment, name, package):
        # The kernel check runs on NVIDIA GPUs alone.
        checked = environment.torch is None or environment.torch.kind == "cuda"
        tells = INSTALLED("kernel-check-tells" if checked else "picture-tells")
        return Fit(name, version, UNKNOWN, unproven, tells)
    return Fit(name, version, FITS, INSTALLED("known-to-fit"))


def _said(reason: Reason) -> str:
    return as_message(reason) or str(reason)


def _unproven(environment: Environment, name: str, package: Package) -> str:
    """Why nobody knows whether it fits; "" where it is known to."""
    torch, kind = environment.torch, fork(package)
    if not package.version:
        return INSTALLED("no-version-known")
    if torch is not None and torch.kind == "rocm":
        return _on_rocm(package)
    if torch is None or torch.is_nightly or not torch.release:
        return INSTALLED("torch-in-no-table", torch=str(torch))
    if not capabilities(environment):
        return INSTALLED("gpu-not-known")
    if name == "sageattention" and kind == SAGE_1:
        return _without_a_known_triton(environment)
    if known := wheel.find(name, package.full_version, environment):
        against = wheel.reasons(known, environment)
        return INSTALLED("its-file", reason=_said(against[0])) if against else ""
    if kind == WOCT0RDHO and environment.system == "windows":
        return ""
    if name != "sageattention" or kind == OTHER_WHEEL:
        return INSTALLED("name-is-no-proof")
    return _of_ones_own(environment)


def _of_ones_own(environment: Environment) -> str:
    present = capabilities(environment)
    rows = [row for row in tables()["own_builds"]["rows"] if numbers(row["capability"]) in present]
    known = INSTALLED("of-ones-own")
    return WORDS("said-together", parts=(known, *(row["known"] for row in rows))) if rows else known


def _on_rocm(package: Package) -> str:
    if fork(package) == SAGE_1:
        return INSTALLED("sage-1-on-amd")
    return INSTALLED("sage-2-on-amd")


def _without_a_known_triton(environment: Environment) -> str:
    """Version 1 is Triton alone, so it fits where Triton does."""
    found, wanted = triton_of(environment), triton_for(environment)
    file = next(one for one in wheel.wheels() if (one.package, one.cuda) == ("sageattention", None))
    if not capabilities(environment) & set(map(numbers, file.capabilities)):
        more = ptxas_needed(environment).rstrip(". ")
        return (
            INSTALLED("sage-1-without-a-report-and-more", more=more)
            if more
            else INSTALLED("sage-1-without-a-report")
        )
    if max(capabilities(environment)) < oldest_for_sage(2):
        # Turing: the rules tell of a Triton that is too new, and of none.
        return ""
    if isinstance(wanted, Triton) and found is not None and wanted.takes(found[1]):
        return ""
    return INSTALLED("sage-1-without-a-triton", torch=str(environment.torch))


def unknown(fits: Collection[Fit]) -> list[Fit]:
    """Those of which nobody knows."""
    return [one for one in fits if one.state == UNKNOWN]
