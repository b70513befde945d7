"""Puts the override on a MODEL, and follows its sampling runs."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from ...host import compiled_before, running_model, wrappers
from ...host.options import OVERRIDE_KEY, of_model, own_of_model, with_innermost
from ...host.process import is_cancel
from ...host.wrappers import Forward
from . import graph
from .guard import Forward as Watched
from .override import Override
from .patch import EXACT_STEP_KEY, FORWARD_KEY, PATCH_KEY, Patch
from .settings import Settings

if TYPE_CHECKING:
    from ..session import Session

_FLOAT32_STEPS = 1e-5
# So often at most is a forward run again because kernels raise in it, each once.
MOST_REPEATS = 8


def patch_model(model: Any, settings: Settings, session: "Session") -> Any:
    """A clone of the MODEL whose attention goes by the settings; the one given stays as it was.

    A SageKit patch that is already on it is replaced. Another pack's override is kept and takes the
    calls that no kernel of ours takes.

    Args:
        model: A ModelPatcher of ComfyUI's.
        settings: What the node asks for.
        session: What all patched models share.
    """
    patched = model.clone()
    options = own_of_model(patched)
    previous = options.get(OVERRIDE_KEY)
    while previous is not None and hasattr(previous, "sagekit_previous"):
        previous = previous.sagekit_previous
    quarantine = session.quarantines.of(running_model.weights_of(model), settings.budget)
    patch = Patch(settings, session, quarantine)
    options[OVERRIDE_KEY] = patch.override = Override(patch, previous)
    options[PATCH_KEY] = patch
    wrappers.clear(patched, PATCH_KEY)
    wrappers.around_sampling(patched, PATCH_KEY, _around_sampling(patch))
    wrappers.around_forward(patched, PATCH_KEY, _around_forward(patch))
    # A guider may drive the model without what is around a sampling, as ComfyUI's own does with the second
    # of its two.
    wrappers.at_begin(patched, PATCH_KEY, _begin_if_none_is_open(patch))
    wrappers.at_end(patched, PATCH_KEY, _end_if_nobody_else_does(patch))
    return patched


def _begin_if_none_is_open(patch: Patch) -> Callable[..., Any]:
    """A callback for the begin of a sampling, which comes inside what is around it."""

    def begin(patcher: Any) -> None:
        if patch.report.open is None:
            _begin(patch, patcher)

    return begin


def _end_if_nobody_else_does(patch: Patch) -> Callable[..., Any]:
    """A callback for the end of a sampling: once for each GPU, before what is around it ends."""

    def end(patcher: Any) -> None:
        if not patch.samplings:
            patch.report.end()

    return end


def _begin(patch: Patch, patcher: Any) -> None:
    network = running_model.network_of(running_model.weights_of(patcher))
    patch.block_lists = running_model.block_lists(network)
    override = patch.override
    if override is not None and override.outside_graph is None and "torch._dynamo" in sys.modules:
        override.outside_graph = torch.compiler.disable(override.attend)
    if network is not None:
        patch.compiled_elsewhere = compiled_before.parts_without_guards(network)
    patch.guard.watches = True
    patch.report.begin(running_model.name_of(patcher))
    patch.guard.recall()


def _around_sampling(patch: Patch) -> Callable[..., Any]:
    """A wrapper around a sampling: one run of the report from here to its end, however it ends."""

    def wrapper(executor: Any, *args: Any, **kwargs: Any) -> Any:
        if of_model(wrappers.options_of_sampling(executor)).get(PATCH_KEY) is not patch:
            return executor(*args, **kwargs)
        _begin(patch, wrappers.sampled(executor))
        patch.samplings += 1
        failed = cancelled = False
        args, kwargs = wrappers.with_steps_told(args, kwargs, patch.report.step)
        try:
            return executor(*args, **kwargs)
        except BaseException as error:
            failed, cancelled = True, is_cancel(error)
            raise
        finally:
            patch.samplings -= 1
            patch.report.end(failed, cancelled)
            patch.session.times.save()

    return wrapper


def _around_forward(called: Patch) -> Callable[..., Any]:
    """A wrapper around a forward: keeps steps exact that the node excludes, and looks at what comes out.

    Every forward in which a kernel ran costs one reduction over its output, the samples of its calls' errors
    where it is quantised, and one wait for the GPU; a node with a range of steps, one wait more for sigma.
    """

    def run_patched(given: Forward) -> Any:
        if given.options.get(PATCH_KEY) is not called:
            return given(given.options)
        options = _of_the_running_model(given.model, given.options)
        patch: Patch | None = options.get(PATCH_KEY)
        if patch is None or patch.override is None:
            return given(options)
        if patch.settings.limits_steps:
            options = {**options, EXACT_STEP_KEY: _is_outside(patch.settings, given.model, given.t)}

        watched = patch.guard.begin()
        may_be_wrong = patch.compiled_elsewhere or compiled_before.wrapped_without_guards(options)
        options = {**options, FORWARD_KEY: watched}
        in_graph = {
            name: options[name] for name in (PATCH_KEY, FORWARD_KEY, EXACT_STEP_KEY) if name in options
        }
        options = with_innermost(options, PATCH_KEY, _guarded_inside) or options
        graphs, override = patch.session.graphs, patch.override
        if may_be_wrong and not override.is_absent:
            graphs.forget_wrong_ones(given.model, override.in_graph)

        def run() -> Any:
            # Models take what ControlNet made out of its lists, and write into their options.
            if override.is_absent:
                return given.go_on(_copied(given.control), {**options})
            with graph.running(override.attend, in_graph), graphs.made_with_patch():
                return given.go_on(_copied(given.control), {**options})

        return guarded(patch, watched, run)

    return wrappers.reading_forward(run_patched)


def guarded(patch: Patch, forward: Watched, run: Callable[[], Any]) -> Any:
    """The answer of a forward, of a second one with exact attention where the first may not be used."""
    out, guard = run(), patch.guard
    if forward.is_settled or not _tensors(out):
        return out
    raised = forward.spoiled
    if not raised and not (forward.routed and guard.watches):
        return out
    forward.is_settled = True
    found = guard.found()
    if not raised and guard.look(forward, _tensors(out)):
        return out
    forward.repeat()
    out = run()
    # A kernel that raises while it is tried beside the right answer raises no second time: it is dropped.
    for _ in range(MOST_REPEATS):
        if not forward.spoiled:
            break
        forward.repeat()
        out = run()
    guard.conclude(found, forward, _tensors(out), raised)
    return out


def _guarded_inside(executor: Any, *args: Any, **kwargs: Any) -> Any:
    """A wrapper around the network, the innermost: the guard where other packs' wrappers do not see it.

    One of them may keep what a step gave and answer with it later (ComfyUI's EasyCache does), to a second
    forward first of all: outside of such a wrapper that would mend nothing. Where the network as a whole is
    compiled, ``_around_forward`` looks instead.
    """
    given = (*args, *kwargs.values())
    options = next((one for one in given if isinstance(one, dict) and FORWARD_KEY in one), None)
    if options is None or torch.compiler.is_compiling():
        return executor(*args, **kwargs)

    def run() -> Any:
        return executor(*map(_copied, args), **{name: _copied(one) for name, one in kwargs.items()})

    forward = options[FORWARD_KEY]
    # Such wrappers may call the network several times in one forward (context windows).
    forward.enter()
    return guarded(options[PATCH_KEY], forward, run)


def _tensors(out: Any) -> list[torch.Tensor]:
    """What a network gave: one tensor, or several (sound beside a video)."""
    several = out if isinstance(out, (list, tuple)) else (out,)
    return [one for one in several if torch.is_tensor(one)]


def _of_the_running_model(base_model: Any, options: dict[str, Any]) -> dict[str, Any]:
    """The transformer_options with the override and the patch of the model that runs.

    ComfyUI's guider with two models hands the second one the options of the first.
    """
    own = running_model.own_options(base_model)
    if own is None:
        return options
    if own.get(PATCH_KEY) is options[PATCH_KEY]:
        return options
    others = {name: one for name, one in options.items() if name not in (OVERRIDE_KEY, PATCH_KEY)}
    return others | {name: own[name] for name in (OVERRIDE_KEY, PATCH_KEY) if name in own}


def _is_outside(settings: Settings, base_model: Any, t: torch.Tensor) -> bool:
    """Whether a step lies outside the node's range; one on a border belongs to what comes after it."""
    sigma = float(t.max())
    # sigma is float32 there.
    starts = running_model.sigma_at(base_model, settings.start_percent) * (1 + _FLOAT32_STEPS)
    ends = running_model.sigma_at(base_model, settings.end_percent) * (1 + _FLOAT32_STEPS)
    return not ends < sigma <= starts


def _copied(given: Any) -> Any:
    """A dictionary (options, ControlNet's output) with lists of its own, whose contents are shared."""
    if not isinstance(given, dict):
        return given
    return {name: list(parts) if isinstance(parts, list) else parts for name, parts in given.items()}
