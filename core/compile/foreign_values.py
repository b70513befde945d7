"""What the compile nodes of other packs call things, in words of ours."""

from .settings import BLOCKS, WHOLE

# KJNodes asks "transformer blocks only?" and, in all but its newest node, "dynamic?".
_COMPILE = {True: BLOCKS, False: WHOLE}
_DYNAMIC = {True: "true", False: "false"}
# Programs write a yes or no as text, too.
_TEXT = {"true": True, "false": False}


def compile_of(value: object) -> object:
    """BLOCKS or WHOLE for a yes or no; every other value as it is."""
    known = _yes_or_no(value)
    return value if known is None else _COMPILE[known]


def dynamic_of(value: object) -> object:
    """A key of DYNAMIC for a yes or no; every other value as it is."""
    known = _yes_or_no(value)
    return value if known is None else _DYNAMIC[known]


def _yes_or_no(value: object) -> bool | None:
    value = _TEXT.get(value.lower()) if isinstance(value, str) else value
    return value if isinstance(value, bool) else None
