"""The compute capability of each GPU: torch's word, or what a well-known name says."""

import re
from collections.abc import Iterable

from ..machine import Environment
from .facts import table
from .tables import dotted, numbers

Capability = tuple[int, ...]
_OTHER_MAKERS = {"AMD": r"\bAMD\b|Radeon|Instinct|gfx\d", "Intel": r"\bIntel\b|\bArc\b"}


def capabilities(environment: Environment) -> frozenset[Capability]:
    """Of all GPUs; from torch where it was asked, else by name, and empty where neither tells."""
    return frozenset(capability for _, capability in _known(environment))


def named(environment: Environment, only: Iterable[Capability] | None = None) -> str:
    """ "NVIDIA GeForce RTX 4090 (8.9)", for those GPUs whose capability is known."""
    wanted = None if only is None else set(only)
    told = [
        f"{name} ({dotted(capability)})"
        for name, capability in _known(environment)
        if wanted is None or capability in wanted
    ]
    return ", ".join(dict.fromkeys(told)) or "an unknown GPU"


def other_maker(environment: Environment) -> str:
    """ "AMD" or "Intel", where the names of the GPUs say so and none is NVIDIA's; else ""."""
    names = [gpu.name for gpu in environment.gpus]
    for one, match in _OTHER_MAKERS.items():
        if names and all(re.search(match, name, re.IGNORECASE) for name in names):
            return one
    return ""


def ptxas_needed(environment: Environment) -> str:
    """A sentence for a GPU that Triton's own assembler may not know; empty for every other."""
    build = table("wheels")["build"]
    return str(build["ptxas"]) if numbers(build["ptxas_for"]) in capabilities(environment) else ""


def _known(environment: Environment) -> list[tuple[str, Capability]]:
    found = [(gpu.name, gpu.capability or capability_of(gpu.name)) for gpu in environment.gpus]
    return [(name, capability) for name, capability in found if capability]


def capability_of(name: str) -> Capability | None:
    """What a well-known name of a GPU says, None for every other."""
    # NVIDIA's own driver leaves its name out of some: "Tesla T4".
    if re.search("amd|radeon|intel", name, re.IGNORECASE):
        return None
    rows = table("wheels")["gpu_names"]["rows"]
    return next((numbers(row["capability"]) for row in rows if re.search(row["match"], name)), None)
