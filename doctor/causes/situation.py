"""What is known of the machine that a log is about: the log's word first, then what this machine is."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ...knowledge.gpus import capability_of
from ...knowledge.tables import computes_in_float32
from ...machine import Environment
from ...machine.torch_build import CUDA, ROCM, XPU
from ..paste.maker import AMD, APPLE, INTEL, NVIDIA
from ..paste.paste import Paste
from ..paste.told import Told, read_facts
from .catalogue import NOTES

_MAKERS = {CUDA: NVIDIA, ROCM: AMD, XPU: INTEL}
# What tells one machine from another. Two Pythons of one machine differ in more.
_TELLING = {"system": "system", "gpu": "GPU", "torch": "torch", "python": "Python"}
_SYSTEMS = {"windows": "Windows", "linux": "Linux", "darwin": "macOS"}


@dataclass(frozen=True)
class Situation:
    """A log and the machine it is about.

    Attributes:
        paste: The log.
        facts: What is known.
        elsewhere: A sentence, where the log is of another machine than this one.
    """

    paste: Paste
    facts: Told = field(default_factory=Told)
    elsewhere: str = ""


def situation(paste: Paste, environment: Environment | None = None) -> Situation:
    """The facts of a log, and from the machine what the log does not tell."""
    told = read_facts(paste)
    if environment is None:
        return Situation(paste, told)
    here = _facts_of(environment, told.gpu)
    differs = [name for name in _TELLING if name in told.known & here.known and not _same(name, told, here)]
    if "gpu" not in differs and {"maker"} <= told.known & here.known and told.maker != here.maker:
        differs.append("maker")
    if differs:
        # Of another machine nothing here is known to be so.
        return Situation(paste, told, _sentence(told, here, differs))
    return Situation(paste, replace(here, **{name: getattr(told, name) for name in told.known}))


def fits(when: Mapping[str, Any], found: Situation, groups: Mapping[str, str]) -> bool | None:
    """Whether conditions hold; None where one of them cannot be told and none is known to fail.

    Args:
        when: Conditions by name. Of "os", "maker", "attention" and "compute" one of the words has to be it;
            "capability", "torch", "cuda", "python", "triton" and "sage" are bounds such as ">=12.0 <13.0"; of
            "flags" one has to be on; "float32" is whether ComfyUI computes so on the GPU; one of the words of
            "says" has to be found in the log, none of "unless"; "not_maker" holds unless one of them is known
            to be it; "match" are expressions for what the row's own expression found under a name. A name
            with ! at its end does not hold where it cannot be told.
        found: The log and what is known.
        groups: What that expression found.
    """
    answers = [_answer(name, wanted, found, groups) for name, wanted in when.items()]
    if False in answers:
        return False
    return None if None in answers else True


def _answer(name: str, wanted: Any, found: Situation, groups: Mapping[str, str]) -> bool | None:
    holds: bool | None = _TESTS[name.rstrip("!")](wanted, found, groups)
    return False if holds is None and name.endswith("!") else holds


def _facts_of(environment: Environment, named: str) -> Told:
    """What is known of this machine; of several GPUs the one that the log names."""
    gpus = environment.gpus
    gpu = next((one for one in gpus if named and _is_same_gpu(named, one.name)), gpus[0] if gpus else None)
    torch = environment.torch
    maker = _MAKERS.get(torch.kind, "") if torch else ""
    if environment.system == "darwin":
        maker = APPLE
    elif gpu and re.search("amd|radeon", gpu.name, re.IGNORECASE):
        maker = AMD
    elif environment.driver is not None:
        maker = NVIDIA
    packages = environment.packages
    triton = packages.get("triton-windows") or packages.get("triton")
    sage = packages.get("sageattention")
    return Told(
        system=environment.system,
        wsl=environment.wsl,
        maker=maker,
        gpu=gpu.name if gpu else "",
        capability=(gpu.capability or capability_of(gpu.name) or ()) if gpu else (),
        torch=str(torch) if torch else "",
        python=environment.python.version if environment.python else "",
        embedded=bool(environment.python and environment.python.embedded),
        triton=triton.version if triton else "",
        sage=sage.version if sage else "",
        flags=frozenset(f"--{one.replace('_', '-')}" for one in environment.flags),
    )


def _same(name: str, told: Told, here: Told) -> bool:
    one, other = str(getattr(told, name)).lower(), str(getattr(here, name)).lower()
    if name == "gpu":
        return _is_same_gpu(one, other)
    if name in ("torch", "python"):
        public = [text.partition("+") for text in (one, other)]
        builds = {part[2][:4] for part in public} - {""}
        return _numbers(public[0][0])[:2] == _numbers(public[1][0])[:2] and len(builds) < 2
    return one == other


def _is_same_gpu(one: str, other: str) -> bool:
    """ "RTX 4090" and "NVIDIA GeForce RTX 4090 Laptop GPU": the number tells, where both have one."""
    numbers = [set(re.findall(r"[a-z]{0,3}\d{3,4}", text.lower())) for text in (one, other)]
    return not all(numbers) or bool(numbers[0] & numbers[1])


def _sentence(told: Told, here: Told, differs: list[str]) -> str:
    names = [name for name in _TELLING if name in differs or (name == "gpu" and "maker" in differs)]
    there = tuple(_named(told, name) for name in names if getattr(told, name)) or told.maker
    present = tuple(_named(here, name) for name in names if getattr(here, name)) or here.maker
    return NOTES("log-of-another-machine", there=there, present=present)


def _named(facts: Told, name: str) -> str:
    value: str = getattr(facts, name)
    if name == "system":
        return _SYSTEMS.get(value, value)
    return value if name == "gpu" else f"{_TELLING[name]} {value}"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version.partition("+")[0])))


def _cuda_of(torch: str) -> str:
    tag = re.search(r"\+cu(\d{2,3})(\d)\b", torch)
    return f"{tag[1]}.{tag[2]}" if tag else ""


def _one_of(name: str) -> Any:
    def test(wanted: list[str], found: Situation, groups: Mapping[str, str]) -> bool | None:
        value = getattr(found.facts, name)
        return value in wanted if value else None

    return test


def _within(read: Any) -> Any:
    def test(wanted: str, found: Situation, groups: Mapping[str, str]) -> bool | None:
        value = read(found.facts)
        return _is_within(value, wanted) if value else None

    return test


def _is_within(value: tuple[int, ...], wanted: str) -> bool:
    for bound in wanted.split():
        # ">=12.0" or "<13.0"; the table's test knows no other.
        limit = _numbers(bound)
        if (value[: len(limit)] >= limit) != bound.startswith(">="):
            return False
    return True


def _flags(wanted: list[str], found: Situation, groups: Mapping[str, str]) -> bool | None:
    on = found.facts.flags
    return True if on & set(wanted) else False if on else None


def _says(wanted: str, found: Situation, groups: Mapping[str, str]) -> bool:
    """Small words with | between them, looked for as they are."""
    return any(found.paste.has(word) for word in wanted.split("|"))


def _match(wanted: Mapping[str, str], found: Situation, groups: Mapping[str, str]) -> bool:
    return all(re.search(one, groups.get(name) or "", re.IGNORECASE) for name, one in wanted.items())


_TESTS = {
    "os": _one_of("system"),
    "maker": _one_of("maker"),
    "not_maker": lambda wanted, found, groups: found.facts.maker not in wanted,
    "attention": _one_of("attention"),
    "compute": _one_of("compute"),
    "capability": _within(lambda facts: facts.capability),
    "torch": _within(lambda facts: _numbers(facts.torch)),
    "cuda": _within(lambda facts: _numbers(_cuda_of(facts.torch))),
    "python": _within(lambda facts: _numbers(facts.python)),
    "triton": _within(lambda facts: _numbers(facts.triton)),
    "sage": _within(lambda facts: _numbers(facts.sage)),
    "gpu": lambda wanted, found, groups: (
        bool(re.search(wanted, found.facts.gpu, re.IGNORECASE)) if found.facts.gpu else None
    ),
    "float32": lambda wanted, found, groups: (
        computes_in_float32(found.facts.gpu) == wanted if found.facts.gpu else None
    ),
    "flags": _flags,
    "says": _says,
    "unless": lambda wanted, found, groups: not _says(wanted, found, groups),
    "container": lambda wanted, found, groups: found.facts.container or None,
    "embedded": lambda wanted, found, groups: found.facts.embedded or None,
    "match": _match,
}
CONDITIONS = frozenset(_TESTS)
