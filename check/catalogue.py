"""Every sentence of this room that has a code: what became of a kernel in the kernel check."""

from collections.abc import Iterable

from ..machine.catalogue import coded
from ..machine.message import Catalogue, Message, Reasons
from ..machine.reason import Reason

_PASSED = "a kernel check that it passes"
REASONS = Reasons(
    {
        "wrong": (_PASSED, "wrong: {detail}"),
        "refused": (_PASSED, "refused: {detail}"),
        "crashed": (_PASSED, "crashed: {detail}"),
        "timed-out": (_PASSED, "timed-out: {detail}"),
        "sparse": ("a kernel that random data can prove", "a sparse one"),
        "not-importable": ("a working import", "{error}"),
    }
)

MESSAGES = Catalogue(
    {
        "refusal": "{reasons:then}",
        "kernels-are-checked-again": "the kernels are checked again",
        "verdicts-not-kept": "the kernel check's results cannot be kept: {error}",
    }
)


def refusal(reasons: Iterable[Reason]) -> Message:
    """The detail of the verdict on a kernel that is refused for these reasons."""
    return MESSAGES("refusal", reasons=tuple(map(coded, reasons)))
