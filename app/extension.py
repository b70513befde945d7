"""What ComfyUI loads from this pack: the nodes, and what begins beside them."""

import functools

from comfy_api.latest import ComfyExtension, io

from ..core import session
from ..core.session import Session
from ..nodes import NODES, values
from . import background, ids, prompts, replacements, routes


class SageKitExtension(ComfyExtension):
    """What ComfyUI loads from this pack."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        # Here rather than in on_load, which hosts before 0.13 never call.
        here = session.of_this_process()
        pages = {ids.own_id(node): ids.plain_id(node) for node in NODES}
        routes.register(here, lambda: ids.taken(NODES), pages)
        routes.when_all_packs_are_loaded(functools.partial(_look_at_ids, here))
        prompts.watch()
        routes.before_each_prompt(_make_readable)
        background.start(here)
        return ids.under_both_ids(NODES)


def _make_readable(prompt: object) -> None:
    values.make_readable(prompt, functools.partial(ids.ours, NODES))


async def _look_at_ids(here: Session) -> None:
    """A pack that is loaded after this one may take an id."""
    ids.tell(NODES, here.messages)
    await replacements.register()
