"""Which kernel a class of calls takes: measured on the model's own q, k, v, against the host's own attention.

Time is a fact of the class of calls: kept on disk and shared by all models. The error is a fact of the
model: taken once for each model and class, also where the times are known.
"""

import logging
import threading
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ...kernels.backend import Backend, Kernel
from ...kernels.faults import is_out_of_memory
from ...machine import json_file, schema, states
from ...machine.message import Message
from ...machine.reason import Reason
from ..catalogue import ATTENTION, REASONS
from ..clock import SYSTEM, Clock
from .dispatch import Kernels
from .plan import Decided, OnHost, Routed, Undecided
from .settings import AUTO, Settings

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

FILE_NAME = "routes.json"
FORMAT = 1
# Most classes of calls whose times are kept for one GPU; the oldest go first.
KEPT_CLASSES = 2000
# Most GPUs of one file, and most kernels of one class.
_MOST_GPUS, _MOST_KERNELS = 256, 1000
# Seconds that the kernels of one class of calls may take to time, all together.
LIMIT = 3.0
# Times this close are equal, and the more exact kernel wins: what two readings of one kernel differ by (H200,
# 2026-11-24). At 3 %, which was tried, a step of Qwen-Image was 1.5 to 2 % slower for it.
TIE = 1.015
NO_FASTER = "no-faster-kernel"


class Bench(Protocol):
    """One call as measuring sees it."""

    @property
    def host(self) -> str:
        """The name of the host's own attention function."""
        ...

    def time_host(self) -> float:
        """What the whole call takes with it, in milliseconds."""
        ...

    def time_kernel(self, tried: Routed, best: float) -> float | None:
        """The same with a kernel; None where it raised and was dropped.

        Args:
            tried: The kernel's plan.
            best: The fastest so far, in milliseconds.
        """
        ...

    def answer(self, tried: Routed) -> "torch.Tensor | None":
        """What a kernel answers to the whole call, (batch, heads, q_len, head_dim); None likewise."""
        ...

    def error(self, out: "torch.Tensor") -> float:
        """The relative L2 error of such an answer."""
        ...

    def tell(self, line: Message) -> None:
        """Shows a text on the node."""
        ...

    def stop_if_cancelled(self) -> None:
        """Raises where the user has cancelled."""
        ...

    def free_memory(self) -> None:
        """Gives what a kernel left behind back to the GPU."""
        ...


class Times:
    """Milliseconds by GPU, class of calls, and kernel or host function; safe to share among threads.

    Args:
        kernels: The names of our own kernels, to tell them from the host's functions.
        clock: What the limit on measuring goes by.

    Attributes:
        remarks: What a user should know of how they were read and kept.
    """

    def __init__(self, kernels: Container[str] = (), clock: Clock = SYSTEM) -> None:
        self._kernels, self.clock = kernels, clock
        self._lock = threading.Lock()
        self._gpus: dict[str, threading.Lock] = {}
        self._file: Path | None = None
        self._fingerprint = ""
        self._known: dict[str, dict[str, dict[str, float]]] = {}
        self._unsaved: dict[str, dict[str, dict[str, float]]] = {}
        self._forgotten: set[tuple[str, str]] = set()
        self.remarks: list[str] = []

    def read(self, file: Path, fingerprint: str) -> None:
        """Takes what earlier runs on this machine, as it is now, have measured."""
        known, trouble = _read(file, fingerprint)
        with self._lock:
            self._file, self._fingerprint, self._known = file, fingerprint, known
            self.remarks = [trouble] if trouble else []
        if trouble:
            log.warning("SageKit: %s", trouble)

    def of(self, gpu: str, call: str) -> dict[str, float]:
        """What is known of a class of calls: milliseconds by name."""
        with self._lock:
            return dict(self._known.get(gpu, {}).get(call, {}))

    def of_kernels(self, gpu: str, call: str) -> dict[str, float]:
        """Those of our own kernels among them."""
        return {name: one for name, one in self.of(gpu, call).items() if name in self._kernels}

    def newest(self, count: int) -> dict[str, dict[str, dict[str, float]]]:
        """The last so many classes of each GPU, newest last: milliseconds by GPU, class and name."""
        with self._lock:
            return {
                gpu: {call: dict(found) for call, found in list(calls.items())[-count:]}
                for gpu, calls in self._known.items()
            }

    def add(self, gpu: str, call: str, found: Mapping[str, float]) -> None:
        """Keeps new times; on disk from the next ``save`` on."""
        with self._lock:
            for known in (self._known, self._unsaved):
                _add(known, gpu, call, found)

    def forget(self, gpu: str, call: str) -> None:
        """Has a class of calls measured anew; on disk from the next ``save`` on."""
        with self._lock:
            for known in (self._known, self._unsaved):
                known.get(gpu, {}).pop(call, None)
            self._forgotten.add((gpu, call))

    def measuring(self, gpu: str) -> threading.Lock:
        """Held by whoever measures on a GPU, so that equal ones do not measure the same twice."""
        with self._lock:
            return self._gpus.setdefault(gpu, threading.Lock())

    def save(self) -> None:
        """Writes what is new, if anything is, beside what other servers of this folder have written."""
        with self._lock:
            if not (self._unsaved or self._forgotten) or self._file is None:
                return
            file, new, self._unsaved = self._file, self._unsaved, {}
            forgotten, self._forgotten = self._forgotten, set()
            known = {gpu: dict(calls) for gpu, calls in self._known.items()}

        def data() -> dict[str, object]:
            there = _read(file, self._fingerprint)[0] or known
            for gpu, call in forgotten:
                there.get(gpu, {}).pop(call, None)
            for gpu, calls in new.items():
                for call, found in calls.items():
                    _add(there, gpu, call, found)
            part = {"format": FORMAT, "fingerprint": self._fingerprint, "times": there}
            return states.on_top(part, json_file.read(file, "")[0])

        # Not under the lock: another process may be waited for, and calls of attention ask for times.
        trouble = json_file.change(file, data)
        if trouble and not self.remarks:
            self.remarks.append(ATTENTION("times-not-kept", error=trouble))
            log.warning("SageKit: %s", self.remarks[-1])


