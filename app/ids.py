"""Under which ids the nodes are there: a plain one, which another pack may have, and one that is ours alone.

ComfyUI keeps one class for each id, that of the folder it loaded last, and says nothing of the others. So
the plain id is taken only where nobody has it, and each node is there under a second id as well.
"""

import logging
from collections.abc import Iterable
from typing import Any

from comfy_api.latest import io

from ..core.messages import Messages
from ..host.process import node_classes
from .catalogue import NOTICES

log = logging.getLogger(__name__)

PREFIX = "SageKit"
KIND = "ids-taken"


def plain_id(node: type[io.ComfyNode]) -> str:
    """The id that a node asks for."""
    return node.define_schema().node_id


def own_id(node: type[io.ComfyNode]) -> str:
    """The id under which a node is there whatever other packs are."""
    return PREFIX + plain_id(node)


def registered_id(node: type[io.ComfyNode]) -> str:
    """The id under which ComfyUI finds a node now."""
    return own_id(node) if _taken_by(node) else plain_id(node)


def under_both_ids(nodes: Iterable[type[io.ComfyNode]]) -> list[type[io.ComfyNode]]:
    """The classes to register: those whose id is free, and each once more under its own id."""
    nodes = list(nodes)
    return [*(node for node in nodes if not _taken_by(node)), *map(_under_own_id, nodes)]


def taken(nodes: Iterable[type[io.ComfyNode]]) -> list[dict[str, str]]:
    """What of the nodes' plain ids belongs to others now: id, whose it is, and the id to use instead."""
    found = ((node, _taken_by(node)) for node in nodes)
    return [{"id": plain_id(node), "by": by, "instead": own_id(node)} for node, by in found if by]


def ours(nodes: Iterable[type[io.ComfyNode]], node_id: str) -> type[io.ComfyNode] | None:
    """The class of ours that ComfyUI finds under an id now; None where that is nobody's or another's."""
    found = node_classes().get(node_id)
    return found if isinstance(found, type) and issubclass(found, tuple(nodes)) else None


def tell(nodes: Iterable[type[io.ComfyNode]], messages: Messages) -> None:
    """Says once in the log and on the page which ids belong to others, and what to do."""
    for one in taken(nodes):
        text = NOTICES("ids-taken", id=one["id"], by=one["by"], instead=one["instead"])
        log.warning("SageKit: %s", text)
        messages.notice(KIND, text)


def _under_own_id(node: type[io.ComfyNode]) -> type[io.ComfyNode]:
    """The same node under its own id: not in the search as long as the plain id is there for it."""

    def define_schema(cls) -> io.Schema:
        schema = node.define_schema()
        schema.node_id = own_id(node)
        schema.display_name = f"{schema.display_name} ({PREFIX})"
        # The one thing that every host's page leaves out of its search; it asks anew at each of its starts.
        schema.is_deprecated = not _taken_by(node)
        return schema

    own: dict[str, Any] = {
        "__module__": node.__module__,
        "__doc__": node.__doc__,
        "define_schema": classmethod(define_schema),
    }
    return type(PREFIX + node.__name__, (node,), own)


def _taken_by(node: type[io.ComfyNode]) -> str:
    """The name of the pack that has the node's plain id; "" where it is free or ours."""
    holder = node_classes().get(plain_id(node))
    if holder is None or holder is node:
        return ""
    module = getattr(holder, "RELATIVE_PYTHON_MODULE", None) or holder.__module__
    return module.removeprefix("custom_nodes.")
