"""Puts the override on a MODEL, and follows its sampling runs."""

import sys
from collections.abc import Callable

import torch

from ...host import compiled_before, running_model, wrappers
from ...host.compiled_before import GRAPHS
from ...host.options import OVERRIDE_KEY, of_model, own_of_model, with_innermost
from ...host.process import is_cancel
from ...host.wrappers import Forward
from . import graph
from .dispatch import kernels_of_this_process
from .guard import Forward as Watched
from .guard import quarantine_of
from .override import make_override
from .patch import EXACT_STEP_KEY, FORWARD_KEY, PATCH_KEY, Patch
from .routes import TIMES
from .settings import Settings

_FLOAT32_STEPS = 1e-5


def patch_model(model, settings: Settings):
    """A clone of the MODEL whose attention goes by the settings; the one given stays as it was.

    A SageKit patch that is already on it is replaced. Another pack's override is kept and takes the
    calls that no kernel of ours takes.
    """
    patched = model.clone()
    options = own_of_model(patched)
    previous = options.get(OVERRIDE_KEY)
    while hasattr(previous, "sagekit_previous"):
        previous = previous.sagekit_previous
    patch = Patch(
        settings, kernels_of_this_process(), quarantine_of(running_model.weights_of(model), settings.budget)
    )
    override = make_override(patch, previous)
    patch.attend = override.sagekit_eager
    options[OVERRIDE_KEY] = override
    options[PATCH_KEY] = patch
    wrappers.clear(patched, PATCH_KEY)
    wrappers.around_sampling(patched, PATCH_KEY, _around_sampling(patch))
    wrappers.around_forward(patched, PATCH_KEY, _around_forward(patch))
    # A guider may drive the model without what is around a sampling, as ComfyUI's own does with the second
    # of its two.
    wrappers.at_begin(patched, PATCH_KEY, _begin_if_none_is_open(patch))
    wrappers.at_end(patched, PATCH_KEY, _end_if_nobody_else_does(patch))
    return patched


def _begin_if_none_is_open(patch: Patch) -> Callable:
    """A callback for the begin of a sampling, which comes inside what is around it."""

    def begin(patcher) -> None:
        if patch.report.open is None:
            _begin(patch, patcher)

    return begin


def _end_if_nobody_else_does(patch: Patch) -> Callable:
    """A callback for the end of a sampling: once for each GPU, before what is around it ends."""

    def end(patcher) -> None:
        if not patch.samplings:
            patch.report.end()

    return end


def _begin(patch: Patch, patcher) -> None:
    network = running_model.network_of(running_model.weights_of(patcher))
    patch.block_lists = running_model.block_lists(network)
    if patch.outside_graph is None and "torch._dynamo" in sys.modules:
        patch.outside_graph = torch.compiler.disable(patch.attend)
    if network is not None:
        patch.compiled_elsewhere = compiled_before.parts_without_guards(network)
    patch.guard.watches = True
    patch.report.begin(running_model.name_of(patcher))
    patch.guard.recall()


def _around_sampling(patch: Patch) -> Callable:
    """A wrapper around a sampling: one run of the report from here to its end, however it ends."""

    def wrapper(executor, *args, **kwargs):
        if of_model(wrappers.options_of_sampling(executor)).get(PATCH_KEY) is not patch:
            return executor(*args, **kwargs)
        _begin(patch, wrappers.sampled(executor))
        patch.samplings += 1
        failed = cancelled = False
        try:
            return executor(*args, **kwargs)
        except BaseException as error:
            failed, cancelled = True, is_cancel(error)
            raise
        finally:
            patch.samplings -= 1
            patch.report.end(failed, cancelled)
            TIMES.save()

    return wrapper


def _around_forward(called: Patch) -> Callable:
    """A wrapper around a forward: keeps steps exact that the node excludes, and looks at what comes out.

    Every forward in which a quantised kernel ran costs one reduction over its output, the samples of its
    calls' errors, and one wait for the GPU; a node with a range of steps, one wait more for sigma.
    """

    def run_patched(given: Forward):
        if given.options.get(PATCH_KEY) is not called:
            return given(given.options)
        options = _of_the_running_model(given.model, given.options)
        patch = options.get(PATCH_KEY)
        if patch is None:
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
        if may_be_wrong:
            GRAPHS.forget_wrong_ones(given.model, patch.in_graph)

        def run():
            # Models take what ControlNet made out of its lists, and write into their options.
            with graph.running(patch.attend, in_graph), GRAPHS.made_with_patch():
                return given.go_on(_copied(given.control), {**options})

        return guarded(patch, watched, run)

    return wrappers.reading_forward(run_patched)


def guarded(patch: Patch, forward: Watched, run: Callable):
    """The answer of a forward, of a second one with exact attention where the first may not be used."""
    out = run()
    if not (forward.quantised and patch.guard.watches) or forward.is_settled or not _tensors(out):
        return out
    forward.is_settled = True
    found = patch.guard.found()
    if patch.guard.look(forward, _tensors(out)):
        return out
    forward.repeat()
    out = run()
    patch.guard.conclude(found, forward, _tensors(out))
    return out


def _guarded_inside(executor, *args, **kwargs):
    """A wrapper around the network, the innermost: the guard where other packs' wrappers do not see it.

    One of them may keep what a step gave and answer with it later (ComfyUI's EasyCache does), to a second
    forward first of all: outside of such a wrapper that would mend nothing. Where the network as a whole is
    compiled, ``_around_forward`` looks instead.
    """
    given = (*args, *kwargs.values())
    options = next((one for one in given if isinstance(one, dict) and FORWARD_KEY in one), None)
    if options is None or torch.compiler.is_compiling():
        return executor(*args, **kwargs)

    def run():
        return executor(*map(_copied, args), **{name: _copied(one) for name, one in kwargs.items()})

    forward = options[FORWARD_KEY]
    # Such wrappers may call the network several times in one forward (context windows).
    forward.enter()
    return guarded(options[PATCH_KEY], forward, run)


def _tensors(out) -> list[torch.Tensor]:
    """What a network gave: one tensor, or several (sound beside a video)."""
    several = out if isinstance(out, (list, tuple)) else (out,)
    return [one for one in several if torch.is_tensor(one)]


def _of_the_running_model(base_model, options: dict) -> dict:
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


def _is_outside(settings: Settings, base_model, t: torch.Tensor) -> bool:
    """Whether a step lies outside the node's range; one on a border belongs to what comes after it."""
    sigma = float(t.max())
    # sigma is float32 there.
    starts = running_model.sigma_at(base_model, settings.start_percent) * (1 + _FLOAT32_STEPS)
    ends = running_model.sigma_at(base_model, settings.end_percent) * (1 + _FLOAT32_STEPS)
    return not ends < sigma <= starts


def _copied(given):
    """A dictionary (options, ControlNet's output) with lists of its own, whose contents are shared."""
    if not isinstance(given, dict):
        return given
    return {name: list(parts) if isinstance(parts, list) else parts for name, parts in given.items()}
