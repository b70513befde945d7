"""ComfyUI's server: its routes, the prompts that come and run, and what it sends to the pages."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any


def running() -> Any | None:
    """The server; None where ComfyUI runs without one."""
    from server import PromptServer

    return getattr(PromptServer, "instance", None)


def at_start(do: Callable[[Any], Awaitable[None]]) -> None:
    """Has something done when the server starts, by when all packs are loaded; not where there is none."""
    if (server := running()) is not None:
        server.app.on_startup.append(do)


def before_each_prompt(change: Callable[[Any], Any]) -> None:
    """Has a function given the body of every prompt that comes, for the body to be read in its place."""
    if (server := running()) is not None:
        server.add_on_prompt_handler(change)


def send(event: str, data: Any) -> None:
    """Sends an event to every page that is open."""
    if (server := running()) is not None:
        server.send_sync(event, data)


def running_prompts() -> Iterator[tuple[dict[str, Any], Any]]:
    """The prompts that run, each with what the page sent beside it."""
    if (server := running()) is not None:
        for one in list(server.prompt_queue.currently_running.values()):
            yield one[2], one[3]


def is_busy() -> bool:
    """Whether prompts run or wait."""
    server = running()
    return server is not None and server.prompt_queue.get_tasks_remaining() > 0


def replaces_by(old_id: str) -> str | None:
    """The id of the node that the host puts in the place of another; None where it knows none."""
    server = running()
    told = server.node_replace_manager.get_replacement(old_id) if server is not None else None
    return str(told[0].new_node_id) if told else None
