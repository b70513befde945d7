"""Fuzzers: seeded, and short unless SAGEKIT_ATTACK=long asks for the numbers of docs/promises.md.

    SAGEKIT_ATTACK=long python dev.py test tests/attack

SAGEKIT_ATTACK_SEED takes another seed than 1, COMFYUI_DIR another ComfyUI where a test is not for both.
"""

import os
import random
import signal
from collections import Counter
from collections.abc import Iterator

import pytest

# "long", or a part of it as a number: 0.1.
ASKED = os.environ.get("SAGEKIT_ATTACK", "")
SHARE = 1.0 if ASKED == "long" else float(ASKED or 0)
SEED = int(os.environ.get("SAGEKIT_ATTACK_SEED", "1"))
TRIED = pytest.StashKey[Counter]()


class Attack:
    """How much is tried, and what was."""

    def __init__(self, name: str, tried: Counter) -> None:
        self.random = random.Random(f"{SEED} {name}")
        self.seed = SEED
        self._tried = tried

    def times(self, short: int, long: int) -> int:
        """How often, in a short run and in a long one."""
        return max(short, int(SHARE * long))

    def tried(self, what: str, count: int = 1) -> None:
        """Counts for the figures that are published."""
        self._tried[what] += count


@pytest.fixture
def attack(request) -> Attack:
    return Attack(request.node.name, request.config.stash.setdefault(TRIED, Counter()))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item) -> Iterator[None]:
    # A long run is not cut off after ten minutes.
    if SHARE and hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, 0)
    return (yield)


def pytest_terminal_summary(terminalreporter, config) -> None:
    tried = config.stash.get(TRIED, Counter())
    if tried:
        figures = ", ".join(f"{count:,} {what}" for what, count in tried.items())
        terminalreporter.write_line(f"attack with seed {SEED}: {figures}")
