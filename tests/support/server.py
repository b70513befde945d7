"""A real ComfyUI server in a child process, driven through its HTTP API as a user's browser does."""

import contextlib
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from . import base_directory

START_LIMIT = 240.0
RUN_LIMIT = 180.0

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
LEVEL = re.compile(r"^\[[A-Z]+\] ")


class ServerError(AssertionError):
    """The server did not do what was asked; the message ends with the end of its log."""


class Server:
    """One running server: its address, its base directory and everything it printed."""

    def __init__(self, process: subprocess.Popen, port: int, base: Path, log_file: Path):
        self.process = process
        self.url = f"http://127.0.0.1:{port}"
        self.base = base
        self.log_file = log_file
        # The nodes whose results the last run took from the one before.
        self.reused: set[str] = set()

    def log(self) -> str:
        """Everything printed so far, without colours."""
        return COLOUR.sub("", self.log_file.read_text(encoding="utf-8", errors="replace"))

    def lines_of_the_pack(self, since: int = 0) -> list[str]:
        """The log lines of SageKit, from a position in the log on."""
        lines = (LEVEL.sub("", line) for line in self.log()[since:].splitlines())
        return [line for line in lines if line.startswith("SageKit")]

    def fail(self, message: str) -> ServerError:
        end = "\n".join(self.log().splitlines()[-40:])
        return ServerError(f"{message}\n--- end of the server's log ---\n{end}")

    def text(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return answer.read().decode()

    def get(self, path: str) -> object:
        return json.loads(self.text(path))

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_LIMIT
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise self.fail(f"the server ended with code {self.process.returncode} before it answered")
            with contextlib.suppress(OSError):
                self.get("/system_stats")
                return
            time.sleep(0.25)
        raise self.fail(f"the server did not answer within {START_LIMIT:.0f} s")

    def post(self, body: str) -> tuple[int, str]:
        """Posts a text as a prompt, whatever it is; returns the answer's status and text."""
        request = urllib.request.Request(
            self.url + "/prompt", data=body.encode(), headers={"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def queue(self, workflow: dict, workflow_id: object = None, **extra: object) -> str:
        """Queues a workflow in API format, as if from the page's with that id; returns the prompt's id.

        What JSON cannot say, infinity, goes out as a number that is too large for any reader.
        """
        page = {"extra_pnginfo": {"workflow": {"id": workflow_id}}} if workflow_id is not None else {}
        body = json.dumps({"prompt": workflow, "extra_data": {**page, **extra}})
        status, answer = self.post(body.replace("Infinity", "1e999"))
        if status != 200:
            raise self.fail(f"the workflow was refused: {status} {answer}")
        return json.loads(answer)["prompt_id"]

    def interrupt(self) -> None:
        """Cancels the prompt that runs, as the page's button does."""
        request = urllib.request.Request(self.url + "/interrupt", data=b"", method="POST")
        urllib.request.urlopen(request, timeout=30).close()

    def run(self, workflow: dict, workflow_id: object = None, **extra: object) -> dict:
        """Runs a workflow to its end and returns what its output nodes showed, by node id."""
        history = self.end_of(self.queue(workflow, workflow_id, **extra))
        if history["status"]["status_str"] != "success":
            raise self.fail(f"the workflow failed: {history['status']['messages']}")
        self.reused = _reused_nodes(history)
        return history["outputs"]

    def end_of(self, prompt_id: str) -> dict:
        """Waits until a prompt has ended, well or not; returns what the history has of it."""
        deadline = time.monotonic() + RUN_LIMIT
        while time.monotonic() < deadline:
            history = self.get(f"/history/{prompt_id}").get(prompt_id)
            if history is not None:
                return history
            if self.process.poll() is not None:
                raise self.fail(f"the server ended with code {self.process.returncode} during a run")
            if "Exception in thread" in self.log():
                raise self.fail("the server lost a thread: it runs no prompt any more")
            time.sleep(0.05)
        raise self.fail(f"the workflow did not end within {RUN_LIMIT:.0f} s")

    def latent(self, workflow: dict) -> bytes:
        """Runs a workflow and returns the bits of the latent that its node "save" saved."""
        (file,) = self.run(workflow)["save"]["latents"]
        saved = (self.base / file["type"] / file["subfolder"] / file["filename"]).read_bytes()
        # The header of a safetensors file holds the workflow, which differs; the tensors follow it.
        (length,) = struct.unpack("<Q", saved[:8])
        return saved[8 + length :]

    def stop(self) -> None:
        """Ends the server as Ctrl-C would, and by force where it does not listen."""
        if self.process.poll() is None:
            # The child has its own process group, so the signal reaches it and not the test run.
            self.process.send_signal(signal.CTRL_BREAK_EVENT if os.name == "nt" else signal.SIGINT)
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _reused_nodes(history: dict) -> set[str]:
    messages = history["status"]["messages"]
    return {node for kind, facts in messages if kind == "execution_cached" for node in facts["nodes"]}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _stand_ins(host: Path, base: Path) -> Path | None:
    """A folder for PYTHONPATH with what an old host expects of packages that are newer than it.

    Up to 0.3.64 the host serves one folder of the templates package, and does not start where that package
    is a newer one, which has no such folder.
    """
    if "template_asset" in (host / "app" / "frontend_management.py").read_text(encoding="utf-8"):
        return None
    folder = base / "stand_ins"
    package = folder / "comfyui_workflow_templates"
    (package / "templates").mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").touch()
    return folder


def _start_of(
    host: Path, base: Path, *flags: str, environment: dict[str, str] | None
) -> tuple[list[str], dict[str, str]]:
    """The command that starts a host on the CPU, and its variables."""
    command = [sys.executable, str(host / "main.py"), "--cpu", "--disable-api-nodes"]
    command += ["--disable-auto-launch", *base_directory.arguments(base), *flags]
    variables = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1", **(environment or {})}
    paths = [_stand_ins(host, base), variables.get("PYTHONPATH")]
    variables["PYTHONPATH"] = os.pathsep.join(str(path) for path in paths if path)
    return command, variables


def start_and_end(
    host: Path, base: Path, *flags: str, environment: dict[str, str] | None = None
) -> tuple[int, str]:
    """Starts the host, which ends where it would begin to serve; returns its exit code and its log."""
    command, variables = _start_of(host, base, *flags, "--quick-test-for-ci", environment=environment)
    done = subprocess.run(
        command,
        cwd=host,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=START_LIMIT,
        check=False,
    )
    return done.returncode, COLOUR.sub("", done.stdout.decode("utf-8", errors="replace"))


@contextlib.contextmanager
def running(
    host: Path,
    base: Path,
    *flags: str,
    environment: dict[str, str] | None = None,
) -> Iterator[Server]:
    """Starts the host on the CPU with a prepared base directory, and stops it again."""
    port = free_port()
    log_file = base / "server.log"
    command, variables = _start_of(host, base, *flags, "--port", str(port), environment=environment)
    own_group = (
        {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
        if os.name == "nt"
        else {"start_new_session": True}
    )
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=host,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            **own_group,
        )
    server = Server(process, port, base, log_file)
    try:
        server.wait_until_ready()
        yield server
    finally:
        server.stop()
