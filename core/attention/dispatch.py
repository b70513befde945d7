"""Which kernels may run a class of calls: found once, loaded once, dropped for good when they raise."""

import logging
import threading
from collections.abc import Callable, Mapping

import torch

from ...check.catalogue import REASONS as REASONS_OF_THE_CHECK
from ...check.state import State
from ...host.process import is_cancel
from ...kernels.backend import Backend, Kernel
from ...kernels.call import Call
from ...kernels.faults import leaves_the_gpu_usable
from ...kernels.select import Candidate, choose
from ...machine.message import Message
from ...machine.reason import Reason
from ...machine.redaction import words_of
from ..catalogue import ATTENTION, REASONS
from .plan import OnHost, Routed, Undecided
from .settings import AUTO, OFF, Settings

log = logging.getLogger(__name__)


class Kernels:
    """The kernels of this process: loaded at first use, kept, and dropped when they raise.

    Attributes:
        backends: Every declaration by name.
        changes: How often a kernel was dropped or proven, or times forgotten; plans made before are stale.
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
        """A kernel was checked, or times were forgotten: what was planned may be chosen otherwise now."""
        with self._lock:
            self.changes += 1

    def get(self, backend: Backend) -> Kernel | Reason:
        """The kernel, loading it if need be, or the reason it cannot be had."""
        with self._lock:
            if backend.name in self._unusable:
                return self._unusable[backend.name]
            if backend.name not in self._kernels:
                try:
                    self._kernels[backend.name] = _loaded(backend)
                except BaseException as error:  # A broken wheel raises whatever it likes.
                    if is_cancel(error) or _is_the_users(error):
                        raise
                    reason = REASONS_OF_THE_CHECK("not-importable", error=words_of(error))
                    self._unusable[backend.name] = reason
                    return reason
            return self._kernels[backend.name]

    def drop(self, name: str, error: BaseException) -> None:
        """Takes a kernel that raised or answered wrongly out of use for the life of the process."""
        with self._lock:
            if self._kernels.pop(name, None) is not None:
                self._unusable[name] = REASONS("raised", error=words_of(error))
                self.changes += 1

    def reason_dropped(self, name: str) -> Reason:
        """Why a kernel that raised is out of use."""
        return self._unusable.get(name) or REASONS("raised", error=ATTENTION("raised-here"))

    def why_dropped(self, name: str) -> Message:
        """What a user should know of a kernel that raised."""
        return ATTENTION("dropped", kernel=name, error=self.reason_dropped(name).came)


def plan(call: Call, settings: Settings, kernels: Kernels) -> OnHost | Undecided:
    """What to do with a class of calls under the settings of a node; open where kernels take it."""
    exact = call.needs_exact or settings.quality == "exact"
    if settings.kernel == OFF:
        return OnHost(why="off", call=call, exact=True)
    if settings.kernel == AUTO:
        considered = list(kernels.backends.values())
    elif settings.kernel in kernels.backends:
        considered = [kernels.backends[settings.kernel]]
    else:
        needed = REASONS("unknown-kernel", kernel=settings.kernel)
        return OnHost(why=needed.code, call=call, passed_over=((settings.kernel, (needed,)),), exact=exact)
    candidates = [Candidate(one, kernels.unproven(one, call.gpu)) for one in considered]
    choice = choose(call, candidates, exact)
    passed_over = list(choice.passed_over)
    loaded: list[tuple[Backend, Kernel]] = []
    for backend in choice.takers:
        kernel = kernels.get(backend)
        if isinstance(kernel, Kernel):
            loaded.append((backend, kernel))
        else:
            passed_over.append((backend.name, (kernel,)))
    if not loaded:
        why = _main_reason(passed_over, kernels)
        return OnHost(why=why, call=call, passed_over=tuple(passed_over), exact=exact)
    return Undecided(call=call, candidates=tuple(loaded), passed_over=tuple(passed_over), exact=exact)


def _loaded(backend: Backend) -> Kernel:
    """The kernel, with torch's settings as they were before its package was imported."""
    state = State(torch.device("cuda" if torch.cuda.is_initialized() else "cpu"))
    try:
        return backend.load()
    finally:
        if changed := state.put_back():
            log.info("SageKit: %s", ATTENTION("put-back", kernel=backend.name, settings=tuple(changed)))


def _main_reason(passed_over: list[tuple[str, tuple[Reason, ...]]], kernels: Kernels) -> str:
    """The one code to count a fallback under: that of the last kernel that is installed here."""
    installed = [(name, reasons) for name, reasons in passed_over if not kernels.backends[name].machine]
    _, reasons = (installed or passed_over)[-1]
    codes = [reason.code for reason in reasons]
    return "device" if "device" in codes else codes[0]


def run(
    plan: Routed,
    kernels: Kernels,
    tensors: list[torch.Tensor],
    mask: torch.Tensor | None,
    scale: float | None,
    owned: bool = False,
) -> torch.Tensor | None:
    """Runs the plan's kernel.

    Args:
        plan: Which kernel, and whether it has run before.
        kernels: Where the kernel came from.
        tensors: [q, k, v], each (batch, heads, length, head_dim).
        mask: Broadcastable to (batch, heads, q_len, kv_len), or None.
        scale: The caller's, or None.
        owned: The tensors have no other owner, so that the kernel may free them.

    Returns:
        (batch, heads, q_len, head_dim), or None where the kernel was dropped because it raised or answered
        in another shape, dtype or place. A cancel, out of memory and faults after which the GPU's context is
        gone go up.
    """
    q, k, v = tensors
    # k and v are as wide as q in every call that has a plan. Read before a kernel may free q.
    shape, dtype, device = q.shape, q.dtype, q.device
    try:
        # A kernel that has not run yet may still need the host's attention to take over, and with it
        # the tensors.
        if owned and plan.proven and plan.kernel.attend_owned is not None:
            del q, k, v
            out = plan.kernel.attend_owned(tensors, mask=mask, scale=scale)
        else:
            out = plan.kernel.attend(q, k, v, mask=mask, scale=scale)
        if not (
            isinstance(out, torch.Tensor)
            and out.dtype is dtype
            and out.shape == shape
            and out.device == device
        ):
            raise WrongAnswerError(f"{_looks(out)} where {tuple(shape)} {dtype} on {device} is due")
        plan.proven = True
        return out
    except BaseException as error:
        if not tensors or is_cancel(error) or _is_the_users(error) or not leaves_the_gpu_usable(error):
            raise
        kernels.drop(plan.name, error)
        return None


class WrongAnswerError(Exception):
    """A kernel's answer that is no attention of what it was given, by its shape, dtype or device alone."""


def _looks(out: object) -> str:
    """What a kernel answered, in a few words."""
    if not isinstance(out, torch.Tensor):
        return type(out).__name__
    return f"{tuple(out.shape)} {out.dtype} on {out.device}"


def _is_the_users(error: BaseException) -> bool:
    """Whether it is Ctrl-C, which Python gives to the main thread; ComfyUI runs prompts in another.

    There a KeyboardInterrupt is the kernel's own, as a SystemExit is anywhere: it would end that thread.
    """
    if isinstance(error, KeyboardInterrupt):
        return threading.current_thread() is threading.main_thread()
    return not isinstance(error, (Exception, SystemExit))
