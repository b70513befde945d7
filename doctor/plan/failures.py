"""What the kernels that failed the check said, for a plan and its answers."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from ...check.verdicts import (
    CRASHED,
    NOT_IMPORTABLE,
    OK,
    TIMED_OUT,
    WRONG,
    Verdict,
)
from ...kernels.families import families
from ...machine import Environment
from ..rules import Mismatch
from .catalogue import DO, REASONS, WORDS

Found = Mapping[str, Mapping[str, Verdict]]
# The packages that a plan can mend.
_PLANNED = ("sageattention", "sageattn3")


def errors(found: Found) -> str:
    """The errors of those that crash or do not import, each once, a line or more each."""
    return "\n".join(sorted({one.detail for one in _all(found) if one.state in (CRASHED, NOT_IMPORTABLE)}))


def broken(found: Found) -> dict[str, str]:
    """SageAttention with its error, where a kernel of it does not import on any GPU."""
    said = [
        verdict.detail
        for of_gpu in found.values()
        for name, verdict in of_gpu.items()
        if verdict.state == NOT_IMPORTABLE and _packages().get(name) == "sageattention"
    ]
    return {"sageattention": said[0]} if said else {}


def failed(found: Found) -> dict[str, str]:
    """Each package of which kernels were tried and none passed, with what the check found of the first."""
    tried = _tried(found)
    return {
        package: f"{name}: {verdict.state}"
        for package, kernels in tried.items()
        if not any(one.state == OK for one in kernels.values())
        for name, verdict in [next(iter(kernels.items()))]
    }


def passed(found: Found) -> dict[str, bool]:
    """Each package of which a kernel passed: whether every one did that was tried."""
    states = {package: [one.state for one in of.values()] for package, of in _tried(found).items()}
    return {package: set(of) == {OK} for package, of in states.items() if OK in of}


def told(found: Found) -> dict[str, Any]:
    """What a plan is told of the check."""
    return {"broken": broken(found), "failed": failed(found), "passed": passed(found)}


def mismatches(
    environment: Environment, broken: Mapping[str, str], failed: Mapping[str, str]
) -> Iterable[Mismatch]:
    """What no version tells: a build of one's own for another torch, or one that answers wrongly."""
    for name, error in broken.items():
        if name in environment.packages:
            first = error.splitlines()[0] if error else WORDS("an-error")
            yield Mismatch(
                REASONS("package-not-importable", package=name, error=first),
                about=name,
                do=DO("build-for-this-torch", package=name),
                source=WORDS("the-kernel-check-here"),
            )
    for name, found in failed.items():
        if name in environment.packages and name not in broken:
            yield Mismatch(
                REASONS("kernels-failed", package=name, found=found),
                about=name,
                do=DO("build-that-fits", package=name),
                source=WORDS("the-kernel-check-here"),
            )


def _tried(found: Found) -> dict[str, dict[str, Verdict]]:
    """The kernels of each package that ran, or were to run and did not."""
    tried: dict[str, dict[str, Verdict]] = {}
    for of_gpu in found.values():
        for name, verdict in of_gpu.items():
            package = _packages().get(name)
            if package and verdict.state in (OK, WRONG, CRASHED, TIMED_OUT):
                tried.setdefault(package, {})[name] = verdict
    return tried


@lru_cache(maxsize=1)
def _packages() -> dict[str, str]:
    """Whose kernels these are: those that come with a package that a plan can mend, by their names."""
    return {
        backend.name: one.name
        for family in families().values()
        for one in family.distributions
        if one.name in _PLANNED
        for backend in family.declare({})
    }


def _all(found: Found) -> list[Verdict]:
    return [verdict for of_gpu in found.values() for verdict in of_gpu.values()]
