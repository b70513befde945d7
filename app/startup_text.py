"""What a user reads in the log of a start: what does not work, what becomes of it, why, and what to do."""

from pathlib import Path

from ..check import imports, verdicts
from ..check.imports import HOST_IMPORTS
from ..check.verdicts import Verdict
from ..kernels.launch_flags import spelled
from ..machine import Environment


def of_flag(flag: str, verdict: Verdict, environment: Environment, pack: Path, cleared: bool) -> str:
    """What a user reads about a flag whose kernel is not usable: what was asked, what is wrong, the fix."""
    now = (
        "ComfyUI starts with PyTorch's attention instead"
        if cleared
        else "SAGEKIT_STARTUP=report: it is left on, and ComfyUI may stop or answer wrongly"
    )
    about = next(one.distribution for one in HOST_IMPORTS.values() if one.flag == flag)
    return "\n".join(
        [
            f"SageKit: {spelled(flag)} asks for a kernel that does not work here. {now}.",
            *_what_and_why(verdict, about, environment, f", or leave {spelled(flag)} away"),
            "  The node Patch Sage Attention needs no flag, and sends a kernel only the calls it can do.",
            _whole_picture(environment, pack),
        ]
    )


def of_package(
    name: str, verdict: Verdict, environment: Environment, pack: Path, asked: bool, blocked: bool
) -> str:
    """What a user reads about a package that does not import: what becomes of it, what is wrong, the fix.

    Args:
        name: As it is imported.
        verdict: On its import.
        environment: This machine.
        pack: The folder of this pack.
        asked: Its launch flag is on.
        blocked: It is kept out of this start; otherwise ComfyUI is about to import it.
    """
    wanted = HOST_IMPORTS[name]
    by_flag = f", which {spelled(wanted.flag)} asks for," if asked else ""
    now = (
        "It is kept out of this start: whatever imports it finds it not installed"
        + (", and ComfyUI starts with PyTorch's attention instead." if asked else ".")
        if blocked
        else "SAGEKIT_STARTUP=report: it is let in, and ComfyUI may stop."
    )
    removal = _removal(environment, wanted.distribution)
    retried = (
        f"  It has hung {verdict.cases} times and is not tried again until something is installed anew."
        if verdict.state == verdicts.TIMED_OUT and verdict.cases >= imports.HANGS
        else "  It is tried again at the next start. SAGEKIT_STARTUP=off lets it in untried."
    )
    return "\n".join(
        [
            f"SageKit: the package {name}{by_flag} cannot be imported here. {now}",
            *_what_and_why(verdict, wanted.distribution, environment, removal),
            *([retried] if blocked else []),
            _whole_picture(environment, pack),
        ]
    )


def _removal(environment: Environment, distribution: str) -> str:
    from ..doctor.commands.python import pip
    from ..doctor.commands.quoting import shown

    return f", or remove it:  {shown(pip(environment, 'uninstall', distribution), environment.system)}"


def _what_and_why(verdict: Verdict, about: str, environment: Environment, otherwise: str) -> list[str]:
    """What is wrong with a package or its kernel, why, and what to do."""
    # Not needed by a start that finds all well, which has 50 ms.
    from ..doctor import rules

    advice = [one.do for one in rules.mismatches(environment) if about in one.about or one.about == "triton"]
    answers = _explained(verdict, environment)
    advice += [one.fix for one in answers]
    if not advice:
        verb = "install" if about not in environment.packages else "reinstall"
        advice = [f"{verb} {about} for this Python, PyTorch and GPU{otherwise}"]
    return [
        f"  what is wrong: {verdict}",
        *(f"  cause: {one.cause}" for one in answers[:1]),
        *(f"  fix: {line}" for line in advice[:3]),
    ]


def _explained(verdict: Verdict, environment: Environment) -> list:
    """What the words of an error mean; a refusal is in words of ours, which mean what they say."""
    if verdict.state == verdicts.REFUSED and verdict.is_lasting:
        return []
    from ..doctor.causes.answer import explain

    return explain(verdict.detail, environment=environment)


def _whole_picture(environment: Environment, pack: Path) -> str:
    from ..doctor.commands.python import python_of
    from ..doctor.commands.quoting import shown

    check = (*python_of(environment), str(pack / "kernels_check"))
    return f"  The whole picture:  {shown(check, environment.system)}"
