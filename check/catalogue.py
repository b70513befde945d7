"""Every sentence of this room that has a code: what became of a kernel in the kernel check."""

from ..machine.message import Reasons

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
