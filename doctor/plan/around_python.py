"""What keeps pip from working, or packages from being the ones that were installed."""

import re
from collections.abc import Iterator

from ...knowledge.tables import tables
from ...machine import Environment
from ...machine.surroundings import Surroundings
from ..commands.python import pip
from .catalogue import DO, REASONS, STEPS
from .finding import Finding, found
from .sources import SOURCES
from .step import Step


def another_python(environment: Environment, around: Surroundings) -> Iterator[Finding]:
    """The check was started with a Python that is not this ComfyUI's own."""
    if around.own_python:
        yield found(REASONS("other-python"), "Python", DO("start-with-own-python"), stops=True)


def managed(environment: Environment, around: Surroundings) -> Iterator[Finding]:
    """The system's own Python, which its package manager keeps pip out of."""
    if around.managed:
        yield found(REASONS("externally-managed"), "Python", DO("use-a-virtual-environment"), stops=True)


def not_writable(environment: Environment, around: Surroundings) -> Iterator[Finding]:
    """Installed packages that this user may not change."""
    if around.packages_writable is False:
        yield found(REASONS("not-writable"), "Python", DO("move-comfyui"), stops=True)


def pip_missing(environment: Environment, around: Surroundings) -> Iterator[Finding]:
    """A Python without pip, as uv makes them."""
    source = tables()["python_without_pip"]["source"]
    if around.pip:
        return
    if around.uv_alone:
        yield found(REASONS("pip-missing-beside-uv"), "pip", DO("nothing-beside-uv"), source, remark=True)
        return
    step = _get_pip(environment) if around.ensurepip else None
    do = DO("get-pip-with-ensurepip" if step else "get-pip-by-hand")
    yield found(REASONS("pip-missing"), "pip", do, source, step=step, stops=step is None)


def _get_pip(environment: Environment) -> Step:
    program = pip(environment)[:-1]
    return Step(
        "get-pip",
        STEPS("get-pip"),
        (STEPS("pip-needed"),),
        commands=((*program[:-1], "-m", "ensurepip"),),
        undo=(pip(environment, "uninstall", "-y", "pip"),),
        sources=(SOURCES["get-pip"],),
    )


def modules_of_another_python(environment: Environment, around: Surroundings) -> Iterator[Finding]:
    """Compiled modules whose names say they are for another Python: copied over, not installed."""
    python = environment.python
    if python is None or python.implementation != "cpython":
        return
    for name, package in environment.packages.items():
        tags = {tag for file in package.files if (tag := _tag(file.name))}
        if tags and python.tag not in tags:
            yield found(
                REASONS(
                    "modules-python",
                    tag=python.tag,
                    package=name,
                    version=package.shown,
                    tags=tuple(sorted(tags)),
                ),
                name,
                DO("install-with-own-pip", package=name),
            )


def version_unknown(environment: Environment, around: Surroundings) -> Iterator[Finding]:
    """A package that no version is known of: nothing here judges it, the kernel check tries it."""
    for name, package in environment.packages.items():
        if not package.version:
            do = DO("install-to-be-judged", package=name)
            yield found(REASONS("version-unknown", package=name), name, do, remark=True)


def misleading_variables(environment: Environment, around: Surroundings) -> Iterator[Finding]:
    """Environment variables that send Python to the packages of another one."""
    # The ._pth file of an embeddable Python makes it ignore both.
    if environment.python is not None and environment.python.embedded:
        return
    for name in ("PYTHONPATH", "PYTHONHOME"):
        if name in around.variables:
            do = DO("unset-python-variable", variable=name)
            yield found(REASONS("python-variable", variable=name), "Python", do)


def pip_of_another(environment: Environment, around: Surroundings) -> Iterator[Finding]:
    """A plain ``pip`` that would install elsewhere."""
    if around.other_pip:
        yield found(REASONS("other-pip"), "pip", DO("never-plain-pip"), remark=True)


def _tag(file: str) -> str | None:
    """ "cp312" of "_fused.cp312-win_amd64.pyd" and of "_fused.cpython-312-x86_64-linux-gnu.so"."""
    match = re.search(r"\.(?:cp|cpython-)(\d{2,3}t?)-[^/\\]+\.(?:pyd|so)$", file)
    return f"cp{match[1]}" if match else None
