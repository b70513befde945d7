"""Which Triton belongs to the torch that is installed."""

from dataclasses import dataclass
from typing import Any

from ...knowledge.facts import table
from ...knowledge.tables import dotted, numbers
from ...machine import Environment, Package
from ...machine.reason import Reason
from .catalogue import REASONS, WORDS


@dataclass(frozen=True)
class Triton:
    """The Triton that belongs to one torch.

    Attributes:
        name: Its distribution: "triton-windows", or "triton" where torch itself asks for it.
        specifier: ">=3.7,<3.8", or "==3.7.1" where torch names one version.
        newest: The newest release known in that range, "" where that is not recorded.
        source: Who says so.
    """

    name: str
    specifier: str
    newest: str
    source: str

    @property
    def requirement(self) -> str:
        """ "triton-windows>=3.7,<3.8"."""
        return self.name + self.specifier

    def takes(self, package: Package) -> bool:
        """Whether an installed one will do: its minor version counts, as it does for torch."""
        return package.release[:2] == numbers(self.specifier)[:2]


def triton_for(environment: Environment) -> Triton | Reason:
    """The Triton for this machine, or why there is none."""
    torch = environment.torch
    row = _row(environment)
    if torch is None or row is None:
        return REASONS("triton-unknown", torch=str(torch))
    if environment.system == "windows":
        return _on_windows(environment, row)
    pins = row["linux"]
    pin = pins.get(dotted(torch.release)) or pins.get(dotted(torch.release[:2]))
    if pin is None or environment.system != "linux":
        return REASONS("triton-unknown-on-linux", torches=tuple(pins), torch=str(torch))
    return Triton("triton", f"=={pin}", "", row["source"])


def _on_windows(environment: Environment, row: dict[str, Any]) -> Triton | Reason:
    if row["windows"] is None:
        return REASONS("triton-none", wanted=row["torch"], torch=str(environment.torch))
    release, python = numbers(row["windows"])[:2], environment.python
    for served in table("wheels")["triton_windows_python"]["rows"]:
        if python is not None and python.minor == numbers(served["python"]):
            if numbers(served["from"]) <= release <= numbers(served["to"]) and not python.free_threaded:
                return Triton("triton-windows", row["windows"], row["windows_newest"], row["source"])
            came = WORDS(
                "triton-from-to-but-free-threaded" if python.free_threaded else "triton-from-to",
                first=served["from"],
                last=served["to"],
                python=served["python"],
            )
            return REASONS("triton-python", release=dotted(release), came=came)
    return REASONS("triton-python", release=dotted(release), came=WORDS("python-here", python=str(python)))


def _row(environment: Environment) -> dict[str, Any] | None:
    torch = environment.torch
    if torch is None or torch.is_nightly:
        return None
    return next(
        (row for row in table("wheels")["triton"] if numbers(row["torch"]) == torch.release[:2]), None
    )
