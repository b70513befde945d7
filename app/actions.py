"""What a page may have done: the kernels checked again, a model measured anew. It can change nothing else."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from ..core.attention.run import Run
from ..core.session import Session
from ..machine.message import Message, said
from . import background
from .catalogue import ACTIONS


def register(routes: Any, session: Session) -> None:
    """Adds them to a server's routes, behind whatever it asks of every request."""
    from aiohttp import web

    def only_for_its_own_page(do: Callable[[str], Message]) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.Response:
            if not is_from_its_own_page(request.headers):
                return answer(ACTIONS("not-its-own-page"), 403)
            # In a thread: it writes a file that another server may hold.
            return answer(await asyncio.to_thread(do, request.match_info.get("run", "")))

        return handle

    def answer(text: Message, status: int = 200) -> web.Response:
        return web.json_response({"text": text, "said": said([text])}, status=status)

    routes.post("/sagekit/check")(only_for_its_own_page(lambda _: background.check_again(session)))
    routes.post(r"/sagekit/runs/{run:\d{1,18}}/measure")(
        only_for_its_own_page(lambda run: measure_anew(session, int(run)))
    )


def is_from_its_own_page(headers: Mapping[str, str]) -> bool:
    """Whether a request comes from a page of this server, by what no page can write itself.

    A browser says it in Sec-Fetch-Site where it trusts the connection (https, localhost), and in Origin with
    every POST. Behind a proxy that gives ComfyUI another Host only the first one tells.
    """
    if site := headers.get("Sec-Fetch-Site"):
        return site == "same-origin"
    host = headers.get("Host", "").lower()
    return bool(host) and headers.get("Origin", "").lower() in (f"http://{host}", f"https://{host}")


def measure_anew(session: Session, number: int) -> Message:
    """Has the next run of a model take the times, and the errors, of the calls that a run had."""
    run = next((one for one in list(session.runs.kept) if one.number == number), None)
    calls = measured_by(run) if run is not None else set()
    if not calls:
        return ACTIONS("nothing-to-measure")
    for gpu, call in calls:
        session.times.forget(gpu, call)
    session.times.save()
    session.kernels.proofs_changed()
    return ACTIONS("measured-anew", count=len(calls))


def measured_by(run: Run) -> set[tuple[str, str]]:
    """The classes of calls of a run that went by their times, each with its GPU."""
    return {
        (plan.call.gpu, str(plan.call)) for plan in run.counts if plan.call and plan.milliseconds is not None
    }
