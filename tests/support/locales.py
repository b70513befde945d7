"""The packs' texts as the page shows them."""

import re

LINK = re.compile(r"@:nodeDefs\.(\S+)")


def followed(value, nodes: dict):
    """The texts with every link to a text of the nodes put in its place, as the page's own library does."""
    if isinstance(value, dict):
        return {key: followed(one, nodes) for key, one in value.items()}
    return LINK.sub(lambda link: _at(link[1], nodes), value)


def _at(path: str, nodes: dict) -> str:
    for key in path.split("."):
        nodes = nodes[key]
    return nodes
