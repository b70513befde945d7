"""What the web side can ask for, read-only, and the one message it hears: a text for a node."""

import asyncio
import re
from pathlib import Path

from .kernels_check import rules
from .kernels_check.environment import Environment
from .patches.attention import proofs, report

# Absolute paths in the words of an error tell a network who the user is: the file's name is enough.
# The address of a web page or of a wheel is no folder, and a command is of no use without it.
_FOLDERS = re.compile(
    r"(?P<address>https?://[^\s\"'<>]+)"
    r"|(?:[A-Za-z]:[\\/]|[\\/])(?:[^\\/:*?\"'<>|\s,;()][^\\/:*?\"'<>|\r\n,;()]*[\\/])+"
)


def register() -> None:
    """Adds the routes to ComfyUI's server, where one runs; a second time it changes nothing."""
    import server as host
    from aiohttp import web
    from server import PromptServer

    server = getattr(PromptServer, "instance", None)
    if server is None or _show in report.listeners:
        return
    report.listeners.append(_show)
    plans = Plans(Path(host.__file__).parent)

    @server.routes.get("/sagekit/report")
    async def get_report(request: web.Request) -> web.Response:
        return web.json_response({"runs": without_folders(report.runs())})

    @server.routes.get("/sagekit/status")
    async def get_status(request: web.Request) -> web.Response:
        return web.json_response(without_folders(status()))

    @server.routes.get("/sagekit/plan")
    async def get_plan(request: web.Request) -> web.Response:
        environment = proofs.PROOFS.environment
        plan = await plans.of(environment) if environment is not None else None
        return web.json_response({"plan": without_folders(plan)})


class Plans:
    """The doctor's plan for this machine, made once for each state of it."""

    def __init__(self, comfyui: Path) -> None:
        self._comfyui = comfyui
        self._lock = asyncio.Lock()
        self._made: tuple[Environment, dict] | None = None

    async def of(self, environment: Environment) -> dict:
        """The plan; it reads files and asks the system, so a thread makes it while the server goes on."""
        # Not before it is asked for: the pack's import has 0.3 s.
        from .kernels_check import doctor

        async with self._lock:
            if self._made is None or self._made[0] != environment:
                plan = await asyncio.to_thread(doctor.plan_data, environment, self._comfyui, private=True)
                self._made = environment, plan
            return self._made[1]


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
        return _FOLDERS.sub(lambda found: found["address"] or "", value)
    if isinstance(value, list):
        return [without_folders(one) for one in value]
    if isinstance(value, dict):
        return {key: without_folders(one) for key, one in value.items()}
    return value


def _show(node_id: str, text: str) -> None:
    """Shows a text on a node of the workflow that runs."""
    from server import PromptServer

    PromptServer.instance.send_progress_text(without_folders(text), node_id)
