"""Prompts with KJNodes' nodes where KJNodes is not installed: ours are in them before the host reads them.

The host would replace those nodes as well, but it fails, and its answer is HTTP 500, on a node without
`_meta`, as programs write it, and on one that leaves out an input which is mapped. What it finds done it
leaves as it is.
"""

import logging
from collections.abc import Mapping

from ..host import server
from ..host.process import node_classes
from . import ids, replacements
from . import routes as web_api
from .catalogue import LOG
from .replacements import Replacement

log = logging.getLogger(__name__)

_BY_ID = {one.old: one for one in replacements.REPLACEMENTS}


def watch() -> None:
    """Has every prompt rewritten that comes, where the host replaces nodes."""
    if replacements.is_known_to_the_host():
        web_api.before_each_prompt(Rewriter().rewrite)


class Rewriter:
    """Puts our nodes in the place of those that they stand in for, and says so once for each kind."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def rewrite(self, prompt: object) -> None:
        """Rewrites a prompt; everything else in it stays as it is."""
        if not isinstance(prompt, dict):
            return
        ours = {number: self._ours(node) for number, node in prompt.items()}
        prompt.update({number: node for number, node in ours.items() if node is not None})

    def _ours(self, node: object) -> dict | None:
        """The node of ours for one of a prompt; None for a node that is not to be replaced."""
        if not isinstance(node, dict) or not isinstance(node.get("inputs"), Mapping):
            return None
        kind = node.get("class_type")
        if not isinstance(kind, str):
            return None
        one = _BY_ID.get(kind)
        if one is None or not _is_ours_to_replace(one):
            return None
        new = ids.registered_id(one.new)
        if kind not in self._told:
            self._told.add(kind)
            log.info("SageKit: %s", LOG("node-runs-in-its-place", node=kind, instead=new))
        return {**node, "class_type": new, "inputs": one.inputs_for(node["inputs"])}


def _is_ours_to_replace(one: Replacement) -> bool:
    """Not where the node is installed, nor where another pack told the host of its own before us."""
    if one.old in node_classes():
        return False
    return server.replaces_by(one.old) in (None, ids.plain_id(one.new), ids.own_id(one.new))
