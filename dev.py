"""Sets up a fresh machine and does one of two things:

    python dev.py start    starts ComfyUI with this pack and an example workflow that needs no download
    python dev.py test     runs the linter and the tests

Needs Python 3.10 or newer. Everything it makes lies in .demo and .venv beside this file; a ComfyUI and a
Python environment that were there before are used as they are and left as they were.
"""

import sys

if sys.version_info < (3, 10):  # noqa: UP036  (so that an older one gets this sentence and no syntax error)
    sys.exit("Python 3.10 or newer is needed; this is " + sys.version.split()[0])

import argparse
import importlib.util
import subprocess
from pathlib import Path

from dev import DEMO, PACK, MissingError, comfyui, packages, say
from dev.environment import TORCH, VENV, check_place, environment, groups_for, python_in, torch_in

EXIT_SOMETHING_MISSING = 3
EXIT_STOPPED = 130


def start(options: argparse.Namespace) -> int:
    """ComfyUI where it can be had, else the built-in block."""
    if options.block:
        return built_in_block()
    try:
        check_place(DEMO)
        folder = comfyui.found() or comfyui.cloned()
        python, torch = comfyui.python_for(folder)
        base = comfyui.prepared_base(python)
    except MissingError as missing:
        say(f"Missing: {missing}")
        say("So without ComfyUI: the patch on a small built-in transformer block.")
        return built_in_block()
    on_cpu = torch.endswith("cpu")
    return comfyui.serve(folder, python, base, options.port, on_cpu, open_browser=not options.no_browser)


def built_in_block() -> int:
    """Shows kernel, time and error on a small transformer block: torch is all it needs."""
    if importlib.util.find_spec("torch") is None:
        own = python_in(VENV)
        if own.exists() and own != Path(sys.executable) and torch_in(own):
            return subprocess.run([str(own), __file__, "start", "--block"], check=False).returncode
        say(f"Missing: torch. Get it with:  {sys.executable} -m pip install {TORCH[0]}")
        return EXIT_SOMETHING_MISSING
    packages.load("sagekit", PACK)
    from sagekit.patches.attention.standalone import table

    say(table())
    return 0


def test(pytest_arguments: list[str]) -> int:
    """The linter, the formatter and the tests; all run, and the first that fails gives the exit code."""
    check_place(VENV.parent)
    folder = comfyui.found()
    if folder is None:
        say("ComfyUI: none found; the tests that need one are skipped")
    python = environment({**groups_for(folder), "development": ["-r", str(PACK / "requirements-dev.txt")]})
    # The tests of one file share servers. Some run apart: a process has ComfyUI on the GPU or on the CPU, and
    # while a browser is driven, its process has an event loop that runs, and others need one of their own.
    side_by_side = ["pytest", "-n", "auto", "--maxprocesses", "8", "--dist", "loadfile", *pytest_arguments]
    apart = ["tests/gpu", "tests/web"]
    together = [*side_by_side, *(f"--ignore={folder}" for folder in apart)]
    tests = (side_by_side,) if pytest_arguments else (together, ["pytest", *apart])
    commands = (["ruff", "check", "."], ["ruff", "format", "--check", "."], *tests)
    codes = []
    for command in commands:
        say(f"\n$ {' '.join(command)}")
        codes.append(subprocess.run([str(python), "-m", *command], cwd=PACK, check=False).returncode)
    return next((code for code in codes if code), 0)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    starting = commands.add_parser("start", help="start ComfyUI with this pack and an example workflow")
    starting.add_argument("--port", type=int, default=8188)
    starting.add_argument("--no-browser", action="store_true", help="print the address, open nothing")
    starting.add_argument("--block", action="store_true", help="no ComfyUI: a small built-in block")
    commands.add_parser("test", help="run ruff and pytest, which gets all further arguments", add_help=False)
    options, rest = parser.parse_known_args()
    if options.command == "start" and rest:
        parser.error(f"unknown: {' '.join(rest)}")
    try:
        return start(options) if options.command == "start" else test(rest)
    except MissingError as missing:
        say(f"Missing: {missing}")
        return EXIT_SOMETHING_MISSING
    except KeyboardInterrupt:
        return EXIT_STOPPED


if __name__ == "__main__":
    sys.exit(main())
