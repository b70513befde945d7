"""The kernel check inside a running ComfyUI: after the server is up, while no prompt runs."""

import logging
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import torch

from ..check import check
from ..check.verdicts import Verdict
from ..core import messages
from ..core.attention import proofs, routes
from ..core.attention.dispatch import kernels_of_this_process
from ..host import process, server
from ..kernels import launch_flags
from ..kernels.families import sought
from ..machine import fingerprint, layout, read_environment, with_gpus_from_torch
from .catalogue import NOTICES

log = logging.getLogger(__name__)

# The startup hook loads the pack by its path, before ComfyUI does under its own name for it.
_HOOK = "sagekit_at_start.app.startup"
_PACK = Path(__file__).parents[1]


def start() -> None:
    """Reads what earlier checks found, and checks the rest once the server runs. Never raises."""
    try:
        _start()
    except Exception:
        # Without it kernels stay unproven and models run on exact ones: nothing to lose the pack for.
        log.exception("SageKit: the kernel check could not be prepared; models run on exact kernels")


def _start() -> None:
    flags = process.flags_that_are_on((*launch_flags.flags(), "cpu"))
    here = process.folders()
    gpus = _gpus()
    environment = read_environment(sought(), here.comfyui, flags)
    # torch is loaded and in use here, so asking it costs nothing.
    environment = with_gpus_from_torch(environment) if gpus else environment
    proofs.PROOFS.read(here.verdicts, environment)
    routes.TIMES.read(here.kept / routes.FILE_NAME, fingerprint(environment))
    _tell_of_start()

    async def begin(app) -> None:
        _write_down(here)
        if not any(proofs.to_check(gpu) for gpu in gpus):
            return
        thread = threading.Thread(target=_check, args=(gpus,), name="SageKit kernel check", daemon=True)
        thread.start()

    server.at_start(begin)


def _write_down(here: layout.Layout) -> None:
    """Where this ComfyUI's folders are, for a check by hand. It only misses what it would not be told."""
    try:
        trouble = layout.tell(here, _PACK)
    except Exception as error:  # In the server's own start, which it must not end.
        trouble = f"{type(error).__name__}: {error}"
    if trouble:
        log.info("SageKit: a check by hand will not know this ComfyUI's folders: %s", trouble)


def _tell_of_start() -> None:
    """Notices of what the startup hook and the stored verdicts had to say."""
    hook = sys.modules.get(_HOOK)
    remarks = [*(hook.remarks_of_start if hook else ()), *proofs.PROOFS.remarks]
    for remark in dict.fromkeys(remarks):
        if remark.startswith(check.CHANGED):
            changed = remark.removeprefix(check.CHANGED)
            messages.notice("versions-changed", NOTICES("versions-changed", changes=changed), messages.INFO)
    if hook is None:
        return
    if hook.guard is not None:
        # ComfyUI has its packages by now: other packs' imports are none of ours.
        hook.guard.remove()
    for name, verdict in hook.kept_out.items():
        if verdict not in hook.cleared.values():
            text = NOTICES("package-kept-out", package=name, verdict=str(verdict))
            messages.notice("package-kept-out", text)
    for flag, verdict in hook.cleared.items():
        text = NOTICES("startup-fallback", flag=hook.spelled(flag), verdict=str(verdict))
        messages.notice("startup-fallback", text)


def _gpus() -> dict[str, str]:
    """Device by GPU name, for GPUs on which a kernel of ours may run; equal ones once."""
    if process.flags_that_are_on(["cpu"]) or not torch.cuda.is_available() or torch.version.hip is not None:
        return {}
    count = torch.cuda.device_count()
    return {torch.cuda.get_device_name(index): f"cuda:{index}" for index in reversed(range(count))}


def _check(gpus: dict[str, str]) -> None:
    def wait() -> None:
        while server.is_busy():
            time.sleep(1.0)

    try:
        proofs.check_missing(gpus, wait, kernels_of_this_process().proofs_changed, explained)
    except Exception:
        log.exception("SageKit: the kernel check failed; models run on exact kernels")


def explained(gpu: str, found: Mapping[str, Verdict]) -> list[str]:
    """What the errors of kernels that crash or do not import mean, where that is known."""
    # Not before a check has run: a start has no time for it.
    from ..doctor.causes.answer import explain
    from ..doctor.plan import failures

    return [f"{one.line}: {one.cause} {one.fix}" for one in explain(failures.errors({gpu: found}))]
