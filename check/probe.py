"""Tries kernels in a child process, so that what kills one kills no server."""

import time
from collections.abc import Callable
from pathlib import Path

from .process import Child
from .verdicts import CRASHED, NOT_IMPORTABLE, TIMED_OUT, Verdict

# Seconds for one kernel, start of the child and import of torch included. A first start compiles Triton
# kernels, one for each head_dim.
LIMIT = 60.0
# Seconds for a kernel that goes on reporting cases: a slow machine is not a hung kernel.
LIMIT_WITH_PROGRESS = 180.0


class Probe:
    """One child process at a time; a new one after each that died.

    Args:
        device: Where to run, "cuda:0", "cpu".
        thorough: Every length rather than those around block sizes.
        timed: Also take times at typical shapes.
        declarations: A file with further backends, ``declare()``; for tests.
        limit: Seconds without a sign of life after which a kernel counts as hung.
        progress: Called with (kernel, case) while it works.
    """

    def __init__(
        self,
        device: str,
        thorough: bool = False,
        timed: bool = False,
        declarations: Path | None = None,
        limit: float = LIMIT,
        progress: Callable[[str, str], None] = lambda kernel, case: None,
    ) -> None:
        self._work = {
            "device": device,
            "thorough": thorough,
            "timed": timed,
            "declarations": str(declarations) if declarations else None,
        }
        self._limit = limit
        self._progress = progress
        self._child: Child | None = None

    def __enter__(self) -> "Probe":
        return self

    def __exit__(self, *exception) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None

    def check(self, name: str) -> Verdict:
        """The verdict on one kernel, whatever it does to the child."""
        begin = time.monotonic()
        if self._child is None or not self._child.runs:
            self._child = Child("--child", **self._work)
        try:
            self._child.tell(name)
        except OSError:
            return self._death(begin, "before it began")
        last_sign, case = begin, ""
        while True:
            left = min(last_sign + self._limit, begin + max(self._limit, LIMIT_WITH_PROGRESS))
            try:
                message = self._child.hear(left - time.monotonic())
            except TimeoutError:
                return self._hung(begin, last_sign, case)
            if message is None:
                return self._death(begin, f"at {case}" if case else "while it was loaded")
            if message.get("kernel") != name:
                continue
            if message["event"] == "verdict":
                verdict = Verdict(**message["verdict"])
                if verdict.state == CRASHED:
                    self._kill()  # It ends itself after such a verdict; the next kernel must not meet it.
                return verdict
            last_sign, case = time.monotonic(), message.get("case", "")
            self._progress(name, case)

    def _hung(self, begin: float, last_sign: float, case: str) -> Verdict:
        self._kill()
        now = time.monotonic()
        where = f"at {case}" if case else "before its first call"
        return Verdict(TIMED_OUT, None, f"no answer for {now - last_sign:.0f} s {where}", now - begin)

    def _death(self, begin: float, where: str) -> Verdict:
        detail = self._child.death(where)
        self._kill()
        state = NOT_IMPORTABLE if where == "before it began" else CRASHED
        return Verdict(state, None, detail, time.monotonic() - begin)

    def _kill(self) -> None:
        self._child.kill()
        self._child = None
