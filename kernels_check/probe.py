"""Tries kernels in a child process, so that what kills one kills no server."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from .verdicts import CRASHED, NOT_IMPORTABLE, TIMED_OUT, Verdict

# Seconds for one kernel, start of the child and import of torch included. A first start compiles Triton
# kernels, one for each head_dim.
LIMIT = 60.0
# Seconds for a kernel that goes on reporting cases: a slow machine is not a hung kernel.
LIMIT_WITH_PROGRESS = 180.0
_FOLDER = Path(__file__).resolve().parent


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
            "sys_path": [path for path in sys.path if path and Path(path).resolve() != _FOLDER],
        }
        self._limit = limit
        self._progress = progress
        self._child: subprocess.Popen | None = None
        self._said: queue.Queue = queue.Queue()
        self._stderr: deque[str] = deque(maxlen=30)

    def __enter__(self) -> "Probe":
        return self

    def __exit__(self, *exception) -> None:
        self._end()

    def check(self, name: str) -> Verdict:
        """The verdict on one kernel, whatever it does to the child."""
        begin = time.monotonic()
        if self._child is None or self._child.poll() is not None:
            self._start()
        try:
            self._tell(name)
        except OSError:
            return self._death(begin, "before it began")
        last_sign, case = begin, ""
        while True:
            now = time.monotonic()
            left = min(last_sign + self._limit, begin + max(self._limit, LIMIT_WITH_PROGRESS)) - now
            try:
                message = self._said.get(timeout=max(0.0, left))
            except queue.Empty:
                self._kill()
                where = f" at {case}" if case else " before its first call"
                return Verdict(TIMED_OUT, None, f"no answer for {now - last_sign:.0f} s{where}", now - begin)
            if message is None:
                return self._death(begin, case or "while it was loaded")
            if message["event"] == "verdict":
                verdict = Verdict(**message["verdict"])
                if verdict.state == CRASHED:
                    self._kill()  # It ends itself after such a verdict; the next kernel must not meet it.
                return verdict
            last_sign, case = time.monotonic(), message.get("case", "")
            self._progress(name, case)

    def _start(self) -> None:
        self._said, self._stderr = queue.Queue(), deque(maxlen=30)
        self._child = subprocess.Popen(
            # Isolated, so that neither the working folder nor the user's own packages get in; what the
            # parent sees is told to it.
            [sys.executable, "-I", "-s", str(_FOLDER), "--child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        for stream, into in ((self._child.stdout, self._hear), (self._child.stderr, self._stderr.append)):
            threading.Thread(target=_drain, args=(stream, into, self._said), daemon=True).start()
        try:
            self._tell(json.dumps(self._work))
        except OSError:
            return

    def _hear(self, line: str) -> None:
        self._said.put(json.loads(line))

    def _tell(self, line: str) -> None:
        self._child.stdin.write(line + "\n")
        self._child.stdin.flush()

    def _death(self, begin: float, where: str) -> Verdict:
        code = self._child.wait()
        self._child = None
        words = " ".join(" ".join(self._stderr).split())[-400:]
        detail = f"the process ended with {_in_words(code)} at {where}" + (f": {words}" if words else "")
        state = NOT_IMPORTABLE if where == "before it began" else CRASHED
        return Verdict(state, None, detail, time.monotonic() - begin)

    def _kill(self) -> None:
        self._child.kill()
        self._child.wait()
        self._child = None

    def _end(self) -> None:
        if self._child is None:
            return
        try:
            self._child.stdin.close()
            self._child.wait(timeout=5)
        except (OSError, subprocess.TimeoutExpired):
            self._child.kill()
            self._child.wait()
        self._child = None


def _drain(stream, into: Callable[[str], None], said: queue.Queue) -> None:
    """Hands on each line of a stream; the end of stdout is told as None."""
    is_stdout = getattr(into, "__func__", None) is Probe._hear
    for line in stream:
        into(line)
    if is_stdout:
        said.put(None)


def _in_words(code: int) -> str:
    """An exit code as people know it: "SIGSEGV", "access violation"."""
    if os.name == "nt":
        names = {0xC0000005: "access violation", 0xC0000409: "abort", 0xC0000374: "heap corruption"}
        return names.get(code & 0xFFFFFFFF, f"code {code & 0xFFFFFFFF:#x}")
    if code < 0:
        return signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    return f"code {code}"
