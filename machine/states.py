"""A file of what was found in one state of this machine, on top of what was found in a few others.

A user goes back to an earlier torch, or installations with one user folder take turns: what was found then
holds again, and nobody finds it out a second time. A state has its fingerprint under ``fingerprint``.
"""

from collections.abc import Mapping
from typing import Any

_OTHERS = "others"
# Beside the one on top; the oldest go first.
KEPT = 3


def part_of(data: Mapping[str, Any], fingerprint: str) -> Mapping[str, Any]:
    """What a file has of a state; what it has on top where it does not know that one."""
    return next((one for one in _parts(data) if one.get("fingerprint") == fingerprint), data)


def on_top(part: Mapping[str, Any], data: object) -> dict[str, Any]:
    """A file's new data: the part, and the others that the file has had so far."""
    format_, own = part["format"], part["fingerprint"]
    others = [one for one in _parts(data) if one.get("format") == format_ and one.get("fingerprint") != own]
    return {**part, _OTHERS: others[:KEPT]} if others else dict(part)


def _parts(data: object) -> list[Mapping[str, Any]]:
    """The newest first."""
    if not isinstance(data, dict):
        return []
    others = data.get(_OTHERS)
    top = {name: one for name, one in data.items() if name != _OTHERS}
    return [top, *(one for one in others if isinstance(one, dict))] if isinstance(others, list) else [top]
