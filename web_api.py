"""What the web side can ask for, read-only, and the one message it hears: a text for a node."""

import re

from .kernels_check import rules
from .patches.attention import proofs, report

# Absolute paths in the words of an error tell a network who the user is: the file's name is enough.
_FOLDERS = re.compile(r"(?:[A-Za-z]:[\\/]|[\\/])(?:[^\\/:*?\"'<>|\s,;()][^\\/:*?\"'<>|\r\n,;()]*[\\/])+")


def register() -> None:
    """Adds the routes to ComfyUI's server, where one runs; a second time it changes nothing."""
    from aiohttp import web
    from server import PromptServer

    server = getattr(PromptServer, "instance", None)
    if server is None or _show in report.listeners:
        return
    report.listeners.append(_show)

    @server.routes.get("/sagekit/report")
    async def get_report(request: web.Request) -> web.Response:
        return web.json_response({"runs": without_folders(report.runs())})

    @server.routes.get("/sagekit/status")
    async def get_status(request: web.Request) -> web.Response:
        return web.json_response(without_folders(status()))


def status() -> dict:
    """This machine, the verdict on every kernel by GPU, and what does not belong together."""
    known = proofs.PROOFS
    environment, stored = known.environment, known.stored
    return {
        "environment": environment.as_data() if environment else None,
        "verdicts": stored.as_data() if stored else {},
        "checking": known.checking,
        "remarks": list(known.remarks),
        "mismatches": [one.as_data() for one in rules.mismatches(environment)] if environment else [],
        "limits": [one.as_data() for one in rules.limits(environment)] if environment else [],
    }


def without_folders(value):
    """The JSON-ready value with every absolute path in its texts cut down to the file's name."""
    if isinstance(value, str):
        return _FOLDERS.sub("", value)
    if isinstance(value, list):
        return [without_folders(one) for one in value]
    if isinstance(value, dict):
        return {key: without_folders(one) for key, one in value.items()}
    return value


def _show(node_id: str, text: str) -> None:
    """Shows a text on a node of the workflow that runs."""
    from server import PromptServer

    PromptServer.instance.send_progress_text(without_folders(text), node_id)
