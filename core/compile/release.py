"""Has torch let go of graphs whose models are gone.

torch keeps graphs with the code of the function that they were made of, and the code with its graphs: what
was compiled once stays, however few its users. For each graph it also watches dozens of classes and functions
that live as long as the process, and what watches holds all that is known of the graph.
"""

import logging
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator
from types import CodeType
from typing import Any

from .backend import Backend, Family

log = logging.getLogger(__name__)


def forget_code(codes: Iterable[CodeType]) -> None:
    """Drops all graphs of functions that nobody calls any more, and of their second halves.

    It may come at any moment, in the middle of other code: it is called when a model is collected. A second
    half is what torch makes a function of its own of, where a graph breaks.
    """
    _quietly(_forget, [code for one in codes for code in _with_second_halves(one)])


def forget_family(family: Family) -> None:
    """Drops the graphs that a family's models made of functions that others call, too.

    Not to be called while a compiled function runs: torch may be going through the graphs of one of these.
    """
    _quietly(_forget_in_shared_code, family)


def _quietly(forget: Callable[[Any], None], what: Any) -> None:
    """None of it is torch's public interface: where it is another one, graphs stay as torch keeps them."""
    if "torch._dynamo" not in sys.modules:
        return
    try:
        forget(what)
    except (AttributeError, ImportError, RuntimeError, TypeError):
        log.debug("compiled code stays in memory", exc_info=True)


def _with_second_halves(code: CodeType) -> Iterator[CodeType]:
    """The code, and what torch goes on with after each break in its graph."""
    from torch._dynamo.resume_execution import ContinueExecutionCache

    yield code
    for one in (ContinueExecutionCache.cache.get(code) or {}).values():
        yield from _with_second_halves(one)


def _forget(codes: list[CodeType]) -> None:
    from torch._dynamo.eval_frame import reset_code
    from torch._dynamo.resume_execution import ContinueExecutionCache as Halves

    guards = [entry.guard_manager for code in codes for entry in _entries(code)]
    for code in codes:
        reset_code(code)
        # Each second half knows whose it is: they would keep each other.
        (Halves.cache.get(code) or {}).clear()
        if code in Halves.generated_code_metadata:
            Halves.generated_code_metadata[code] = None
    _end_watches(guards)
    _drop_leftovers()


def _forget_in_shared_code(family: Family) -> None:
    from torch._dynamo.convert_frame import input_codes

    for code in filter(None, [known() for known in input_codes.seen]):
        entries = _entries(code)
        own = [entry for entry in entries if _family_of(entry) is family]
        if own and len(own) == len(entries):
            _forget(list(_with_second_halves(code)))
        elif own:
            _invalidate(own)


def _entries(code: CodeType) -> list[Any]:
    from torch._dynamo.eval_frame import _debug_get_cache_entry_list

    return _debug_get_cache_entry_list(code)


def _family_of(entry: Any) -> Family | None:
    backend = getattr(entry.backend, "compiler_fn", entry.backend)
    return backend.family if isinstance(backend, Backend) else None


def _invalidate(entries: list[Any]) -> None:
    """Drops these and leaves the others of the same code, as torch does where a graph's objects are gone."""
    from torch._dynamo.guards import DeletedGuardManagerWrapper

    guards = [entry.guard_manager for entry in entries]
    for one, entry in zip(guards, entries, strict=True):
        one.extra_state.invalidate(entry, DeletedGuardManagerWrapper("its model is gone"))
    _end_watches(guards)
    _drop_leftovers()


def _end_watches(guards: list[Any]) -> None:
    """Ends torch's watches over objects for the sake of graphs that are gone."""
    gone = {id(one) for one in guards}
    # A copy: others may come and go meanwhile, in this thread too.
    registry = getattr(weakref.finalize, "_registry", {})
    for watch, watched in dict(registry).items():
        of_graph = getattr(getattr(watched.func, "func", None), "__self__", None)
        if id(getattr(of_graph, "guard_manager", None)) in gone:
            registry.pop(watch, None)


def _drop_leftovers() -> None:
    """What torch keeps of compilations that are over, and with it the code of models that are gone.

    That is what it knows by heart of the last 128 or 256 things that it was asked; and from where it set its
    figures on each compilation of this thread, for messages within that compilation: all that was running
    around it, graphs that had broken there among it.
    """
    from torch._dynamo import bytecode_transformation
    from torch._dynamo.utils import get_metrics_context
    from torch.fx.experimental.symbolic_shapes import ShapeEnv

    context = get_metrics_context()
    if context.in_progress():
        return
    context._edits.clear()
    for known in (*vars(ShapeEnv).values(), *vars(bytecode_transformation).values()):
        if clear := getattr(known, "cache_clear", None):
            clear()
