"""The kernel check: every kernel on every GPU, verdicts kept for as long as the machine stays the same."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from ..kernels.backend import Backend
from ..kernels.kinds import Sparse
from ..machine import Environment, fingerprint
from ..machine.reason import Reason
from . import verdicts
from .catalogue import REASONS, refusal
from .probe import LIMIT, Probe
from .verdicts import REFUSED, Stored, Verdict

# Under this name stand the verdicts on what a launch flag asks for, which holds for every GPU.
LAUNCH = "launch"
# Begins the remark that names what is not as it was at the last check.
CHANGED = "since the last kernel check: "


def versions_of(environment: Environment) -> dict[str, str]:
    """What the verdicts depend on, by name, in words to tell a user what changed.

    Only what a start reads without torch, so that every reader finds the same.
    """
    versions = {name: package.shown for name, package in environment.packages.items()}
    facts: dict[str, object] = {
        "torch": environment.torch,
        "Python": environment.python and environment.python.version,
    }
    facts |= {"NVIDIA driver": environment.driver, "SageKit": environment.pack.version}
    versions |= {name: str(value) for name, value in facts.items() if value is not None}
    versions["GPU"] = ", ".join(environment.driver.gpus) if environment.driver else "none"
    return versions


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """ "torch 2.9.1 -> 2.10.0" for everything that is not as it was."""
    names = sorted({*before, *now})
    return [
        f"{name} {before.get(name, 'none')} -> {now.get(name, 'none')}"
        for name in names
        if before.get(name) != now.get(name)
    ]


def load(file: Path, environment: Environment) -> tuple[Stored, list[str]]:
    """The verdicts that hold for this machine, none where it changed, and what a user should know."""
    now, versions = fingerprint(environment), versions_of(environment)
    stored, trouble = verdicts.read(file, now)
    fresh = Stored(now, versions)
    if stored is None:
        return fresh, [trouble] if trouble else []
    if stored.fingerprint == now:
        return stored, []
    changed = changes(stored.versions, versions)
    return fresh, [CHANGED + ", ".join(changed)] if changed else []


def check(
    backends: Iterable[Backend],
    device: str,
    *,
    thorough: bool = False,
    timed: bool = False,
    limit: float = LIMIT,
    visible: str | None = None,
    wait: Callable[[], None] = lambda: None,
    progress: Callable[[str, str], None] = lambda kernel, case: None,
    found: Callable[[str, Verdict], None] = lambda kernel, verdict: None,
) -> dict[str, Verdict]:
    """A verdict on each backend on one device.

    Args:
        backends: What to try; those that this machine lacks are refused without a child process.
        device: "cuda:0", "cpu".
        thorough: Every length rather than those around block sizes.
        timed: Also take times at typical shapes.
        limit: Seconds without a sign of life after which a kernel counts as hung.
        visible: CUDA_VISIBLE_DEVICES of the child; None for this process's own.
        wait: Called before each kernel; returns when the machine has time for it.
        progress: Called with (kernel, case) while one is tried.
        found: Called with (kernel, verdict) as each is known.
    """
    results = {}
    with Probe(
        device, thorough=thorough, timed=timed, limit=limit, visible=visible, progress=progress
    ) as probe:
        for backend in backends:
            if reasons := backend.machine or _without_proof(backend):
                verdict = Verdict(REFUSED, None, refusal(reasons))
            else:
                wait()
                verdict = probe.check(backend.name)
            results[backend.name] = verdict
            found(backend.name, verdict)
    return results


def is_tried(backend: Backend) -> bool:
    """Whether the check runs a kernel; of the others it has a verdict at once."""
    return not (backend.machine or _without_proof(backend))


def _without_proof(backend: Backend) -> tuple[Reason, ...]:
    """A sparse kernel is not tried: its error on random data says nothing of its error in a model."""
    if not isinstance(backend.kind, Sparse):
        return ()
    return (REASONS("sparse"),)
