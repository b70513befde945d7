"""The compiled functions of one model, and how its blocks come to run them."""

import contextlib
import functools
import hashlib
import inspect
import re
import types
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from ...machine.message import Message
from .backend import Backend, Family
from .blocks import Kind, find_blocks, kind_of
from .settings import DYNAMIC, Settings
from .sizes import Sizes

# Graphs of one kind of block. Sizes and prompts take three; torch's own eight leave little for the rest.
RECOMPILE_LIMIT = 32
# What changes from step to step, or from block to block, under these keys of transformer_options. A UNet's
# block reads "block" and "block_index" to look for patches that are its own.
_STEPS = "sigmas|sample_sigmas|uuids|sagekit_forward|sagekit_override"
_BLOCKS = f"{_STEPS}|cond_or_uncond|block|block_index|wrappers|callbacks"

# Where the host chooses among PyTorch's kernels it calls these in the graph. They act while the graph is made
# and leave nothing in it; torch, which does not know that, would trace it anew in every process.
_MARKED = "unsafe_marked_cacheable_functions"
_KEPT_ON_DISK = ("torch.nn.attention._sdpa_kernel", "torch.nn.attention._backend_from_string")


@dataclass
class Compiled:
    """What is compiled of one model in one way.

    Attributes:
        settings: What the node asked for.
        family: The model's own.
        failed: Why compiling failed, by the circumstances in which a run that failed had begun.
        codes: Of the functions that are compiled for this model alone.
    """

    settings: Settings
    family: Family
    failed: dict[object, Message] = field(default_factory=dict)
    codes: list[types.CodeType] = field(default_factory=list)
    _functions: dict[tuple[Kind, bool], tuple[Callable, Sizes]] = field(default_factory=dict)
    # Weights change their values and places, not their shapes.
    _kinds: "weakref.WeakKeyDictionary[torch.nn.Module, Kind]" = field(
        default_factory=weakref.WeakKeyDictionary
    )

    def modules(self, network: torch.nn.Module) -> list[torch.nn.Module]:
        """What to compile of the network, as it is patched at this moment."""
        return [network] if self.settings.is_whole else find_blocks(network)

    def function(self, module: torch.nn.Module) -> tuple[Callable, Sizes]:
        """The compiled function that runs the module, which it takes first, and what it is to be given."""
        # A function of another pack inside the block may look at what the block itself only hands on.
        watched = self.settings.is_whole or any(map(is_replaced, module.modules()))
        kind = self._kinds.get(module)
        if kind is None:
            kind = self._kinds[module] = kind_of(module)
        if (kind, watched) not in self._functions:
            own = own_function(kind, self.settings, watched)
            self.codes.append(own.__code__)
            keep = keep_whole if watched else keep_block
            function = compile_function(own, self.settings, keep, Backend(self.settings.backend, self.family))
            grow = not self.settings.is_whole and DYNAMIC[self.settings.dynamic] is None
            self._functions[kind, watched] = function, Sizes(grow)
        return self._functions[kind, watched]


@contextlib.contextmanager
def swapped_in(forwards: list[tuple[torch.nn.Module, Callable]]) -> Iterator[None]:
    """Has each module run the function beside it until the block ends.

    Only the attribute ``forward`` of each is covered, so that whoever looks at the network finds its own
    modules, weights and hooks; a LoRA that changes the weights changes what the graph is given.
    """
    before = [module.__dict__.get("forward") for module, _ in forwards]
    try:
        for module, forward in forwards:
            module.__dict__["forward"] = forward
        yield
    finally:
        for (module, _), had in zip(forwards, before, strict=True):
            if had is None:
                module.__dict__.pop("forward", None)
            else:
                module.__dict__["forward"] = had


def is_replaced(module: torch.nn.Module) -> bool:
    """Whether another pack has put its own function in place of the module's forward.

    ComfyUI, taking such a function off, puts the method itself there.
    """
    forward = module.__dict__.get("forward")
    own: Any = type(module)
    return forward is not None and forward != own.forward.__get__(module)


def own_function(kind: Kind, *apart) -> Callable:
    """The class's ``forward`` with a code object of its own.

    torch keeps graphs by code object: with the class's own, all models of that class would share one list of
    graphs, one limit on its length, and keep it after they are gone. The name keeps what torch remembers of
    sizes apart as well.

    Args:
        kind: The class and the shapes of its weights.
        apart: What else one function is not to share with another.
    """
    block: Any = kind.block
    forward = block.forward
    told_apart = hashlib.sha256(repr((kind.shapes, *apart)).encode()).hexdigest()[:8]
    name = f"{kind.block.__name__}_{told_apart}"
    if not isinstance(forward, types.FunctionType):

        def forward(module, *args, **kwargs):
            return block.forward(module, *args, **kwargs)

    own = types.FunctionType(
        forward.__code__.replace(co_name=name),
        forward.__globals__,
        name,
        forward.__defaults__,
        forward.__closure__,
    )
    own.__kwdefaults__ = forward.__kwdefaults__
    return own


def compile_function(function: Callable, settings: Settings, keep: Callable, backend: Callable) -> Callable:
    """torch.compile with every option that this torch knows; ``keep`` says which guards to keep."""
    options = _inductor_options(settings)
    if _knows_guard_filter():
        # torch takes the filter out of the dictionary it is given: each function has one of its own.
        options = {**(options or {}), "guard_filter_fn": keep}
    limit: dict[str, Any] = {"recompile_limit": RECOMPILE_LIMIT} if _knows_recompile_limit() else {}
    return torch.compile(
        function,
        backend=backend,
        fullgraph=settings.fullgraph,
        dynamic=DYNAMIC[settings.dynamic],
        options=options,
        **limit,
    )


def _inductor_options(settings: Settings) -> dict | None:
    """A mode as the options it stands for: torch takes one or the other."""
    if settings.backend != "inductor":
        return None
    import torch._inductor

    # A CUDA graph replays what it recorded: attention in it would neither be counted nor guarded.
    options = {**torch._inductor.list_mode_options(settings.mode), "triton.cudagraphs": False}
    if hasattr(torch._inductor.config, _MARKED):
        options[_MARKED] = dict.fromkeys(_KEPT_ON_DISK, "as traced")
    return options


@functools.cache
def _knows_guard_filter() -> bool:
    try:
        torch.compile(lambda x: x, options={"guard_filter_fn": keep_block})
    except (RuntimeError, TypeError):  # 2.7 and older: "Unexpected optimization option guard_filter_fn"
        return False
    return True


@functools.cache
def _knows_recompile_limit() -> bool:
    return "recompile_limit" in inspect.signature(torch.compile).parameters


def _keep(entries, volatile: re.Pattern) -> list[bool]:
    return [not volatile.search(entry.name) for entry in entries]


_VOLATILE_IN_A_BLOCK = re.compile(rf"\['(?:{_BLOCKS})'\]")
_VOLATILE_IN_A_MODEL = re.compile(rf"\['(?:{_STEPS})'\]")


def keep_block(entries) -> list[bool]:
    """Which guards of a block's graph to keep: all but those on what a block only hands on.

    Where a function of another pack could look at it inside the block, the block runs uncompiled or the
    function outside the graph (see ``foreign``), or all of these guards are kept.
    """
    return _keep(entries, _VOLATILE_IN_A_BLOCK)


def keep_whole(entries) -> list[bool]:
    """As ``keep_block`` where something may look at more.

    Some whole models look at cond_or_uncond (SeedVR2, Trellis 2); in a block, what another pack put there.
    """
    return _keep(entries, _VOLATILE_IN_A_MODEL)
