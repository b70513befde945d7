"""What around a Python keeps Triton or pip from working: found by looking, each with what to do."""

from collections.abc import Callable, Iterator

from ...machine import Environment
from ...machine.surroundings import Surroundings
from . import around_python, around_triton
from .finding import Finding

__all__ = ["RULES", "Finding", "findings"]

Rule = Callable[[Environment, Surroundings], Iterator[Finding]]

# What comes first in mending comes first.
RULES: tuple[Rule, ...] = (
    around_python.another_python,
    around_python.managed,
    around_python.not_writable,
    around_python.pip_missing,
    around_python.modules_of_another_python,
    around_python.version_unknown,
    around_triton.old_runtime,
    around_python.misleading_variables,
    around_triton.misleading_variables,
    around_triton.nothing_to_compile_with,
    around_triton.triton_cache,
    around_triton.not_ascii,
    around_triton.short_paths,
    around_python.pip_of_another,
)


def findings(environment: Environment, around: Surroundings) -> list[Finding]:
    """Everything found, what comes first in mending first."""
    return [finding for rule in RULES for finding in rule(environment, around)]
