"""What a user reads in the log of a start: what does not work, what becomes of it, why, and what to do."""

from pathlib import Path

from ..check import imports, verdicts
from ..check.imports import HOST_IMPORTS
from ..check.verdicts import Verdict
from ..kernels.launch_flags import spelled
from ..machine import Environment
from ..machine.message import Message
from .catalogue import STARTUP


def of_flag(flag: str, verdict: Verdict, environment: Environment, pack: Path, cleared: bool) -> str:
    """What a user reads about a flag whose kernel is not usable: what was asked, what is wrong, the fix."""
    now = STARTUP("starts-with-pytorch" if cleared else "flag-left-on")
    about = next(one.distribution for one in HOST_IMPORTS.values() if one.flag == flag)
    return _block(
        STARTUP("flag-does-not-work", flag=spelled(flag), now=now),
        *_what_and_why(verdict, about, environment, STARTUP("leave-flag-away", flag=spelled(flag))),
        STARTUP("node-needs-no-flag"),
        _whole_picture(environment, pack),
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
    now = (
        STARTUP("kept-out-of-start-of-flag" if asked else "kept-out-of-start")
        if blocked
        else STARTUP("package-let-in")
    )
    first = (
        STARTUP("no-import-of-flag", package=name, flag=spelled(wanted.flag), now=now)
        if asked
        else STARTUP("no-import", package=name, now=now)
    )
    retried = (
        STARTUP("hung-too-often", times=verdict.cases)
        if verdict.state == verdicts.TIMED_OUT and verdict.cases >= imports.HANGS
        else STARTUP("tried-again")
    )
    return _block(
        first,
        *_what_and_why(verdict, wanted.distribution, environment, _removal(environment, wanted.distribution)),
        *([retried] if blocked else []),
        _whole_picture(environment, pack),
    )


def _block(first: Message, *others: Message) -> str:
    return "\n  ".join([STARTUP("line-of-sagekit", text=first), *others])


def _removal(environment: Environment, distribution: str) -> Message:
    from ..doctor.commands.python import pip
    from ..doctor.commands.quoting import shown

    command = shown(pip(environment, "uninstall", distribution), environment.system)
    return STARTUP("remove-package", command=command)


def _what_and_why(
    verdict: Verdict, about: str, environment: Environment, otherwise: Message
) -> list[Message]:
    """What is wrong with a package or its kernel, why, and what to do."""
    # Not needed by a start that finds all well, which has 50 ms.
    from ..doctor import rules

    advice = [one.do for one in rules.mismatches(environment) if about in one.about or one.about == "triton"]
    answers = _explained(verdict, environment)
    advice += [one.fix for one in answers]
    if not advice:
        is_there = about in environment.packages
        advice = [
            STARTUP(
                "reinstall-for-this-machine" if is_there else "install-for-this-machine",
                package=about,
                otherwise=otherwise,
            )
        ]
    return [
        STARTUP("what-is-wrong", verdict=str(verdict)),
        *(STARTUP("startup-cause", cause=one.cause) for one in answers[:1]),
        *(STARTUP("startup-fix", fix=line) for line in advice[:3]),
    ]


def _explained(verdict: Verdict, environment: Environment) -> list:
    """What the words of an error mean; a refusal is in words of ours, which mean what they say."""
    if verdict.state == verdicts.REFUSED and verdict.is_lasting:
        return []
    from ..doctor.causes.answer import explain

    return explain(verdict.detail, environment=environment)


def _whole_picture(environment: Environment, pack: Path) -> Message:
    from ..doctor.commands.python import python_of
    from ..doctor.commands.quoting import shown

    check = (*python_of(environment), str(pack / "kernels_check"))
    return STARTUP("whole-picture", command=shown(check, environment.system))
