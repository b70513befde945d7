"""The tables of versions.json, and versions as numbers that can be compared."""

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..machine import Environment, Package
from .facts import table

_FILE = Path(__file__).resolve().parent / "versions.json"


@lru_cache(maxsize=1)
def tables() -> dict[str, Any]:
    """The whole file."""
    rows: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))
    return rows


@lru_cache(maxsize=4096)
def numbers(version: str) -> tuple[int, ...]:
    """ "12.8" as (12, 8)."""
    return tuple(int(number) for number in re.findall(r"\d+", version))


def dotted(release: tuple[int, ...]) -> str:
    """(12, 8) as "12.8"."""
    return ".".join(map(str, release))


def row_of_gpu(capability: tuple[int, ...]) -> dict[str, Any] | None:
    """What the table of GPUs says of this generation."""
    row: dict[str, Any]
    for row in tables()["gpus"]:
        if numbers(row["from"]) <= capability < numbers(row["below"]):
            return row
    return None


def rows_of_gpus(environment: Environment) -> list[dict[str, Any]]:
    """The same for each generation in the machine; none where torch was not asked, or does not know."""
    rows = (row_of_gpu(capability) for capability in sorted(environment.capabilities))
    return [row for row in rows if row is not None]


def names_of_gpus(environment: Environment) -> str:
    """Names with capabilities, "Tesla T4 (7.5)", for those whose capability is known."""
    named = (f"{gpu.name} ({dotted(gpu.capability)})" for gpu in environment.gpus if gpu.capability)
    return ", ".join(dict.fromkeys(named))


def computes_in_float32(name: str) -> bool:
    """Whether ComfyUI computes in float32 on a GPU of this name, since its float16 is broken."""
    return any(part in name for part in tables()["float32_gpus"]["names"])


def in_float32_alone(environment: Environment) -> bool:
    """Whether every GPU here is one on which ComfyUI computes in float32."""
    turing = rows_of_gpus(environment) and all("triton_below" in row for row in rows_of_gpus(environment))
    return bool(turing) and all(computes_in_float32(gpu.name) for gpu in environment.gpus)


def torches() -> list[str]:
    """The minor versions of torch whose Triton is known, oldest first."""
    return sorted((row["torch"] for row in table("wheels")["triton"]), key=numbers)


def minor_of_triton(torch: tuple[int, ...], system: str) -> str | None:
    """The minor version of Triton that belongs to a torch, "3.6"; None where none is known."""
    for row in table("wheels")["triton"]:
        if numbers(row["torch"]) == torch[:2]:
            found = row["windows"] if system == "windows" else next(iter(row["linux"].values()))
            return dotted(numbers(found)[:2]) if found and system != "darwin" else None
    return None


def source_of_triton(torch: tuple[int, ...]) -> str:
    """Who says which Triton belongs to a torch."""
    return next(str(row["source"]) for row in table("wheels")["triton"] if numbers(row["torch"]) == torch[:2])


def oldest_for_sage(version: int) -> tuple[int, ...]:
    """The oldest GPU that a version of SageAttention, 1 or 2, is made for: (7, 5)."""
    rows = (row for row in tables()["gpus"] if row["sage"] and (version == 1 or "triton_below" not in row))
    return min(numbers(row["from"]) for row in rows)


def driver_of(cuda: int) -> str:
    """The oldest NVIDIA driver on which a major version of CUDA starts."""
    return next(str(row["driver"]) for row in tables()["driver_for_cuda"] if row["cuda"] == cuda)


def triton_of(environment: Environment) -> tuple[str, Package] | None:
    """Name and package of the Triton that an import would find, None without one."""
    order = ("triton-windows", "triton") if environment.system == "windows" else ("triton", "triton-windows")
    found = [(name, environment.packages[name]) for name in order if name in environment.packages]
    return found[0] if found else None


def sage_packages(environment: Environment) -> list[tuple[str, Package]]:
    """Those of SageAttention that are installed, by name."""
    return [(name, environment.packages[name]) for name in SAGE if name in environment.packages]


SAGE = ("sageattention", "sageattn3")
