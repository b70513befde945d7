"""Two things on a machine that do not belong together."""

from dataclasses import asdict, dataclass
from typing import Any

from ...machine.reason import Reason


@dataclass(frozen=True)
class Mismatch:
    """What does not fit, and what to do.

    Attributes:
        reason: A stable code, what was needed and what came.
        about: The package or the kernel it concerns.
        do: One sentence: what to do.
        source: Where it is documented or was reported.
    """

    reason: Reason
    about: str
    do: str
    source: str

    @property
    def texts(self) -> tuple[str | Reason, ...]:
        """What it says in sentences."""
        return (self.about, self.reason, self.do)

    def __str__(self) -> str:
        return f"{self.about}: {self.reason}. {self.do}"

    def as_data(self) -> dict[str, Any]:
        """Values for JSON."""
        return asdict(self)
