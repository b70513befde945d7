"""Which kernels are proven here: as the last kernel check left it, brought up to date in the background.

A kernel runs only after it agreed with float32 attention here. Until it has, models run on exact kernels of
PyTorch itself and on ComfyUI's own attention.
"""

import functools
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from ...check import check, verdicts
from ...check.verdicts import Stored, Verdict
from ...kernels.backend import Backend
from ...machine import Environment
from ...machine.reason import Reason
from ..catalogue import REASONS
from ..messages import Checking

log = logging.getLogger(__name__)

UNCHECKED = REASONS("unchecked")


class Proofs:
    """The verdicts of this machine, shared by every patched model; safe to share among threads.

    Attributes:
        stored: The verdicts known so far; None before the first look.
        remarks: What a user should know of how they were read and kept.
        checking: How far the check is that goes on.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._one_check = threading.Lock()
        self._file: Path | None = None
        self.stored: Stored | None = None
        self.environment: Environment | None = None
        self.remarks: list[str] = []
        self.checking = Checking()

    def read(self, file: Path, environment: Environment) -> None:
        """Takes what an earlier check left for this machine."""
        with self._lock:
            self._file, self.environment = file, environment
            self.stored, self.remarks = check.load(file, environment)

    def of(self, gpu: str) -> dict[str, Verdict]:
        """The verdicts on one GPU, by kernel."""
        return dict(self.stored.of(gpu)) if self.stored is not None else {}

    def by_gpu(self) -> Mapping[str, Mapping[str, Verdict]]:
        """The same of every GPU."""
        return self.stored.verdicts if self.stored is not None else {}

    def add(self, gpu: str, found: dict[str, Verdict]) -> None:
        """Keeps new verdicts, in memory and on disk."""
        with self._lock:
            if self.stored is None:
                self.stored = Stored("")
            self.stored = self.stored.with_verdicts(gpu, found)
            trouble = verdicts.write(self._file, self.stored) if self._file is not None else ""
        if trouble and trouble not in self.remarks:
            self.remarks.append(trouble)
            log.warning("SageKit: %s", trouble)

    def unproven(self, backend: Backend, gpu: str) -> Reason | None:
        """Why a kernel may not be used on a GPU; None where it may.

        Off CUDA no kernel of ours runs, and there is nothing to prove.
        """
        if not gpu:
            return None
        verdict = self.of(gpu).get(backend.name)
        if verdict is None:
            return None if backend.of_torch else UNCHECKED
        return None if verdict.is_good else verdict.as_reason()

    def missing(self, gpu: str, kernels: Iterable[Backend]) -> list[Backend]:
        """Those of the kernels that have no verdict on a GPU, PyTorch's own first."""
        known = self.of(gpu)
        return _of_torch_first(backend for backend in kernels if backend.name not in known)

    def run_check(
        self,
        gpus: Mapping[str, str],
        kernels: Iterable[Backend],
        wait: Callable[[], None],
        changed: Callable[[], None],
        explain: Callable[[str, Mapping[str, Verdict]], Iterable[str]] = lambda gpu, found: (),
        tell: Callable[[Checking], None] = lambda now: None,
        again: bool = False,
    ) -> bool:
        """Tries every kernel that has no verdict yet, GPU by GPU, and says how it went in one line each.

        While another check goes on, nothing is done.

        Args:
            gpus: Device by GPU name, {"NVIDIA H100 80GB HBM3": "cuda:0"}; equal GPUs are checked once.
            kernels: Every kernel there is.
            wait: Returns when no prompt runs.
            changed: Called after each verdict.
            explain: Lines on what the verdicts of a GPU mean.
            tell: Called with how far it is, whenever that has changed.
            again: Try those that have a verdict, too; it holds until there is the new one.

        Returns:
            Whether it was done.
        """
        if not self._one_check.acquire(blocking=False):
            return False
        try:
            kernels = list(kernels)
            todo = {gpu: _of_torch_first(kernels) if again else self.missing(gpu, kernels) for gpu in gpus}
            self._check(gpus, todo, wait, changed, explain, tell)
        finally:
            self._one_check.release()
        return True

    def _check(
        self,
        gpus: Mapping[str, str],
        todo: Mapping[str, list[Backend]],
        wait: Callable[[], None],
        changed: Callable[[], None],
        explain: Callable[[str, Mapping[str, Verdict]], Iterable[str]],
        tell: Callable[[Checking], None],
    ) -> None:
        left = [one.name for each in todo.values() for one in each if check.is_tried(one)]
        count = len(left)

        def tell_left() -> None:
            now = Checking(tuple(left), count) if left else Checking()
            if now != self.checking:
                self.checking = now
                tell(now)

        def found(gpu: str, kernel: str, verdict: Verdict) -> None:
            self.add(gpu, {kernel: verdict})
            changed()
            if kernel in left:
                left.remove(kernel)
                tell_left()

        tell_left()
        try:
            for gpu, device in gpus.items():
                if all(backend.machine for backend in todo[gpu]):
                    self.add(gpu, check.check(todo[gpu], device))
                    continue
                check.check(todo[gpu], device, wait=wait, found=functools.partial(found, gpu))
                log.info("SageKit: kernel check on %s: %s", gpu, "; ".join(self._summary(gpu)))
                for line in explain(gpu, self.of(gpu)):
                    log.info("SageKit: %s", line)
        finally:
            left.clear()
            tell_left()

    def _summary(self, gpu: str) -> Iterator[str]:
        """ "ok: a, b", then each kernel that is installed and not ok with its verdict."""
        found = self.of(gpu)
        yield "ok: " + (", ".join(name for name, verdict in found.items() if verdict.is_good) or "none")
        for name, verdict in found.items():
            if not verdict.is_good and verdict.state != verdicts.REFUSED:
                yield f"{name} {verdict}"


def _of_torch_first(kernels: Iterable[Backend]) -> list[Backend]:
    return sorted(kernels, key=lambda backend: not backend.of_torch)
