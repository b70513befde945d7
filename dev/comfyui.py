"""The ComfyUI to start: found or cloned, run by its own Python or ours, on a base directory of ours."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import webbrowser
from pathlib import Path

from . import DEMO, PACK, MissingError, desktop, last_words, packages, pythons, say
from .environment import environment, groups_for, torch_in

host = packages.support("host")
base_directory = packages.support("base_directory")

REPOSITORY = "https://github.com/Comfy-Org/ComfyUI"
VERSION = "v0.33.0"
# For an answer, not for the clone.
_SECONDS = 15


def found() -> Path | None:
    """The ComfyUI that is there already."""
    one = host.find()
    if one is None and not os.environ.get("COMFYUI_DIR"):
        one = next((host.Found(folder, "of its desktop program") for folder in desktop.installs()), None)
    if one is not None:
        say(f"ComfyUI: {one.folder} ({host.version(one.folder)}; {one.how})")
        return one.folder
    if os.environ.get("COMFYUI_DIR"):
        raise MissingError(
            f"a ComfyUI in COMFYUI_DIR: {os.environ['COMFYUI_DIR']} is no folder with main.py and comfy in "
            f"it; set it to one that is, or unset it"
        )
    return None


def cloned() -> Path:
    """A ComfyUI of our own, of a pinned release."""
    if shutil.which("git") is None:
        raise MissingError("git, to fetch ComfyUI")
    folder = host.CLONE
    say(f"ComfyUI: none found; cloning {VERSION} into {folder}")
    # Renamed when it is whole: a clone that was stopped half-way is never taken for a ComfyUI.
    unfinished = folder.with_suffix(".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    # Asked first, since a network that swallows what is sent would hold up the start for minutes.
    _git("ls-remote", "--quiet", REPOSITORY, VERSION, seconds=_SECONDS)
    _git("clone", "--quiet", "--depth", "1", "--branch", VERSION, REPOSITORY, str(unfinished))
    unfinished.rename(folder)
    return folder


def _git(*arguments: str, seconds: float | None = None) -> None:
    """Runs git, which asks nobody for a password; raises with its last word where that fails."""
    command = ["git", "-c", "advice.detachedHead=false", *arguments]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    variables = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    try:
        child = subprocess.run(
            command, **pipes, text=True, errors="replace", check=False, timeout=seconds, env=variables
        )
    except subprocess.TimeoutExpired:
        raise MissingError(f"a way to {REPOSITORY}, which did not answer in {seconds:.0f} s") from None
    if child.returncode:
        words = last_words(child).removeprefix("fatal: ")
        raise MissingError(f"a way to {REPOSITORY} (git: {words})")


def python_for(folder: Path) -> tuple[Path, str]:
    """The Python for this host and the torch in it: the host's own, else one of ours."""
    for python in pythons.of(folder):
        torch, trouble = torch_in(python, *host.NEEDED)
        if torch:
            say(f"Python: {python} (torch {torch})")
            return python, torch
        say(f"Python: {python} passed over: {trouble}")
    python = environment(groups_for(folder), host.NEEDED)
    torch, trouble = torch_in(python, *host.NEEDED)
    if torch:
        return python, torch
    raise MissingError(f"what {python} needs to run ComfyUI: {trouble}")


def prepared_base(python: Path) -> Path:
    """The demo's own models, nodes, output and users, so that the host's folder stays as it is."""
    base = base_directory.prepare(DEMO / "base")
    tiny_models = PACK / "tests" / "support" / "tiny_models.py"
    command = [str(python), str(tiny_models), str(base / "models")]
    child = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if child.returncode:
        raise MissingError(f"what {python} needs to make the tiny models: {last_words(child)}")
    say(f"Models, output and workflow: {base}")
    return base


def serve(folder: Path, python: Path, base: Path, port: int, on_cpu: bool, open_browser: bool) -> int:
    """Runs the host until it ends or Ctrl-C ends it."""
    port = _free_port(port)
    isolated = ["-s"] if python.parent.name.startswith("python_embed") else []
    command = [str(python), *isolated, str(folder / "main.py"), "--port", str(port), "--disable-auto-launch"]
    command += [*base_directory.arguments(base), "--disable-api-nodes", *(["--cpu"] if on_cpu else [])]
    demo = base_directory.DEMO_WORKFLOW.stem
    url = f"http://127.0.0.1:{port}/?template={demo}&source={base_directory.DEMO_FOLDER}"
    say(f"Device: {'the CPU (torch sees no CUDA device)' if on_cpu else 'the GPU'}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # A user's ComfyUI gets no __pycache__ from us.
    variables = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    process = subprocess.Popen(command, cwd=folder, env=variables)
    try:
        if _answers(port, process):
            say(f"\nReady: {url}\n(or in the sidebar: Workflows, {demo}). Ctrl-C ends it.\n")
            if open_browser:
                webbrowser.open(url)
        return process.wait()
    except KeyboardInterrupt:
        # The terminal sent it to ComfyUI as well, which cleans up after itself.
        _end(process)
        return 0
    finally:
        process.terminate()
        _end(process)


def _end(process: subprocess.Popen) -> None:
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _answers(port: int, process: subprocess.Popen) -> bool:
    """Waits until the server answers; false where it ended before."""
    while process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/system_stats", timeout=5):
                return True
        except OSError:
            time.sleep(0.3)
    return False


def _free_port(wanted: int) -> int:
    """The wanted port, or the next one that is free: a user's own ComfyUI is often on the first."""
    last = min(wanted + 49, 65535)
    for port in range(wanted, last + 1):
        with socket.socket() as client:
            client.settimeout(0.5)
            if client.connect_ex(("127.0.0.1", port)) == 0:
                continue
        if port != wanted:
            say(f"Port: {wanted} is taken; using {port}")
        return port
    raise MissingError(f"a free port from {wanted} to {last}: name another with --port")
