"""Commands of an environment's own Python, and of the pip that belongs to it."""

from ...machine import Environment
from .quoting import Command


def pip(environment: Environment, *arguments: str) -> Command:
    """A command of the pip that belongs to this very Python."""
    python = environment.python
    program = (python.executable if python else "") or "python"
    # The stock launch files start the embeddable Python with -s: what pip finds must be what ComfyUI finds.
    isolated = ("-s",) if python is not None and python.embedded else ()
    return (program, *isolated, "-m", "pip", *arguments)


def python_of(environment: Environment) -> Command:
    """The command that starts an environment's own Python."""
    return pip(environment)[:-2]
