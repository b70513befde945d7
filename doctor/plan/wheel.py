"""Which built file fits a machine, and why each of the others does not."""

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from ...knowledge.facts import table
from ...knowledge.gpus import capabilities, named
from ...knowledge.tables import dotted, numbers
from ...machine import Environment, Python, Torch
from ...machine.message import Message
from ...machine.reason import Reason
from .catalogue import INSTALLER, REASONS, STEPS, WORDS

_PLATFORMS = {("windows", "AMD64"): "win_amd64", ("linux", "x86_64"): "linux_x86_64"}


@dataclass(frozen=True)
class Wheel:
    """One built file.

    Attributes:
        package: The distribution it holds.
        version: Its full version.
        file: Its name, which pip needs unchanged.
        url: Where it lies; None in the package registry.
        torch: The versions of torch it is for, as a specifier; "" for any.
        cuda: The CUDA it was built with, of which the major version counts; None without any.
        python: Its Python tag.
        abi: Its ABI tag.
        platform: Its platform tag.
        capabilities: The GPUs it runs on.
        source: Who says so.
        sha256: Its checksum, where one is known.
        sha256_source: Who names the checksum, where it is not the source.
        remark: What else to know.
        superseded: A later file does better; known here to go back to.
    """

    package: str
    version: str
    file: str
    url: str | None
    torch: str
    cuda: str | None
    python: str
    abi: str
    platform: str
    capabilities: tuple[str, ...]
    source: str
    sha256: str = ""
    sha256_source: str = ""
    remark: str = ""
    superseded: bool = False

    @property
    def target(self) -> str:
        """What pip installs; with the checksum, which pip then compares."""
        if self.url is None:
            return f"{self.package}=={self.version}"
        return f"{self.url}#sha256={self.sha256}" if self.sha256 else self.url

    def as_data(self) -> dict[str, Any]:
        """Values for JSON."""
        return asdict(self) | {"capabilities": list(self.capabilities)}


@dataclass(frozen=True)
class Choice:
    """The file that fits, and the decision on each of the others.

    Attributes:
        wheel: None where none fits.
        refused: Every other file that is still offered, nearest first, with its reasons.
    """

    wheel: Wheel | None
    refused: tuple[tuple[Wheel, tuple[Reason, ...]], ...]


@lru_cache(maxsize=1)
def wheels() -> tuple[Wheel, ...]:
    """Every file of the table, best first."""
    return tuple(
        Wheel(**row | {"capabilities": tuple(row["capabilities"])}) for row in table("wheels")["files"]
    )


def find(package: str, version: str, environment: Environment) -> Wheel | None:
    """The file that an installed version came from, where the table has it."""
    for wheel in wheels():
        if (wheel.package, wheel.version) == (package, version) and not _of_another_system(
            wheel, environment
        ):
            return wheel
    return None


def choose(environment: Environment, package: str) -> Choice:
    """The file of a package for this machine; superseded ones are not looked at."""
    offered = [wheel for wheel in wheels() if wheel.package == package and not wheel.superseded]
    decided = [(wheel, tuple(reasons(wheel, environment))) for wheel in offered]
    fitting = [wheel for wheel, against in decided if not against]
    # The minor version of CUDA does not matter, but where both are there the same one is the safer.
    cuda = environment.torch.cuda if environment.torch else None
    best = next((wheel for wheel in fitting if wheel.cuda == cuda), fitting[0] if fitting else None)
    refused = sorted(((wheel, against) for wheel, against in decided if against), key=lambda one: len(one[1]))
    return Choice(best, tuple(refused))


