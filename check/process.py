"""A child process of this Python that is told lines, answers in JSON, and may die of what it does."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path
from typing import Any

_COMMAND = Path(__file__).resolve().parent.parent / "kernels_check"


class Child:
    """One process, isolated, with fixed arguments and no shell.

    Args:
        role: The argument that tells it what to do: "--child" tries kernels, "--imports" imports packages.
        facts: What it is told first, beside the folders that this process imports from.

    Raises:
        OSError: It cannot be started.
    """

    def __init__(self, role: str, **facts: Any) -> None:
        self._said: queue.Queue[dict | None] = queue.Queue()
        self._stderr: deque[str] = deque(maxlen=30)
        self._process = subprocess.Popen(
            # Isolated, so that neither the working folder nor the user's own packages get in; what the
            # parent sees is told to it.
            [sys.executable, "-I", "-s", str(_COMMAND), role],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            # A session of its own, so that what it starts ends with it.
            start_new_session=os.name == "posix",
        )
        for read in (self._read_answers, self._read_errors):
            threading.Thread(target=read, daemon=True).start()
        path = [entry for entry in sys.path if entry and Path(entry).resolve() != _COMMAND]
        # What ended already is found when an answer is waited for.
        with contextlib.suppress(OSError):
            self.tell(json.dumps({"sys_path": path, **facts}))

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        return self._process.pid

    def tell(self, line: str) -> None:
        """Hands it one line; OSError where it has ended."""
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def hear(self, timeout: float) -> dict | None:
        """Its next answer, None where it has ended.

        Raises:
            TimeoutError: It said nothing for that many seconds.
        """
        try:
            return self._said.get(timeout=max(0.0, timeout))
        except queue.Empty:
            raise TimeoutError from None

    def death(self, where: str) -> str:
        """How a process that has ended did so, and its last words.

        Args:
            where: What it was doing, "at its first call".
        """
        code = self._process.wait()
        words = " ".join(" ".join(self._stderr).split())[-400:]
        return f"the process ended with {_in_words(code)} {where}" + (f": {words}" if words else "")

    def kill(self) -> None:
        """Ends it and whatever it started."""
        if os.name == "posix":
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        """Lets it end by itself, and ends it where it does not."""
        try:
            self._process.stdin.close()
            self._process.wait(timeout=5)
        except (OSError, subprocess.TimeoutExpired):
            pass
        self.kill()

    def _read_answers(self) -> None:
        for line in self._process.stdout:
            try:
                message = json.loads(line)
            except ValueError:
                message = None
            # What a library forked has the same channel, and is not asked.
            if isinstance(message, dict) and message.get("pid") == self._process.pid:
                self._said.put(message)
            else:
                self._stderr.append(line)
        self._said.put(None)

    def _read_errors(self) -> None:
        for line in self._process.stderr:
            self._stderr.append(line)


def _in_words(code: int) -> str:
    """An exit code as people know it: "SIGSEGV", "access violation"."""
    if os.name == "nt":
        names = {0xC0000005: "access violation", 0xC0000409: "abort", 0xC0000374: "heap corruption"}
        return names.get(code & 0xFFFFFFFF, f"code {code & 0xFFFFFFFF:#x}")
    if code < 0:
        return signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    return f"code {code}"
