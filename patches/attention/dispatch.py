"""Which kernel runs a class of calls: chosen once, loaded once, dropped for good when it raises."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from ...kernels_check.backend import Backend, Kernel, Reason
from ...kernels_check.backends import backends
from ...kernels_check.call import Call
from ...kernels_check.faults import leaves_the_gpu_usable
from ...kernels_check.select import Candidate, Choice, automatic, choose
from . import proofs
from .settings import AUTO, OFF, Settings


@dataclass(eq=False)
class Plan:
    """What is done with one class of calls.

    Attributes:
        name: The kernel's name; "" where the host's own attention runs.
        kernel: The loaded kernel, None where the host's own attention runs.
        why: For the host's own attention, the code of the reason.
        call: The facts of the class; None where the arguments could not be read as attention.
        passed_over: Kernels that were tried before, with every reason.
        exact: Nothing quantised may run here, so a default that a launch flag quantised may not either.
        quantised: The kernel is not exact, so that the guard watches it.
        proven: The kernel has run once for this class.
    """

    name: str = ""
    kernel: Kernel | None = None
    why: str = ""
    call: Call | None = None
    passed_over: tuple[tuple[str, tuple[Reason, ...]], ...] = ()
    exact: bool = False
    quantised: bool = False
    proven: bool = False


class Kernels:
    """The kernels of this process: loaded at first use, kept, and dropped when they raise.

    Attributes:
        backends: Every declaration by name.
        changes: How often a kernel was dropped or proven so far; plans made before are stale.
    """

    def __init__(
        self,
        backends: Mapping[str, Backend],
        unproven: Callable[[Backend, str], Reason | None] = lambda backend, gpu: None,
    ) -> None:
        self.backends = backends
        self.unproven = unproven
        self._lock = threading.Lock()
        self._kernels: dict[str, Kernel] = {}
        self._unusable: dict[str, Reason] = {}
        self.changes = 0

    def proofs_changed(self) -> None:
        """A kernel was checked: what was planned before may be chosen otherwise now."""
        with self._lock:
            self.changes += 1

    def get(self, backend: Backend) -> Kernel | Reason:
        """The kernel, loading it if need be, or the reason it can not be had."""
        with self._lock:
            if backend.name in self._unusable:
                return self._unusable[backend.name]
            if backend.name not in self._kernels:
                try:
                    self._kernels[backend.name] = backend.load()
                except Exception as error:  # A broken wheel raises whatever it likes.
                    reason = Reason("not-importable", "a working import", _in_words(error))
                    self._unusable[backend.name] = reason
                    return reason
            return self._kernels[backend.name]

    def drop(self, name: str, error: Exception) -> None:
        """Takes a kernel that raised out of use for the life of the process."""
        with self._lock:
            if self._kernels.pop(name, None) is not None:
                self._unusable[name] = Reason("raised", "a kernel that runs", _in_words(error))
                self.changes += 1

    def why_dropped(self, name: str) -> str:
        """What a user should know of a kernel that raised."""
        reason = self._unusable.get(name)
        return f"{name} raised and is not used again until ComfyUI restarts ({reason.came if reason else ''})"


@lru_cache(maxsize=1)
def kernels_of_this_process() -> Kernels:
    """The one set that every patched model shares, so that a kernel dropped by one is dropped by all."""
    return Kernels(backends(), proofs.unproven)


def plan(call: Call, settings: Settings, kernels: Kernels) -> Plan:
    """What to do with a class of calls under the settings of a node."""
    exact = call.needs_exact or settings.quality == "exact"
    if settings.kernel == OFF:
        return Plan(why="off", call=call, exact=True)
    if settings.kernel == AUTO:
        candidates = automatic(call, kernels.backends.values())
    elif settings.kernel in kernels.backends:
        candidates = [Candidate(kernels.backends[settings.kernel])]
    else:
        needed = Reason("unknown-kernel", "a kernel that this version of SageKit knows", settings.kernel)
        return Plan(why=needed.code, call=call, passed_over=((settings.kernel, (needed,)),), exact=exact)
    candidates = [replace(one, unproven=kernels.unproven(one.backend, call.gpu)) for one in candidates]
    choice, kernel = _choose_loadable(call, candidates, settings.budget, kernels)
    if choice.backend is None:
        return Plan(
            why=_main_reason(call, choice, kernels), call=call, passed_over=choice.passed_over, exact=exact
        )
    quantised = not choice.backend.exact
    return Plan(choice.backend.name, kernel, "", call, choice.passed_over, exact, quantised)


def _choose_loadable(call: Call, candidates: list[Candidate], budget: float, kernels: Kernels):
    """Chooses until the one chosen also loads."""
    failed: dict[str, Reason] = {}
    while True:
        open_candidates = [one for one in candidates if one.backend.name not in failed]
        choice = choose(call, open_candidates, budget)
        passed_over = dict(choice.passed_over) | {name: (reason,) for name, reason in failed.items()}
        choice = Choice(choice.backend, tuple(passed_over.items()))
        if choice.backend is None:
            return choice, None
        kernel = kernels.get(choice.backend)
        if isinstance(kernel, Kernel):
            return choice, kernel
        failed[choice.backend.name] = kernel


def _main_reason(call: Call, choice: Choice, kernels: Kernels) -> str:
    """The one code to count a fallback under: that of the last kernel that is installed here."""
    if not choice.passed_over:
        return "device" if call.device != "cuda" else "no-faster-kernel"
    installed = [
        (name, reasons) for name, reasons in choice.passed_over if not kernels.backends[name].machine
    ]
    _, reasons = (installed or list(choice.passed_over))[-1]
    return reasons[0].code


def run(plan: Plan, kernels: Kernels, tensors: list, mask, scale, owned: bool = False):
    """Runs the plan's kernel.

    Args:
        plan: One with a kernel.
        kernels: Where the kernel came from.
        tensors: [q, k, v], each (batch, heads, length, head_dim).
        mask: Broadcastable to (batch, heads, q_len, kv_len), or None.
        scale: The caller's, or None.
        owned: The tensors have no other owner, so that the kernel may free them.

    Returns:
        (batch, heads, q_len, head_dim), or None where the kernel raised and was dropped. Out of memory
        and faults after which the GPU's context is gone go up.
    """
    try:
        # A kernel that has not run yet may still need the host's attention to take over, and with it
        # the tensors.
        if owned and plan.proven and plan.kernel.attend_owned is not None:
            return plan.kernel.attend_owned(tensors, mask=mask, scale=scale)
        q, k, v = tensors
        out = plan.kernel.attend(q, k, v, mask=mask, scale=scale)
        plan.proven = True
        return out
    except Exception as error:
        if not tensors or not leaves_the_gpu_usable(error):
            raise
        kernels.drop(plan.name, error)
        return None


def _in_words(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}"
