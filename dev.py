"""Sets up a fresh machine and does one of these things:

    python dev.py start    starts ComfyUI with this pack and an example workflow that needs no download; where
                           there is no ComfyUI and none to be had, shows what the pack does without it
    python dev.py test     runs ruff, mypy and the tests, and the tests once more as on an empty machine
    python dev.py docs     writes what the documentation takes from the code and from measurements

Needs Python 3.10 or newer. COMFYUI_DIR names the ComfyUI to use; else one around this folder, in
~/comfy/ComfyUI or of Comfy Desktop is found. Everything this makes lies in .demo and .venv beside this file,
or in the folder that SAGEKIT_VENV names; a ComfyUI and a Python environment that were there before are used
as they are and left as they were. docs/fresh-machine.md tells sizes and times.
"""

import sys

if sys.version_info < (3, 10):  # noqa: UP036  (so that an older one gets this sentence and no syntax error)
    sys.exit("Python 3.10 or newer is needed; this is " + sys.version.split()[0])

import argparse
import os
import subprocess
import tempfile
from pathlib import Path

from dev import DEMO, EXIT_SOMETHING_MISSING, EXIT_STOPPED, PACK, MissingError, comfyui, docs, pythons, say
from dev.environment import (
    TEST_MODULES,
    VENV,
    check_place,
    environment,
    groups_for,
    groups_for_tests,
    has_torch,
    torch_in,
)
from dev.installer import python_in

# Beginnings of variables that lead to packages, environments and caches outside an empty home.
LEADS_ELSEWHERE = ("PYTHONPATH", "VIRTUAL_ENV", "CONDA_", "XDG_", "HF_", "HUGGINGFACE_", "TORCH", "TRITON_")
NONE_COLLECTED = 5  # Of pytest: no test was to be run. Whole files that are skipped count as none.
GO_ON = """
With a ComfyUI: set COMFYUI_DIR to its folder and start this again, or put this folder into its custom_nodes
and start ComfyUI; then the node Patch Sage Attention goes between the model loader and the sampler."""


def start(options: argparse.Namespace) -> int:
    """ComfyUI where it can be had, else the demo without it."""
    if options.without_comfyui:
        return demo()
    found = comfyui.found()
    try:
        check_place(DEMO)
        folder = found or comfyui.cloned()
        python, torch = comfyui.python_for(folder)
        base = comfyui.prepared_base(python)
    except MissingError as missing:
        say(f"ComfyUI: needs {missing}")
        say("So here is what the pack does without one.")
        return demo()
    on_cpu = torch.endswith("cpu")
    return comfyui.serve(folder, python, base, options.port, on_cpu, open_browser=not options.no_browser)


def demo() -> int:
    """Check, dispatch, guard and report over a small transformer: torch is all it needs."""
    code = subprocess.run([str(python_with_torch()), str(PACK / "dev" / "demo")], check=False).returncode
    if code == 0:
        say(GO_ON)
    return code


def python_with_torch() -> Path:
    """Our environment where it has torch, else a Python in use that has it, else our environment made."""
    if has_torch():
        return python_in(VENV)
    for python in dict.fromkeys([*pythons.active(), Path(sys.executable)]):
        torch, _ = torch_in(python)
        if torch:
            say(f"Python: {python} (torch {torch})")
            return python
    return environment(groups_for(None))


def test(pytest_arguments: list[str]) -> int:
    """Linter, formatter, types and tests; all run, and the first that fails gives the exit code."""
    folder = comfyui.found()
    if folder is None:
        say("ComfyUI: none found; the tests that need one are skipped")
    python = environment(groups_for_tests(folder), ("torch", *TEST_MODULES))
    # The tests of one file share servers. Some run apart: a process has ComfyUI on the GPU or on the CPU, and
    # while a browser is driven, its process has an event loop that runs, and others need one of their own.
    side_by_side = ["pytest", "-n", "auto", "--maxprocesses", "8", "--dist", "loadfile", *pytest_arguments]
    apart = ["tests/gpu", "tests/web"]
    together = [*side_by_side, *(f"--ignore={folder}" for folder in apart)]
    commands = [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["dev.typecheck"]]
    if pytest_arguments:
        commands.append(side_by_side)
    else:
        commands += [together, ["pytest", *apart]] if folder else [["pytest", "tests/gpu"]]
    found = {"COMFYUI_DIR": str(folder)} if folder else {}
    codes = [run(python, command, found) for command in commands]
    if commands[-1] == ["pytest", apart[0]] and codes[-1] == NONE_COLLECTED:
        codes[-1] = 0  # Each file says what it is skipped for; the run as on an empty machine has them, too.
    if not pytest_arguments:
        codes.append(as_on_an_empty_machine(python, side_by_side))
    return next((code for code in codes if code), 0)


def as_on_an_empty_machine(python: Path, command: list[str]) -> int:
    """The tests with an empty home, no ComfyUI and no GPU: one that takes any of them for granted fails."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        places = dict.fromkeys(("HOME", "USERPROFILE", "LOCALAPPDATA", "APPDATA"), home)
        nowhere = dict.fromkeys(("COMFYUI_DIR", "OLD_COMFYUI_DIR"), str(Path(home) / "no-comfyui"))
        gone = dict.fromkeys(name for name in os.environ if name.startswith(LEADS_ELSEWHERE))
        say("\nAs on an empty machine, with an empty home, no ComfyUI and no GPU:")
        # The tensors are small, and so one thread for each process is the fastest.
        alone = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
        return run(python, command, gone | places | nowhere | alone)


def run(python: Path, command: list[str], variables: dict[str, str | None]) -> int:
    """Runs a module, with these variables changed, or gone where they are None."""
    say(f"\n$ {' '.join(command)}")
    changed = {**os.environ, **variables}
    kept = {name: value for name, value in changed.items() if value is not None}
    return subprocess.run([str(python), "-m", *command], cwd=PACK, env=kept, check=False).returncode


def port(text: str) -> int:
    """The number of a port, for argparse, which puts what it raises into its one line."""
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 2**16:
        raise argparse.ArgumentTypeError(f"a port is a number from 1 to 65535, got {text!r}")
    return int(text)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    starting = commands.add_parser("start", help="start ComfyUI with this pack, or show a demo without one")
    starting.add_argument("--port", type=port, default=8188, help="8188, or the next one that is free")
    starting.add_argument("--no-browser", action="store_true", help="print the address, open nothing")
    starting.add_argument("--without-comfyui", action="store_true", help="the demo that needs torch alone")
    commands.add_parser(
        "test", help="run ruff, mypy and pytest, which gets all further arguments", add_help=False
    )
    commands.add_parser("docs", help="write what the documentation takes from code and measurements")
    options, rest = parser.parse_known_args()
    if options.command != "test" and rest:
        parser.error(f"unknown: {' '.join(rest)}")
    try:
        if options.command == "docs":
            return docs.write()
        return start(options) if options.command == "start" else test(rest)
    except MissingError as missing:
        say(f"Missing: {missing}")
        return EXIT_SOMETHING_MISSING
    except OSError as error:
        # One that nothing above has a better word for.
        say(f"Missing: what this needs of the system: {error}; put that right and start again")
        return EXIT_SOMETHING_MISSING
    except KeyboardInterrupt:
        say("Stopped. The next call goes on from here.")
        return EXIT_STOPPED


if __name__ == "__main__":
    sys.exit(main())
