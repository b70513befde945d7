"""What the web side can ask for, the two things it can have done, and the three events it hears: a message,
a notice, how far the kernel check is."""

import asyncio
import functools
import io
import json
import logging
import math
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from pathlib import Path

from ..check.catalogue import refusal
from ..check.verdicts import Verdict
from ..core.attention.run import Run
from ..core.messages import Checking, Notice, Place, Shown
from ..core.session import Session
from ..doctor import rules
from ..host import server as host
from ..host.process import folders
from ..kernels.backend import Backend
from ..machine import Environment, layout, redaction
from ..machine.message import Message, said
from . import actions
from .catalogue import LOG

log = logging.getLogger(__name__)

EVENTS = {Shown: "sagekit.node", Notice: "sagekit.notice", Checking: "sagekit.check"}
SHOWN_CLASSES = 64

PACK = Path(__file__).parent.parent
# Of a mismatch: the field with what a user should do about it.
_TO_DO = "do"


def register(session: Session, taken: Callable[[], list[dict]], pages: Mapping[str, str]) -> None:
    """Adds the routes to ComfyUI's server, where one runs; a second time it changes nothing.

    Args:
        session: Whose messages, runs and verdicts are asked for.
        taken: Says which of the nodes' ids belong to other packs now.
        pages: The id under which a help page lies by the other id of the same node.
    """
    from aiohttp import web

    server, messages, proofs = host.running(), session.messages, session.proofs
    if server is None or _send in messages.listeners:
        return
    messages.listeners.append(_send)
    messages.locator = _place
    plans, report = Plans(folders()), Report(session)
    session.runs.listeners.append(report.write)

    @server.routes.get("/sagekit/report")
    async def get_report(request: web.Request) -> web.Response:
        return web.json_response(text=report.as_json())

    @server.routes.get("/sagekit/status")
    async def get_status(request: web.Request) -> web.Response:
        return web.json_response(text=as_json({**status(session), "taken": taken()}))

    @server.routes.get("/sagekit/plan")
    async def get_plan(request: web.Request) -> web.Response:
        environment = proofs.environment
        plan = await plans.of(environment, proofs.by_gpu()) if environment is not None else None
        # Made for a page already: what is cut out of a command makes another one of it.
        return web.json_response(text=json.dumps({"plan": plan}, allow_nan=False))

    @server.routes.post("/sagekit/explain")
    async def post_explain(request: web.Request) -> web.Response:
        answers = await plans.explain(await request.read(), proofs.environment, proofs.by_gpu())
        return web.json_response(text=json.dumps({"answers": answers}, allow_nan=False))

    actions.register(server.routes, session)

    async def get_help(request: web.Request) -> web.FileResponse:
        return web.FileResponse(PACK / "web" / "docs" / f"{pages[Path(request.path).stem]}.md")

    for one in pages:
        # Word for word: where there is a placeholder, the host's own route for the folder answers.
        server.routes.get(f"/extensions/{PACK.name}/docs/{one}.md")(get_help)


def when_all_packs_are_loaded(do: Callable[[], Awaitable[None]]) -> None:
    """Has something done when ComfyUI's server starts: its packs are loaded by then."""

    async def run(app) -> None:
        try:
            await do()
        except Exception:  # It must not keep the server from starting.
            log.warning(LOG("packs-not-looked-at"), exc_info=True)

    host.at_start(run)


def before_each_prompt(change: Callable[[object], None]) -> None:
    """Has something change the prompts that come in, in their place, before ComfyUI reads them."""

    def handle(body):
        try:
            if isinstance(body, dict):
                change(body.get("prompt"))
        except Exception:  # The prompt is as it came, or nearly: ComfyUI says what is wrong with it.
            log.warning(LOG("prompt-not-read"), exc_info=True)
        return body

    host.before_each_prompt(handle)


class Report:
    """The report as JSON. A run that has ended is the same for ever, so it is written once, at its end."""

    def __init__(self, session: Session) -> None:
        self._runs, self._messages = session.runs, session.messages
        self._written: dict[int, str] = {}

    def write(self, run: Run) -> None:
        """Writes a run that has ended, so that nobody waits for it later."""
        self._written[run.number] = as_json(self._runs.data_of(run))

    def as_json(self) -> str:
        """The answer to /sagekit/report."""
        ended = list(self._runs.kept)
        for run in ended:
            if run.number not in self._written:
                self.write(run)
        self._written = {run.number: self._written[run.number] for run in ended}
        rest = {"running": self._runs.under_way(), "nodes": self._messages.shown()}
        parts = [f'"runs": [{", ".join(self._written.values())}]']
        parts += [f'"{name}": {as_json(value)}' for name, value in rest.items()]
        return "{" + ", ".join(parts) + "}"


