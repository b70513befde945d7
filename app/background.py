"""The kernel check inside a running ComfyUI: after the server is up, while no prompt runs."""

import logging
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ..check import check
from ..check.verdicts import Verdict
from ..core import messages
from ..core.attention import routes
from ..core.session import Session
from ..host import process, server
from ..kernels import launch_flags
from ..kernels.families import sought
from ..kernels.launch_flags import spelled
from ..machine import fingerprint, layout, read_environment, with_gpus_from_torch
from ..machine.message import Message
from ..machine.redaction import words_of
from .catalogue import ACTIONS, LOG, NOTICES

if TYPE_CHECKING:
    from .startup import Start

log = logging.getLogger(__name__)

# The startup hook loads the pack by its path, before ComfyUI does under its own name for it.
_AT_START = "sagekit_at_start"
_PACK = Path(__file__).parents[1]


def start(session: Session) -> None:
    """Reads what earlier checks found, and checks the rest once the server runs. Never raises."""
    try:
        _start(session)
    except Exception:
        # Without it kernels stay unproven and models run on exact ones: nothing to lose the pack for.
        log.exception("SageKit: %s", LOG("check-not-prepared"))


def _start(session: Session) -> None:
    flags = process.flags_that_are_on((*launch_flags.flags(), "cpu"))
    here = process.folders()
    gpus = _gpus()
    environment = read_environment(sought(), here.comfyui, flags)
    # torch is loaded and in use here, so asking it costs nothing.
    environment = with_gpus_from_torch(environment) if gpus else environment
    if here.verdicts is None or here.kept is None:
        raise FileNotFoundError(LOG("no-folder-of-verdicts"))
    session.proofs.read(here.verdicts, environment)
    session.times.read(here.kept / routes.FILE_NAME, fingerprint(environment))
    _tell_of_start(session)
    kernels = session.kernels.backends.values()

    async def begin(app) -> None:
        _write_down(here)
        if not any(session.proofs.missing(gpu, kernels) for gpu in gpus):
            return
        _check_in_a_thread(session, gpus)

    server.at_start(begin)


def check_again(session: Session) -> Message:
    """Begins a check of every kernel, those with a verdict too, and says so, or why it does not."""
    gpus = _gpus()
    if not gpus:
        return ACTIONS("check-needs-a-gpu")
    if session.proofs.checking.count:
        return ACTIONS("check-goes-on")
    _check_in_a_thread(session, gpus, again=True)
    return ACTIONS("check-begins")


def _check_in_a_thread(session: Session, gpus: dict[str, str], again: bool = False) -> None:
    arguments = session, gpus, again
    threading.Thread(target=_check, args=arguments, name="sagekit-kernel-check", daemon=True).start()


def _write_down(here: layout.Layout) -> None:
    """Where this ComfyUI's folders are, for a check by hand. It only misses what it would not be told."""
    try:
        trouble = layout.tell(here, _PACK)
    except Exception as error:  # In the server's own start, which it must not end.
        trouble = words_of(error)
    if trouble:
        log.info("SageKit: %s", LOG("folders-not-told", error=trouble))


def _tell_of_start(session: Session) -> None:
    """Notices of what the startup hook and the stored verdicts had to say."""
    start: Start | None = getattr(sys.modules.get(_AT_START), "sagekit_start", None)
    remarks = [*(start.remarks if start else ()), *session.proofs.remarks]
    for remark in dict.fromkeys(remarks):
        if remark.startswith(check.CHANGED):
            changed = remark.removeprefix(check.CHANGED)
            text = NOTICES("versions-changed", changes=changed)
            session.messages.notice("versions-changed", text, messages.INFO)
    if start is None:
        return
    if start.guard is not None:
        # ComfyUI has its packages by now: other packs' imports are none of ours.
        start.guard.remove()
    for name, verdict in start.kept_out.items():
        if verdict not in start.cleared.values():
            text = NOTICES("package-kept-out", package=name, verdict=str(verdict))
            session.messages.notice("package-kept-out", text)
    for flag, verdict in start.cleared.items():
        text = NOTICES("startup-fallback", flag=spelled(flag), verdict=str(verdict))
        session.messages.notice("startup-fallback", text)


def _gpus() -> dict[str, str]:
    """Device by GPU name, for GPUs on which a kernel of ours may run; equal ones once."""
    if process.flags_that_are_on(["cpu"]) or not torch.cuda.is_available() or torch.version.hip is not None:
        return {}
    count = torch.cuda.device_count()
    return {torch.cuda.get_device_name(index): f"cuda:{index}" for index in reversed(range(count))}


def _check(session: Session, gpus: dict[str, str], again: bool) -> None:
    def wait() -> None:
        while server.is_busy():
            time.sleep(1.0)

    try:
        kernels = session.kernels
        session.proofs.run_check(
            gpus,
            kernels.backends.values(),
            wait,
            kernels.proofs_changed,
            explained,
            session.messages.checking,
            again,
        )
    except Exception:
        log.exception("SageKit: %s", LOG("check-failed"))


def explained(gpu: str, found: Mapping[str, Verdict]) -> list[str]:
    """What the errors of kernels that crash or do not import mean, where that is known."""
    # Not before a check has run: a start has no time for it.
    from ..doctor.causes.answer import explain
    from ..doctor.plan import failures

    return [f"{one.line}: {one.cause} {one.fix}" for one in explain(failures.errors({gpu: found}))]
