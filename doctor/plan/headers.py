"""The folders include and libs that python.org's embeddable Python lacks and Triton compiles with."""

from ...knowledge.facts import table
from ...knowledge.tables import dotted, numbers
from ...machine import Environment
from ...machine.surroundings import Surroundings
from ..commands.python import python_of
from ..commands.quoting import Command
from ..commands.remove import remove_folder
from .catalogue import STEPS
from .step import Step


def step(environment: Environment, around: Surroundings) -> Step | None:
    """Puts both folders beside python.exe, for this very minor version; None where they are there."""
    python = environment.python
    if environment.system != "windows" or python is None or python.has_headers is not False:
        return None
    row, folder = table("wheels")["headers"], around.folder.rstrip("\\")
    known = next((one["url"] for one in row["files"] if numbers(one["python"]) == python.minor), None)
    nuget = row["nuget"].format(version=python.version)
    minor = dotted(python.minor)
    if python.free_threaded or not folder:
        return Step(
            "python-headers",
            STEPS("copy-headers", python=minor),
            by_hand=STEPS("take-headers", python=python.version),
            sources=(row["source"],),
        )
    return Step(
        "python-headers",
        STEPS("put-headers", python=minor),
        (
            STEPS("headers-needed"),
            STEPS("headers-of-this-minor", python=minor),
            STEPS("headers-in-nuget", python=python.version, address=nuget)
            if known
            else STEPS("headers-out-of-nuget"),
        ),
        commands=_from_archive(known, folder)
        if known
        else _from_nuget(nuget, folder, python_of(environment)),
        undo_by_hand=STEPS("delete-headers"),
        sources=(row["source"],),
    )


def _from_archive(url: str, folder: str) -> tuple[Command, ...]:
    # curl and tar (which reads zip archives) are part of Windows since 10 1803.
    archive = f"{folder}\\sagekit_include_libs.zip"
    return (
        ("curl.exe", "--fail", "--location", "--output", archive, url),
        ("tar.exe", "-xf", archive, "-C", folder),
        ("del", archive),
    )


def _from_nuget(url: str, folder: str, python: Command) -> tuple[Command, ...]:
    archive, unpacked = f"{folder}\\sagekit_python.zip", f"{folder}\\sagekit_python"
    return (
        ("curl.exe", "--fail", "--location", "--output", archive, url),
        ("mkdir", unpacked),
        ("tar.exe", "-xf", archive, "-C", unpacked, "tools/include", "tools/libs"),
        ("xcopy", f"{unpacked}\\tools\\include", f"{folder}\\include", "/E", "/I", "/Q", "/Y"),
        ("xcopy", f"{unpacked}\\tools\\libs", f"{folder}\\libs", "/E", "/I", "/Q", "/Y"),
        remove_folder(python, unpacked, "windows"),
        ("del", archive),
    )
