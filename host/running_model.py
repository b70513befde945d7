"""Whose forward it is that a wrapper of ours has been called around."""

from collections.abc import Callable


def own_wrapper(executor, key: str, called: Callable) -> Callable | None:
    """The wrapper that the running model has under the key for APPLY_MODEL, None where it has none.

    A guider with two models (DualModelGuider) runs the second with the options of the first, wrappers
    included: the one called may be another model's. A model that ComfyUI samples knows its MODEL.

    Args:
        executor: What the wrapper was given; it knows the running model.
        key: The key of the wrapper.
        called: The wrapper itself, which is right where the running model does not tell.
    """
    from comfy.patcher_extension import WrappersMP

    patcher = getattr(executor.class_obj, "current_patcher", None)
    if patcher is None:
        return called
    return next(iter(patcher.get_wrappers(WrappersMP.APPLY_MODEL, key)), None)
