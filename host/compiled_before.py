"""Graphs that a compile node of another pack made of a model while it was patched otherwise.

ComfyUI's and KJNodes' nodes drop torch's guards on transformer_options, so that a graph traced without our
node would go on running when the model has one, and one with our operator when the node is gone. One guard
no node drops: that on torch's own state in the thread. So a patched forward runs in a state of its own,
without the cache of what autocast casts, which nothing computed without gradients ever uses. Where torch is
too old to look at that, wrong graphs are forgotten before they run.
"""

import contextlib
import functools
import sys
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import torch

from .closure import held_by
from .sizes_seen import SizesSeen

# The key of APPLY_MODEL's wrappers under which ComfyUI and KJNodes compile, and our own node with wrappers
# that carry their settings.
_KEY = "torch.compile"
_OURS = "sagekit_settings"


class Graphs:
    """Tells graphs that were made while a patched model ran from all others; safe among threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = 0
        self._at_start = 0
        self._with_patch = 0
        self._sizes = SizesSeen()
        # By model: how many had been made without a patch when its own were last known to be right, and
        # whether it may have some with our operator in them.
        self._right: weakref.WeakKeyDictionary[torch.nn.Module, tuple[int, bool]] = (
            weakref.WeakKeyDictionary()
        )

    @contextlib.contextmanager
    def made_with_patch(self) -> Iterator[None]:
        """What is compiled in this thread until the block ends knows of the patch, and runs nowhere else."""
        with self._lock:
            if not self._running:
                self._at_start = _count()
                self._sizes.take_own()
            self._running += 1
        before = torch.is_autocast_cache_enabled()
        torch.set_autocast_cache_enabled(False)
        try:
            yield
        finally:
            torch.set_autocast_cache_enabled(before)
            with self._lock:
                self._running -= 1
                if not self._running:
                    self._with_patch += _count() - self._at_start
                    self._sizes.give_back()

    def forget_wrong_ones(self, base_model: torch.nn.Module, in_graph: bool) -> bool:
        """Has torch forget its graphs where one of this model's may be wrong for it now; whether it did.

        All of them, since torch does not tell whose they are. Graphs that our own compile node made have
        guards of their own and are never wrong, but go too; their code is on disk.

        Args:
            base_model: A model that another pack compiles.
            in_graph: Whether the patch that it has now runs as our operator inside a graph; elsewhere a graph
                ends before the attention, and is right with any patch.
        """
        with self._lock:
            without = (self._at_start if self._running else _count()) - self._with_patch
            before, operators = self._right.get(base_model, (0, False))
            unseen = without != before and not are_told_apart()
            wrong = _count() > 0 and (unseen or (operators and not in_graph))
            self._right[base_model] = (without, in_graph or (operators and not wrong))
        if wrong:
            sys.modules["torch._dynamo"].reset()
        return wrong


@functools.cache
def are_told_apart() -> bool:
    """Whether this torch runs no graph in another state of autocast's cache than it was made in."""
    before = torch.is_autocast_cache_enabled()
    try:
        made = torch._C._dynamo.guards.GlobalStateGuard()
        torch.set_autocast_cache_enabled(not before)
        return not made.check()
    except (AttributeError, TypeError):
        return False
    finally:
        torch.set_autocast_cache_enabled(before)


def parts_without_guards(network: torch.nn.Module) -> bool:
    """Whether another pack has put compiled modules into a network that may go on running wrong graphs."""
    return any(map(_may_drop_guards, network.modules()))


def wrapped_without_guards(options: dict[str, Any]) -> bool:
    """Whether a compile node of another pack is on the model whose graphs may go on running wrongly.

    Args:
        options: The model's transformer_options.
    """
    wrappers = options.get("wrappers", {}).get("apply_model", {}).get(_KEY, ())
    for wrapper in wrappers:
        if hasattr(wrapper, _OURS):
            continue
        compiled = list(_compiled_by(wrapper))
        if not compiled or any(map(_may_drop_guards, compiled)):
            return True
    return False


def _compiled_by(wrapper: Any) -> Iterator[torch.nn.Module]:
    """The compiled modules that the host's wrapper swaps in: the values of a dictionary in its closure."""
    for value in held_by(wrapper):
        if isinstance(value, dict):
            yield from value.values()


def _may_drop_guards(module: torch.nn.Module) -> bool:
    """Whether a module is compiled, and not known to keep all of torch's guards.

    torch takes the filter out of the options that it is given, so that of several modules that share them
    only the first one drops guards.
    """
    if not hasattr(module, "dynamo_ctx"):
        return getattr(module, "_compiled_call_impl", None) is not None or hasattr(
            module.__dict__.get("forward"), "_torchdynamo_orig_callable"
        )
    hooks = getattr(getattr(module.dynamo_ctx, "callback", None), "hooks", None)
    return hooks is None or getattr(hooks, "guard_filter_fn", None) is not None


def _count() -> int:
    dynamo = sys.modules.get("torch._dynamo")
    return dynamo.utils.counters["stats"]["unique_graphs"] if dynamo is not None else 0