class Plans:
    """The doctor's plan for this machine, made once for each state of it."""

    def __init__(self, here: layout.Layout) -> None:
        self._layout = here
        self._lock = asyncio.Lock()
        self._made: tuple[tuple, dict] | None = None

    async def of(
        self, environment: Environment, found: Mapping[str, Mapping[str, Verdict]] | None = None
    ) -> dict:
        """The plan, with what the kernels' errors mean.

        It reads files and asks the system, so a thread makes it while the server goes on.
        """
        # Not before it is asked for: the pack's import has 0.3 s.
        from ..doctor import values
        from ..doctor.plan import failures

        found = found or {}
        state = environment, failures.errors(found)
        async with self._lock:
            if self._made is None or self._made[0] != state:
                plan = await asyncio.to_thread(
                    values.plan_data, environment, self._layout, found, private=True
                )
                self._made = state, plan
            return self._made[1]

    async def explain(
        self,
        log: bytes,
        environment: Environment | None,
        found: Mapping[str, Mapping[str, Verdict]] | None = None,
    ) -> list[dict]:
        """What a log means, which a page sent as it is in its file; a thread reads it."""
        from ..doctor import values
        from ..doctor.paste.paste import decode, read_ends

        def answers() -> list[dict]:
            text = decode(read_ends(io.BytesIO(log)))
            return values.explain_data(text, environment, self._layout, found, private=True)

        return await asyncio.to_thread(answers)


def status(session: Session) -> dict:
    """This machine, the verdict on every kernel by GPU, and what does not belong together."""
    known, kernels = session.proofs, session.kernels.backends
    environment, stored = known.environment, known.stored
    remarks = [*known.remarks, *session.times.remarks]
    mismatches = rules.mismatches(environment) if environment else []
    limits = rules.limits(environment) if environment else []
    misfits = [text for one in (*mismatches, *limits) for text in one.texts]
    check = known.checking.as_data()
    return {
        "version": environment.pack.version if environment else None,
        "environment": environment.as_data() if environment else None,
        "verdicts": stored.as_data() if stored else {},
        "kernels": {
            name: {"title": one.title, "capabilities": _served(one)} for name, one in kernels.items()
        },
        "times": times(session),
        "checking": known.checking.kernel,
        "check": check,
        "remarks": remarks,
        "mismatches": [one.as_data() for one in mismatches],
        "limits": [one.as_data() for one in limits],
        "notices": session.messages.notices(),
        "said": [*said([*_refusals(kernels.values()), *remarks, *misfits]), *check["said"]],
    }


def _served(backend: Backend) -> list[str] | None:
    """The compute capabilities that a kernel has code for, "8.9"; None where it is any."""
    served = backend.capabilities
    return None if served is None else [f"{major}.{minor}" for major, minor in sorted(served)]


def _refusals(kernels: Iterable[Backend]) -> Iterator[Message]:
    """What the verdicts say of the kernels that are refused whatever the call is."""
    for backend in kernels:
        if backend.machine:
            yield refusal(backend.machine)


def times(session: Session) -> dict[str, list[dict]]:
    """Milliseconds of the kernels and of ComfyUI's own attention, by GPU, for the classes measured last."""
    kernels = session.kernels.backends
    return {
        gpu: [
            {
                "call": call,
                "host": next((one for name, one in found.items() if name not in kernels), None),
                "kernels": {name: one for name, one in found.items() if name in kernels},
            }
            for call, found in calls.items()
        ]
        for gpu, calls in session.times.newest(SHOWN_CLASSES).items()
    }


def as_json(value) -> str:
    """JSON as a page reads it."""
    return json.dumps(for_a_page(value), allow_nan=False)


def for_a_page(value):
    """The JSON-ready value without names, secrets and folders in its texts, which are copied into issues.

    What is to be done may be a command, and stays. A number that JSON does not know, infinite or none, is
    null: a page would read nothing of the answer.
    """
    if isinstance(value, str):
        return _redacted(value)
    if isinstance(value, (list, tuple)):
        return [for_a_page(one) for one in value]
    if isinstance(value, dict):
        return {key: one if key == _TO_DO else for_a_page(one) for key, one in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


@functools.lru_cache(maxsize=4096)  # A report says the same of many calls.
def _redacted(text: str) -> str:
    return redaction.of_this_machine().redact(text)


def _send(new: Shown | Notice | Checking) -> None:
    """Sends a message, a notice or a step of the kernel check to every page that is open."""
    host.send(EVENTS[type(new)], for_a_page(new.as_data()))


def _place(node_id: str) -> Place:
    """The type of a node, and the workflow that the prompt which runs was made from."""
    for prompt, extra in host.running_prompts():
        if node_id in prompt:
            return Place(str(prompt[node_id].get("class_type", "")), _workflow_id(extra))
    return Place()


def _workflow_id(extra: object) -> str | None:
    """The id in what a page sends with its prompt; a program may send anything."""
    for key in ("extra_pnginfo", "workflow", "id"):
        extra = extra.get(key) if isinstance(extra, dict) else None
    return extra if isinstance(extra, str) and extra else None
