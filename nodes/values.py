"""What comes into our nodes, as the page or a program wrote it, as values that they can count on."""

import math
from collections.abc import Callable

from comfy_api.latest import io

# Of a name that is no name of ours: enough to be recognised in a sentence.
_SHOWN = 60
_NO = {"false", "no", "off", "0", ""}


def name(value: object) -> str:
    """The name that a choice holds; a program may send anything there, which no name of ours is equal to."""
    text = value if isinstance(value, str) else f"({type(value).__name__}) {value}"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} and so on"


def number(value: object, low: float, high: float, default: float) -> float:
    """A number within its range, low to high; the default for what is no number.

    The page keeps to the range, and the host to that of a value in the prompt; over a link comes anything.
    """
    try:
        found = float(value)  # type: ignore[arg-type]  # What it cannot take, it says so of.
    except (TypeError, ValueError, OverflowError):
        return float(default)
    return float(default if math.isnan(found) else min(max(found, low), high))


def yes(value: object) -> bool:
    """A yes or no; as a text it counts as what it says."""
    return value.strip().lower() not in _NO if isinstance(value, str) else bool(value)


def make_readable(prompt: object, ours: Callable[[str], type[io.ComfyNode] | None]) -> None:
    """Changes what the host would read wrongly or not at all in our nodes of a prompt in API format.

    It takes the text "false" for a yes and no text with a decimal point for a whole number, and refuses an
    infinite number, which is what JSON's readers make of 1e999: here that is the largest of its input.

    Args:
        prompt: Nodes by id, as they came in. Whatever is not such a thing stays as it is.
        ours: The node of ours that an id stands for; None where it is not ours.
    """
    for one in prompt.values() if isinstance(prompt, dict) else ():
        inputs = one.get("inputs") if isinstance(one, dict) else None
        if not isinstance(inputs, dict):
            continue
        kind = one.get("class_type")
        node = ours(kind) if isinstance(kind, str) else None
        for known in node.GET_SCHEMA().inputs if node else ():
            if known.id in inputs:
                inputs[known.id] = _readable(inputs[known.id], known)


def _readable(value: object, known: io.Input) -> object:
    """The value of one input as the host reads it rightly; a link, and what is right already, stay."""
    bare = value["__value__"] if isinstance(value, dict) and "__value__" in value else value
    # The host unwraps it and then takes a list of two for a link, to a node that is not there.
    if isinstance(known, io.Combo.Input) and bare is not value and isinstance(bare, list):
        return name(bare)
    if isinstance(known, io.Boolean.Input):
        return yes(bare) if isinstance(bare, str) else value
    if not isinstance(known, (io.Int.Input, io.Float.Input)) or not isinstance(bare, (float, str)):
        return value
    try:
        found = float(bare)
    except ValueError:
        return value
    bounded = found if math.isfinite(found) else number(found, known.min, known.max, known.default)
    return int(bounded) if isinstance(known, io.Int.Input) and bounded.is_integer() else bounded