def _add(
    known: dict[str, dict[str, dict[str, float]]], gpu: str, call: str, found: Mapping[str, float]
) -> None:
    calls = known.setdefault(gpu, {})
    # Taken out and put back: the newest are last.
    calls[call] = calls.pop(call, {}) | dict(found)
    while len(calls) > KEPT_CLASSES:
        del calls[next(iter(calls))]


def _read(file: Path, fingerprint: str) -> tuple[dict[str, dict[str, dict[str, float]]], str]:
    """The times in a file, none of another machine, and what is wrong with the file ("" if nothing)."""
    then = ATTENTION("attention-is-measured-again")
    data, trouble = json_file.read(file, then)
    if data is None:
        return {}, trouble
    try:
        facts = schema.fields(data)
        if schema.whole(schema.field(facts, "format"), -(2**63)) != FORMAT:
            return {}, json_file.of_another_version(file, then)
        facts = states.part_of(facts, fingerprint)
        if schema.text(schema.field(facts, "fingerprint")) != fingerprint:
            return {}, ""
        return schema.table(schema.field(facts, "times"), _of_a_gpu, _MOST_GPUS), ""
    except ValueError as error:
        return {}, json_file.damaged(file, error, then)


def _of_a_gpu(data: object) -> dict[str, dict[str, float]]:
    return schema.table(data, _of_a_class, KEPT_CLASSES)


def _of_a_class(data: object) -> dict[str, float]:
    # Zero would be the fastest of all.
    return schema.table(data, lambda one: schema.number(one, least=1e-9), _MOST_KERNELS)


def settle(
    plan: Undecided, settings: Settings, kernels: Kernels, times: Times, bench: Bench
) -> "tuple[Decided, torch.Tensor | None]":
    """Decides a class of calls: the fastest kernel whose error is within the budget, or the host's attention.

    Returns:
        The plan to go by from now on, and what its kernel answered to this call, None where the host's own
        attention is to run.
    """
    passed_over = dict(plan.passed_over)
    candidates = {backend.name: (backend, kernel) for backend, kernel in plan.candidates}
    known = _timed(plan, times, bench, passed_over) if settings.kernel == AUTO else {}
    host = known.get(bench.host)
    if settings.kernel == AUTO:
        candidates = {name: one for name, one in candidates.items() if name in known}
    why = plan.why or NO_FASTER
    while candidates and (name := _best(candidates, known, host)):
        backend, kernel = candidates.pop(name)
        tried = _routed(plan, backend, kernel)
        tried.milliseconds, tried.host_milliseconds = known.get(name), host
        out, found = _tried(tried, settings, kernels, bench)
        if isinstance(found, float):
            tried.error = found
            tried.passed_over = tuple((passed_over | _slower(candidates, known, name)).items())
            return tried, out
        passed_over[name] = (found,)
        why = plan.why or found.code
    passed_over |= _slower(candidates, known, bench.host)
    on_host = OnHost(why=why, call=plan.call, exact=plan.exact, key=plan.key, milliseconds=host)
    on_host.passed_over = tuple(passed_over.items())
    return on_host, None