def reasons(wheel: Wheel, environment: Environment) -> list[Reason]:
    """Everything that speaks against a file on this machine; empty where it fits."""
    python, torch = environment.python, environment.torch
    found = _of_another_system(wheel, environment)
    if python is None or not _takes_python(wheel, python):
        told = _told(python) if python else str(python)
        found.append(REASONS("wheel-python", wanted=_pythons(wheel), python=told))
    if torch is None or not takes_torch(wheel.torch, torch):
        found.append(REASONS("wheel-torch", specifier=wheel.torch, torch=str(torch)))
    if wheel.cuda and (torch is None or torch.cuda_release[:1] != numbers(wheel.cuda)[:1]):
        came = WORDS("cuda-of-torch", cuda=torch.cuda) if torch and torch.cuda else WORDS("no-cuda")
        found.append(REASONS("wheel-cuda", wanted=numbers(wheel.cuda)[0], came=came))
    present = capabilities(environment)
    if present and not present & set(map(numbers, wheel.capabilities)):
        found.append(REASONS("wheel-gpu", capabilities=wheel.capabilities, gpus=named(environment)))
    return found


def why(wheel: Wheel, environment: Environment) -> tuple[str, ...]:
    """What makes a file fit this machine, in sentences; its reasons, turned round."""
    python, torch = environment.python, environment.torch
    present = capabilities(environment)
    served = sorted(present & set(map(numbers, wheel.capabilities)))
    lines: list[str] = []
    if wheel.torch:
        lines.append(STEPS("file-for-torch", specifier=wheel.torch, torch=str(torch)))
    if wheel.cuda:
        lines.append(STEPS("file-for-cuda", cuda=wheel.cuda, cuda_here=str(torch and torch.cuda)))
    tags = f"{wheel.python}-{wheel.abi}"
    lines.append(STEPS("file-for-python", tags=tags, wanted=_pythons(wheel), python=_told(python)))
    if served:
        told = tuple(map(dotted, served))
        lines.append(STEPS("file-for-gpus", capabilities=told, gpus=named(environment, served)))
    if left := sorted(present - set(served)):
        lines.append(STEPS("file-not-for-gpus", gpus=named(environment, left)))
    source = wheel.sha256_source or WORDS("the-source")
    lines.append(
        INSTALLER("checksum-compared", installer="pip", source=source)
        if wheel.sha256
        else STEPS("no-checksum")
    )
    return tuple(line for line in [*lines, wheel.remark] if line)


def takes_torch(specifier: str, torch: Torch) -> bool:
    """Whether a specifier of the table holds for a torch: ">=2.10", "==2.9.*", "==2.13.0", or "" for any.

    A nightly build satisfies none: what belongs to it is in no table.
    """
    if not specifier:
        return True
    if torch.is_nightly or not torch.release:
        return False
    wanted = numbers(specifier)
    if specifier.startswith(">="):
        return torch.release >= wanted
    length = len(wanted) if specifier.endswith(".*") else len(torch.release)
    return torch.release[:length] == wanted


def _of_another_system(wheel: Wheel, environment: Environment) -> list[Reason]:
    machine = environment.python.machine if environment.python else ""
    if wheel.platform in ("any", _PLATFORMS.get((environment.system, machine))):
        return []
    return [
        REASONS(
            "wheel-platform",
            platform=wheel.platform,
            system=environment.system,
            machine=machine or WORDS("unknown-machine"),
        )
    ]


def _takes_python(wheel: Wheel, python: Python) -> bool:
    if wheel.abi == "none":
        return True
    if wheel.abi == "abi3":
        # The stable ABI begins with the version in the tag; a free-threaded Python does not take it.
        return (
            python.implementation == "cpython" and not python.free_threaded and python.minor >= _minor(wheel)
        )
    return python.tag == wheel.python == wheel.abi


def _minor(wheel: Wheel) -> tuple[int, int]:
    digits = wheel.python.removeprefix("cp")
    return int(digits[0]), int(digits[1:])


def _pythons(wheel: Wheel) -> Message:
    if wheel.abi == "none":
        return WORDS("any-python")
    return WORDS("cpython-or-newer" if wheel.abi == "abi3" else "cpython", version=dotted(_minor(wheel)))


def _told(python: Python | None) -> str:
    if python is None:
        return WORDS("unknown-python")
    return WORDS("python-free-threaded", version=python.version) if python.free_threaded else python.version
