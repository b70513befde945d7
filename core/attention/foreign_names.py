"""The kernel names that workflows of other node packs use, as names of ours."""

from ...kernels.families import declare
from .settings import AUTO, OFF

# Modes of KJNodes' sage attention node. It calls the function of SageAttention that the mode is named after,
# with an accumulator of its own choice; a backend with the mode in ``also_called`` calls the same function
# with the same accumulator; the FP8 ones scale q and k per warp here and per thread there. "auto" leaves the
# choice to SageAttention there, and to what was measured here.
KJNODES = {
    "auto": AUTO,
    "disabled": OFF,
    **{name: backend.name for backend in declare({}) for name in backend.also_called},
}


def ours(kernel: object) -> object:
    """The name of ours for a name of another pack; every other value as it is."""
    # What KJNodes' node declares as its default, and so what a workflow may hold.
    if kernel is False:
        return OFF
    return KJNODES.get(kernel, kernel) if isinstance(kernel, str) else kernel