def _routed(plan: Undecided, backend: Backend, kernel: Kernel) -> Routed:
    """The plan with one of its candidates chosen."""
    return Routed(
        name=backend.name,
        kernel=kernel,
        call=plan.call,
        shown_as=backend.shown_as,
        quantised=not backend.exact,
        exact=plan.exact,
        key=plan.key,
    )


def _timed(
    plan: Undecided, times: Times, bench: Bench, passed_over: dict[str, tuple[Reason, ...]]
) -> dict[str, float]:
    """Milliseconds of the host and of each candidate that could be timed; the missing ones are taken now."""
    gpu, call = plan.call.gpu, str(plan.call)
    with times.measuring(gpu):
        known = times.of(gpu, call)
        missing = [one for one in plan.candidates if one[0].name not in known]
        if missing or bench.host not in known:
            found = _measured(plan, missing, known, bench, passed_over, times.clock)
            times.add(gpu, call, found)
            known |= found
    return known


def _measured(
    plan: Undecided,
    missing: Sequence[tuple[Backend, Kernel]],
    known: Mapping[str, float],
    bench: Bench,
    passed_over: dict[str, tuple[Reason, ...]],
    clock: Clock,
) -> dict[str, float]:
    """New times by name; why each kernel without one has none goes to those passed over."""
    found: dict[str, float] = {}
    begin = clock.monotonic()
    if bench.host not in known:
        found[bench.host] = bench.time_host()
    for number, (backend, kernel) in enumerate(missing, 1):
        bench.stop_if_cancelled()
        if clock.monotonic() - begin > LIMIT:
            passed_over[backend.name] = (_NO_TIME,)
            continue
        lengths = {"q_len": plan.call.q_len, "kv_len": plan.call.kv_len}
        bench.tell(ATTENTION("measuring", number=number, count=len(missing), **lengths))
        reason = _OUT_OF_MEMORY
        taken = None
        try:
            taken = bench.time_kernel(_routed(plan, backend, kernel), min([*known.values(), *found.values()]))
            reason = REASONS("raised", error=ATTENTION("raised-in-measuring"))
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        if taken is None:
            passed_over[backend.name] = (reason,)
            bench.free_memory()
        else:
            found[backend.name] = taken
    return found


_OUT_OF_MEMORY = REASONS("out-of-memory")
_NO_TIME = REASONS("unmeasured", limit=LIMIT)


def _best(
    candidates: Mapping[str, tuple[Backend, Kernel]], known: Mapping[str, float], host: float | None
) -> str:
    """The fastest kernel, "" for the host's own; among equals the host's own, then the more exact."""
    fastest = min(known.get(name, 0.0) for name in candidates)
    if host is not None and host <= fastest * TIE:
        return ""
    equal = [name for name in candidates if known.get(name, 0.0) <= fastest * TIE]
    return min(equal, key=lambda name: (not candidates[name][0].exact, candidates[name][0].tolerance))


def _tried(
    tried: Routed, settings: Settings, kernels: Kernels, bench: Bench
) -> "tuple[torch.Tensor | None, float | Reason]":
    """What a kernel answers to the whole call and its error; None and the reason where it may not be used."""
    try:
        out = bench.answer(tried)
        if out is None:
            return None, kernels.reason_dropped(tried.name)
        error = bench.error(out)
    except Exception as raised:
        if not is_out_of_memory(raised):
            raise
        bench.free_memory()
        return None, _OUT_OF_MEMORY
    if error <= settings.budget:
        return out, error
    return None, REASONS("error", budget=settings.budget, error=error)


def _slower(
    candidates: Mapping[str, object], known: Mapping[str, float], winner: str
) -> dict[str, tuple[Reason, ...]]:
    """Why each of the others was not chosen."""
    best = known.get(winner, 0.0)
    return {
        name: (REASONS("slower", winner=winner, best=best, milliseconds=known.get(name, 0.0)),)
        for name in candidates
    }
