"""Takes a folder away with Python itself: one line for cmd.exe and PowerShell, whose own words differ."""

from .quoting import Command

# The folder is an argument of its own, so that no name in it is read as code. "~" is the home folder.
REMOVE = (
    "import os, shutil, sys; folder = os.path.expanduser(sys.argv[1]); "
    "os.path.isdir(folder) and shutil.rmtree(folder)"
)


def remove_folder(python: Command, folder: str, system: str) -> Command:
    """The command that removes a folder and all in it.

    Args:
        python: The command that starts this Python.
        folder: In full.
        system: "windows", else rm does it.
    """
    return (*python, "-c", REMOVE, folder) if system == "windows" else ("rm", "-r", "-f", folder)
