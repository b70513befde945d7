"""Tries kernels in a child process, so that what kills one kills no server."""

import time
from collections.abc import Callable
from pathlib import Path

from .process import Child
from .verdicts import CRASHED, NOT_IMPORTABLE, TIMED_OUT, Verdict, verdict_from

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
        limit_with_progress: Seconds for a kernel that goes on giving signs of life, no less than ``limit``.
        visible: CUDA_VISIBLE_DEVICES of the child; None for this process's own.
        progress: Called with (kernel, case) while it works.
    """

    def __init__(
        self,
        device: str,
        thorough: bool = False,
        timed: bool = False,
        declarations: Path | None = None,
        limit: float = LIMIT,
        limit_with_progress: float = LIMIT_WITH_PROGRESS,
        visible: str | None = None,
        progress: Callable[[str, str], None] = lambda kernel, case: None,
    ) -> None:
        self._work = {
            "device": device,
            "thorough": thorough,
            "timed": timed,
            "visible": visible,
            "declarations": str(declarations) if declarations else None,
        }
        self._limit, self._longest = limit, max(limit, limit_with_progress)
        self._progress = progress
        self._child: Child | None = None

    def __enter__(self) -> "Probe":
        return self

    def __exit__(self, *exception: object) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None

    def check(self, name: str) -> Verdict:
        """The verdict on one kernel, whatever it does to the child."""
        begin = time.monotonic()
        if self._child is None or not self._child.runs:
            self._kill()
            self._child = Child("--child", **self._work)
        try:
            self._child.tell(name)
        except OSError:
            return self._death(self._child, begin, "before it began")
        last_sign, case = begin, ""
        while True:
            now, last = time.monotonic(), begin + self._longest
            # What goes on saying things without an end is not waited for either.
            left = min(last_sign + self._limit, last) - now
            try:
                if left <= 0:
                    raise TimeoutError
                message = self._child.hear(left)
            except TimeoutError:
                return self._hung(begin, last_sign, case)
            if message is None:
                return self._death(self._child, begin, f"at {case}" if case else "while it was loaded")
            # What an earlier kernel left running in the child speaks of another.
            if message.get("kernel") != name:
                continue
            if message.get("event") == "verdict":
                verdict = verdict_from(message["verdict"])
                if verdict.state == CRASHED:
                    self._kill()  # It ends itself after such a verdict; the next kernel must not meet it.
                return verdict
            last_sign, case = time.monotonic(), message.get("case", "")
            self._progress(name, case)

    def _hung(self, begin: float, last_sign: float, case: str) -> Verdict:
        now = time.monotonic()
        self._kill()
        where = f"at {case}" if case else "before its first call"
        silent = now - last_sign
        detail = (
            f"no answer for {silent:.0f} s {where}"
            if silent >= self._limit
            else f"not done after {now - begin:.0f} s, {where}"
        )
        return Verdict(TIMED_OUT, None, detail, now - begin)

    def _death(self, child: Child, begin: float, where: str) -> Verdict:
        detail = child.death(where)
        self._kill()
        state = NOT_IMPORTABLE if where == "before it began" else CRASHED
        return Verdict(state, None, detail, time.monotonic() - begin)

    def _kill(self) -> None:
        if self._child is not None:
            self._child.kill()
        self._child = None
