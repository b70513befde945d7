"""The time, as everything in this room reads it."""

import time
from typing import Protocol


class Clock(Protocol):
    """What the module ``time`` has of this; each in seconds."""

    def time(self) -> float:
        """Since 1970."""
        ...

    def monotonic(self) -> float:
        """Since any moment, for spans that people notice."""
        ...

    def perf_counter(self) -> float:
        """The same, for spans of microseconds."""
        ...


SYSTEM: Clock = time
