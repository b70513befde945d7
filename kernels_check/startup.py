"""What happens before ComfyUI reads its launch flags: one that asks for a broken kernel is cleared."""

from collections.abc import Callable, Iterable
from pathlib import Path

from . import check, verdicts
from .backend import Backend
from .environment import Environment
from .launch_flags import FLAGS, declare
from .verdicts import Verdict

LIMIT = 90.0

# What this start has found, for who asks later: remarks on the stored verdicts, and the flags cleared.
remarks_of_start: list[str] = []
cleared: dict[str, Verdict] = {}


def broken_flags(
    flags: Iterable[str],
    environment: Environment,
    file: Path,
    *,
    device: str,
    say: Callable[[str], None],
    probe: Callable[[Backend, str], Verdict] | None = None,
) -> dict[str, Verdict]:
    """Those of the flags whose kernel is not usable here, with the verdict on it.

    Args:
        flags: Names of the flags that are on, as ComfyUI spells them in ``args``.
        environment: This machine.
        file: Where verdicts are kept; a flag without one there is tried now, and its verdict added.
        device: Where models run, "cuda:0" or "cpu".
        say: Tells the user one line.
        probe: Tries a kernel; the default starts a child process.
    """
    stored, remarks = check.load(file, environment)
    remarks_of_start[:] = remarks
    for remark in remarks:
        say(f"SageKit: {remark}")
    entries = {backend.name: backend for backend in declare(environment.packages)}
    key = f"{check.LAUNCH} {device}"
    known = dict(stored.of(key))
    broken = {}
    for flag in flags:
        name = FLAGS.get(flag)
        if name is None:
            continue
        if name not in known:
            say(f"SageKit: checking the kernel behind {spelled(flag)} once (at most {LIMIT:.0f} s)")
            known[name] = (probe or _probe)(entries[name], device)
        if not known[name].is_good:
            broken[flag] = known[name]
    # Written where something changed, too: else every start would say so again.
    stale = bool(remarks) or known != dict(stored.of(key))
    if stale and (trouble := verdicts.write(file, stored.with_verdicts(key, known))):
        say(f"SageKit: {trouble}")
    return broken


def _probe(backend: Backend, device: str) -> Verdict:
    return check.check([backend], device, limit=LIMIT)[backend.name]


def spelled(flag: str) -> str:
    """ "use_sage_attention" as a user types it."""
    return "--" + flag.replace("_", "-")


def block(flag: str, verdict: Verdict, environment: Environment, pack: Path, cleared: bool) -> str:
    """What a user reads about a flag whose kernel is not usable: what was asked, what is wrong, the fix."""
    # Not needed by a start that finds all well, which has 50 ms.
    from . import rules
    from .doctor import explain
    from .doctor.quoting import shown
    from .doctor.step import python_of

    now = (
        "ComfyUI starts with PyTorch's attention instead"
        if cleared
        else "SAGEKIT_STARTUP=report: it is left on, and ComfyUI may stop or answer wrongly"
    )
    about = {"use_sage_attention": "sageattention", "use_flash_attention": "flash-attn"}[flag]
    advice = [one.do for one in rules.mismatches(environment) if about in one.about or one.about == "triton"]
    answers = explain(verdict.detail)
    advice += [one.fix for one in answers]
    if not advice:
        verb = "install" if about not in environment.packages else "reinstall"
        advice = [f"{verb} {about} for this Python, PyTorch and GPU, or leave {spelled(flag)} away"]
    check = (*python_of(environment), str(pack / "kernels_check"))
    lines = [
        f"SageKit: {spelled(flag)} asks for a kernel that does not work here. {now}.",
        f"  what is wrong: {verdict}",
        *(f"  cause: {one.cause}" for one in answers[:1]),
        *(f"  fix: {line}" for line in advice[:3]),
        "  The node Patch Sage Attention needs no flag, and sends a kernel only the calls it can do.",
        f"  The whole picture:  {shown(check, environment.system)}",
    ]
    return "\n".join(lines)
