"""The doctor's plan and answers as values for JSON."""

from dataclasses import replace
from typing import Any

from ..machine import Environment
from ..machine.layout import Layout
from ..machine.message import said
from ..machine.redaction import redact
from ..machine.surroundings import read_surroundings
from .causes.answer import explain
from .plan import failures
from .plan.plan import make_plan


def plan_data(
    environment: Environment,
    layout: Layout | None = None,
    found: failures.Found | None = None,
    *,
    sage3: bool = False,
    private: bool = False,
) -> dict[str, Any]:
    """The plan for this machine as values for JSON, with code and values of what it says under "said".

    Args:
        environment: The machine, with what torch says of its GPUs where torch is loaded already.
        layout: The folders of the host.
        found: The verdicts on the kernels, by GPU and name; what failed is explained among the answers.
        sage3: SageAttention 3 is asked for.
        private: Show no folder of this machine: the commands are for one that is found by what lies in it.
    """
    around = read_surroundings(environment, layout)
    plan = make_plan(environment, around, sage3=sage3, **failures.told(found or {}))
    answers = explain(failures.errors(found or {}), plan, environment, private=private)
    # The line is what a package said, and may name its folder; all the rest is ours.
    told = [replace(one, line=redact(one.line, around.names)) if private else one for one in answers]
    # A text that names a folder or a person has been changed, and a page does not find it by its code.
    texts = (one for one in plan.texts() if not private or redact(str(one), around.names) == str(one))
    return plan.as_data(private=private) | {"answers": [one.as_data() for one in told], "said": said(texts)}


def explain_data(
    text: str,
    environment: Environment | None = None,
    layout: Layout | None = None,
    found: failures.Found | None = None,
    *,
    private: bool = False,
) -> list[dict[str, Any]]:
    """What a text means, as values for JSON, most specific first.

    Args:
        text: A log, a traceback or one line.
        environment: This machine; None where it has not been read, and nothing is said of it then.
        layout: The folders of the host.
        found: The verdicts on the kernels, by GPU and name.
        private: Show no folder of this machine in the commands.
    """
    plan = None
    if environment is not None:
        plan = make_plan(environment, read_surroundings(environment, layout), **failures.told(found or {}))
    return [one.as_data() for one in explain(text, plan, environment, private=private)]
