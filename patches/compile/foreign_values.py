"""What the compile nodes of other packs call things, in words of ours."""

from .settings import BLOCKS, WHOLE

# KJNodes asks "transformer blocks only?" and, in all but its newest node, "dynamic?".
_COMPILE = {True: BLOCKS, False: WHOLE}
_DYNAMIC = {True: "true", False: "false"}


def compile_of(value: str | bool) -> str:
    """BLOCKS or WHOLE for a yes or no; every other value as it is."""
    return _COMPILE[value] if isinstance(value, bool) else value


def dynamic_of(value: str | bool) -> str:
    """A key of DYNAMIC for a yes or no; every other value as it is."""
    return _DYNAMIC[value] if isinstance(value, bool) else value
