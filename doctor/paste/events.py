"""What happened, as a log tells it, in its order.

Each kind is found by what its reporter always writes, so that a tool, a module or a language that is new here
is still an event of a known kind.
"""

from .building import builds, programs
from .event import Event
from .importing import imports
from .loading import modules
from .paste import Paste
from .raising import crashes, raised


def events(paste: Paste) -> list[Event]:
    """Everything that happened, in the order of the log."""
    found = [
        *programs(paste),
        *modules(paste),
        *imports(paste),
        *builds(paste),
        *crashes(paste),
        *raised(paste),
    ]
    return sorted(found, key=lambda one: one.start)
