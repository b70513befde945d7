"""What the nodes' schemas share."""

from comfy_api.latest import io


def advanced(make, *args, **kwargs):
    """An optional input folded away under "advanced", where the host is new enough (0.9.2) to know the word.

    Every input but the model is optional: a prompt that a program wrote for another version still runs.
    """
    try:
        return make(*args, optional=True, advanced=True, **kwargs)
    except TypeError:
        return make(*args, optional=True, **kwargs)


def node_id(node: type[io.ComfyNode]) -> str | None:
    """The node's id in the prompt that runs; None outside one."""
    return getattr(getattr(node, "hidden", None), "unique_id", None)
