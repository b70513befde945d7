"""The child process of the probe: tries one kernel after another, and may die of any of them.

It hears, line by line on stdin, first a JSON object with how to work, then the names of kernels. It says JSON
lines on what was its stdout; anything that a library prints goes to stderr. When stdin ends, it ends.
"""

import importlib
import importlib.util
import json
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..kernels.backend import Backend
from ..kernels.faults import is_out_of_memory, leaves_the_gpu_usable
from ..machine.printable import printable
from . import together
from .verdicts import CRASHED, NOT_IMPORTABLE, REFUSED, Verdict

if TYPE_CHECKING:
    import torch

LOST_CONTEXT = 86


def main() -> int:
    """Serves until stdin ends."""
    say, work = begin()
    if work.get("visible") is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = work["visible"]
    names = lines_until_eof()
    from ..kernels.families import declare, installed
    from ..kernels.launch_flags import declare as declare_flags

    here = installed()
    declared = [*declare(here), *declare_flags(here), *_extra(work.get("declarations"))]
    backends = {backend.name: backend for backend in declared}
    for name in iter(names.get, None):
        say({"event": "started", "kernel": name})

        def progress(case: object, name: str = name) -> None:
            say({"event": "case", "kernel": name, "case": str(case)})

        verdict = _verdict(backends[name], work, progress)
        say({"event": "verdict", "kernel": name, "verdict": vars(verdict) | {"times": dict(verdict.times)}})
        if verdict.state == CRASHED:
            # The context is gone with it, and every kernel after this one would look broken too.
            os._exit(LOST_CONTEXT)
    return 0


def _verdict(backend: Backend, work: dict[str, Any], progress: Callable[[object], None]) -> Verdict:
    try:
        importlib.import_module("torch")  # The compiled modules link to its libraries.
        _import_each(backend.imports)
        kernel = backend.load()
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return Verdict(NOT_IMPORTABLE, None, last_words(error))
    from . import trial
    from .cases import cases

    device = _device(work["device"])
    capability = _prepare(device)
    every = cases(device.type, capability, work["thorough"])
    try:
        verdict = trial.try_kernel(backend, kernel, every, device, progress)
        if verdict.is_good and work["timed"] and device.type == "cuda":
            verdict = Verdict(**{**vars(verdict), "times": trial.times(backend, kernel, capability, device)})
        return verdict
    except Exception as error:
        state = REFUSED if is_out_of_memory(error) or leaves_the_gpu_usable(error) else CRASHED
        return Verdict(state, None, last_words(error))


def _import_each(modules: tuple[str, ...]) -> None:
    """Imports each compiled module by itself: its package may hide why it fails (sageattention does)."""
    for module in modules:
        importlib.import_module(module)


def _device(asked: str) -> "torch.device":
    """The device asked for; the CPU where torch sees no GPU, as ComfyUI would run there."""
    import torch

    return torch.device(asked if torch.cuda.is_available() else "cpu")


def _prepare(device: "torch.device") -> tuple[int, int] | None:
    import torch

    torch.backends.cuda.matmul.allow_tf32 = False
    torch.set_grad_enabled(False)
    if device.type != "cuda":
        return None
    torch.cuda.set_device(device)
    return torch.cuda.get_device_capability(device)


def _extra(file: str | None) -> tuple[Backend, ...]:
    """Further declarations from a file that the parent names."""
    if file is None:
        return ()
    spec = importlib.util.spec_from_file_location(f"{__package__}.extra", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return tuple(module.declare())


def begin() -> tuple[Callable[[dict[str, Any]], None], dict[str, Any]]:
    """A function that answers the parent, and what this process was told first.

    Answers go where stdout goes now; from here on, stdout is stderr.
    """
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    told = json.loads(sys.stdin.readline())
    sys.path[:] = told["sys_path"]
    # A library that forks makes a process that may come back here: its answers are nobody's.
    own = os.getpid()

    def say(message: dict[str, Any]) -> None:
        if os.getpid() != own:
            os._exit(1)
        # On a line of its own, whatever else was written there.
        channel.write("\n" + json.dumps({**message, "secret": told["secret"]}) + "\n")
        channel.flush()

    return say, told


def lines_until_eof() -> "queue.Queue[str]":
    """The lines of stdin as they come. When the parent is gone, so is this process, whatever it is doing."""
    lines: queue.Queue[str] = queue.Queue()

    def read() -> None:
        for line in sys.stdin:
            lines.put(line.strip())
        # With whatever was started here, where this process leads a group of its own.
        together.end_marked(os.environ.get(together.MARK, ""))
        if sys.platform != "win32" and os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    return lines


def last_words(error: BaseException) -> str:
    return printable("".join(traceback.format_exception_only(type(error), error)))
