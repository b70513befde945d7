"""Every sentence of this room: what is found, why a file does not do, what to do, the way back."""

from .reasons import REASONS
from .steps import INSTALLER, OTHER_WAYS, STEPS
from .verdicts import DO, INSTALLED, SUMMARY
from .words import WORDS

__all__ = ["DO", "INSTALLED", "INSTALLER", "OTHER_WAYS", "REASONS", "STEPS", "SUMMARY", "WORDS", "sentences"]


def sentences(*parts: str) -> str:
    """Those that are not empty as one text."""
    some = tuple(one for one in parts if one)
    return some[0] if len(some) == 1 else WORDS("sentences", parts=some) if some else ""
