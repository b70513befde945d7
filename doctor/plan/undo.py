"""How to go back to what is installed now, to the exact version."""

from ...knowledge.facts import table
from ...machine import Environment
from ..commands.python import pip
from ..commands.quoting import Command
from . import wheel
from .catalogue import INSTALLER, STEPS

# Of these every release stays in the package registry, so a version alone names the file.
_IN_THE_REGISTRY = ("triton", "triton-windows")


def way_back(name: str, environment: Environment) -> tuple[Command, ...] | None:
    """Commands that bring back what is installed of a package now; None where no index has that build."""
    package = environment.packages.get(name)
    if package is None:
        return (pip(environment, "uninstall", "-y", name),)
    if package.as_module:
        return None
    target = what_is_there(name, environment)
    return (pip(environment, "install", "--no-deps", "--force-reinstall", target),) if target else None


def away_by_hand(name: str, environment: Environment) -> str:
    """What a person does before a command that puts another build in its place; "" where pip does it."""
    package = environment.packages.get(name)
    if package is None or not package.as_module:
        return ""
    return INSTALLER("move-module-away", package=name, installer="pip")


def back_by_hand(name: str, environment: Environment) -> str:
    """What is lost where no command brings it back, or how a person does; "" where a command does."""
    if way_back(name, environment) is not None:
        return ""
    if environment.packages[name].as_module:
        return STEPS("move-module-back", package=name)
    return STEPS("no-build-in-an-index", package=name, version=environment.packages[name].shown)


def what_is_there(name: str, environment: Environment) -> str | None:
    """What pip is to be asked for to get the installed build again, None where it cannot be had."""
    package = environment.packages[name]
    if not package.build and (name in _IN_THE_REGISTRY or package.version in _in_the_registry(name)):
        return f"{name}=={package.version}"
    known = wheel.find(name, package.full_version, environment)
    return known.target if known else None


def _in_the_registry(name: str) -> list[str]:
    """Versions of which the package registry still has the file, where not every one is there."""
    versions: list[str] = table("wheels")["registry"].get(name, [])
    return versions
