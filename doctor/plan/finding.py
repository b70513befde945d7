"""One thing around a Python that keeps Triton or pip from working, or is worth knowing."""

from dataclasses import dataclass
from typing import Any

from ...machine.reason import Reason
from ..rules import Mismatch
from .sources import SOURCES
from .step import Step


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong around this Python, or worth knowing.

    Attributes:
        mismatch: What was needed, what came, what to do.
        step: The commands that put it right, where there are any.
        remark: It is worth knowing, and nothing fails by it alone.
        stops: Nothing can be installed before it is put right.
    """

    mismatch: Mismatch
    step: Step | None = None
    remark: bool = False
    stops: bool = False

    def as_data(self) -> dict[str, Any]:
        """Values for JSON; the step is among the plan's."""
        return self.mismatch.as_data() | {"remark": self.remark, "stops": self.stops}


def found(reason: Reason, about: str, do: str, source: str = "", **more: Any) -> Finding:
    """A finding; its source is that of its code, where none is given."""
    source = source or SOURCES[reason.code]
    return Finding(Mismatch(reason, about=about, do=do, source=source), **more)
