"""Every sentence of this room that has a code."""

from .message import Catalogue, Message, Reasons, as_message
from .reason import Reason

REASONS = Reasons({"not-installed": ("{packages:or}", "nothing")})

WORDS = Catalogue({"coded-reason": "{reason_code}: {reason}"})


def coded(reason: Reason) -> Message:
    """The reason with its code in front, as ``Reason.with_code`` has it."""
    return WORDS("coded-reason", reason_code=reason.code, reason=as_message(reason) or str(reason))


# What a user should know of a file that is kept; what is done about it stands in the room that keeps it.
FILES = Catalogue(
    {
        "file-damaged": "{file} is damaged ({error}); {then}",
        "file-unreadable": "{file} cannot be read ({error}); {then}",
        "file-of-another-version": "{file} is of another version of SageKit; {then}",
    }
)
