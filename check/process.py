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
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from ..machine.printable import printable
from .together import MARK, Together

_COMMAND = Path(__file__).resolve().parent.parent / "kernels_check"
# Letters of one line that are read at once; an answer is far shorter.
_LONGEST_LINE = 1 << 16
# Letters that are kept of each line of other output, for a process' last words.
_KEPT_OF_A_LINE = 500
# Seconds that a process which is killed, or has closed its answers, is waited for: one that hangs in a driver
# cannot even be killed.
_GRACE = 5.0
# Seconds after its end in which what it had said is still read: what it started may hold the line open.
_LAST_WORDS = 2.0


class Child:
    """One process, isolated, with fixed arguments and no shell.

    It is told a secret first, which each of its answers has with it: what a library prints to the same line,
    and what a process that it started says there, is output and no answer.

    Args:
        role: The argument that tells it what to do: "--child" tries kernels, "--imports" imports packages.
        facts: What it is told first, beside the folders that this process imports from.

    Raises:
        OSError: It cannot be started.
    """

    def __init__(self, role: str, **facts: Any) -> None:
        self._said: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._output: deque[str] = deque(maxlen=30)
        self._secret, mark = os.urandom(16).hex(), os.urandom(16).hex()
        self._process = subprocess.Popen(
            # Isolated, so that neither the working folder nor the user's own packages get in; what the
            # parent sees is told to it.
            [sys.executable, "-I", "-s", str(_COMMAND), role],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            # A session of its own, so that what it starts ends with it.
            start_new_session=os.name == "posix",
            env={**os.environ, MARK: mark},
        )
        self._together = Together(self._process, mark)
        assert self._process.stdin and self._process.stdout and self._process.stderr
        self._stdin = self._process.stdin
        self._readers = [
            threading.Thread(target=read, args=(stream,), daemon=True)
            for read, stream in (
                (self._read_answers, self._process.stdout),
                (self._read_errors, self._process.stderr),
            )
        ]
        for reader in (*self._readers, threading.Thread(target=self._await_end, daemon=True)):
            reader.start()
        path = [entry for entry in sys.path if entry and Path(entry).resolve() != _COMMAND]
        # What ended already is found when an answer is waited for.
        with contextlib.suppress(OSError):
            self.tell(json.dumps({"sys_path": path, "secret": self._secret, **facts}))

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        return self._process.pid

    def tell(self, line: str) -> None:
        """Hands it one line; OSError where it has ended."""
        self._stdin.write(line.encode() + b"\n")
        self._stdin.flush()

    def hear(self, timeout: float) -> dict[str, Any] | None:
        """Its next answer, None where it has ended or closed its answers.

        Raises:
            TimeoutError: It said nothing for that many seconds.
        """
        try:
            return self._said.get(timeout=max(0.0, timeout))
        except queue.Empty:
            raise TimeoutError from None

    def death(self, where: str) -> str:
        """How a process that gives no more answers came to it, and its last words.

        Args:
            where: What it was doing, "at its first call".
        """
        try:
            how = f"the process ended with {_in_words(self._process.wait(_GRACE))}"
        except subprocess.TimeoutExpired:
            how = "the process closed its answers and went on"
        self._readers[1].join(_LAST_WORDS)
        words = printable(" ".join(self._output.copy()), _KEPT_OF_A_LINE * 30)[-400:]
        return f"{how} {where}" + (f": {words}" if words else "")

    def kill(self) -> None:
        """Ends it and whatever it started."""
        self._together.kill()
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE)

    def end(self) -> None:
        """Lets it end by itself, and ends it where it does not."""
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            self._stdin.close()
            self._process.wait(_GRACE)
        self.kill()

    def _await_end(self) -> None:
        self._process.wait()
        # What it started may hold its answers open, and would be waited for as if it were the process itself.
        self._together.kill()
        self._readers[0].join(_LAST_WORDS)
        self._said.put(None)

    def _read_answers(self, stream: IO[bytes]) -> None:
        for line in _lines(stream):
            answer = self._answer(line)
            if answer is not None:
                self._said.put(answer)
            elif line.strip():
                self._output.append(line[:_KEPT_OF_A_LINE])
        self._said.put(None)

    def _answer(self, line: str) -> dict[str, Any] | None:
        """What the process itself says; None for a line of anything else."""
        if self._secret not in line:
            return None
        try:
            said = json.loads(line)
        except (ValueError, RecursionError):
            return None
        return said if isinstance(said, dict) and said.pop("secret", None) == self._secret else None

    def _read_errors(self, stream: IO[bytes]) -> None:
        for line in _lines(stream):
            self._output.append(line[:_KEPT_OF_A_LINE])


def _lines(stream: IO[bytes]) -> Iterator[str]:
    while line := stream.readline(_LONGEST_LINE):
        yield line.decode("utf-8", "replace")


def _in_words(code: int) -> str:
    """An exit code as people know it: "SIGSEGV", "access violation"."""
    if os.name == "nt":
        names = {0xC0000005: "access violation", 0xC0000409: "abort", 0xC0000374: "heap corruption"}
        return names.get(code & 0xFFFFFFFF, f"code {code & 0xFFFFFFFF:#x}")
    if code < 0:
        return signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    return f"code {code}"
