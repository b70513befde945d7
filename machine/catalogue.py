"""Every sentence of this room that has a code."""

from .message import Reasons

REASONS = Reasons({"not-installed": ("{packages:or}", "nothing")})
