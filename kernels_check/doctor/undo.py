"""How to go back to what is installed now, to the exact version."""

from ..environment import Environment
from . import wheel
from .facts import table
from .step import Command, pip

# Of these every release stays in the package registry, so a version alone names the file.
_IN_THE_REGISTRY = ("triton", "triton-windows")


def way_back(name: str, environment: Environment) -> tuple[Command, ...] | None:
    """Commands that bring back what is installed of a package now; None where no index has that build."""
    package = environment.packages.get(name)
    if package is None:
        return (pip(environment, "uninstall", "-y", name),)
    target = what_is_there(name, environment)
    return target and (pip(environment, "install", "--no-deps", "--force-reinstall", target),)


def what_is_there(name: str, environment: Environment) -> str | None:
    """What pip is to be asked for to get the installed build again, None where it can not be had."""
    package = environment.packages[name]
    if not package.build and (name in _IN_THE_REGISTRY or package.version in _in_the_registry(name)):
        return f"{name}=={package.version}"
    known = wheel.find(name, package.full_version, environment)
    return known.target if known else None


def _in_the_registry(name: str) -> list[str]:
    """Versions of which the package registry still has the file, where not every one is there."""
    return table("wheels")["registry"].get(name, [])
