"""What pip would leave behind, by its commands alone: nothing is run, and nothing downloaded."""

from dataclasses import replace
from urllib.parse import unquote

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename
from sagekit.knowledge.facts import table
from sagekit.machine import Environment, Package

from .environments import FORK_MODULES

# What a build from source leaves is known by nobody before it is built.
UNKNOWN_BUILD = "built here"


def carried_out(environment: Environment, commands) -> Environment:
    """The machine after pip's commands; what is no command of pip changes nothing here."""
    packages = dict(environment.packages)
    for command in commands:
        words = _of_pip(command)
        if words is None:
            continue
        verb, *rest = words
        (target,) = [one for one in rest if not one.startswith("-")]
        if verb == "uninstall":
            there = packages.pop(target, None)
            if there is not None and there.copies:
                # pip takes out the one that it finds first.
                first, *more = there.copies
                packages[target] = _package(target, first, tuple(more))
        elif verb == "install":
            name, package = _installed(target)
            there = packages.get(name)
            # pip keeps what has the version that is asked for, whatever it was built from.
            kept = there is not None and there.full_version == package.full_version
            if not kept or "--force-reinstall" in rest:
                packages[name] = package
        else:
            raise ValueError(f"an unknown command: {command}")
    return replace(environment, packages=packages)


def versions(environment: Environment) -> dict[str, str]:
    """Name to full version, as people are told it."""
    return {name: package.shown for name, package in environment.packages.items()}


def _of_pip(command) -> list[str] | None:
    words = list(command)
    return words[words.index("pip") + 1 :] if "pip" in words else None


def _installed(target: str) -> tuple[str, Package]:
    if target.startswith("git+"):
        return "sageattention", Package("2.2.0", "", FORK_MODULES, head_dim_limit=_limit(target))
    if target.startswith("https://"):
        file = unquote(target.partition("#")[0].rpartition("/")[2])
        parse_wheel_filename(file)
        name, version, *_ = file.split("-")
        return name, _package(name, version)
    wanted = Requirement(target)
    return canonicalize_name(wanted.name), _package(wanted.name, _newest(wanted))


def _limit(target: str) -> int:
    return 256 if "woct0rdho" in target else 128


def _newest(wanted: Requirement) -> str:
    """The release that pip would take: the only one of "==1.0.6", else the newest that is known."""
    known = [row["windows_newest"] for row in table("wheels")["triton"] if row["windows"]]
    for clause in wanted.specifier:
        if clause.operator == "==":
            return clause.version
    return max((one for one in known if wanted.specifier.contains(one)), default="1")


def _package(name: str, full: str, copies: tuple[str, ...] = ()) -> Package:
    version, _, build = full.partition("+")
    modules = FORK_MODULES if name == "sageattention" and version.startswith("2.") else frozenset()
    return Package(version, build, modules, copies=copies)
