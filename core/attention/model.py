"""Puts the override on a MODEL, and follows its sampling runs."""

import sys
from collections.abc import Callable

import torch

from ...host import compiled_before
from ...host.compiled_before import GRAPHS
from . import graph
from .dispatch import kernels_of_this_process
from .guard import Forward, quarantine_of
from .override import make_override
from .patch import EXACT_STEP_KEY, FORWARD_KEY, PATCH_KEY, Patch
from .routes import TIMES
from .settings import Settings

OVERRIDE_KEY = "optimized_attention_override"
_FLOAT32_STEPS = 1e-5
_BLOCK_LISTS = ("double_blocks", "single_blocks")
# WrappersMP.DIFFUSION_MODEL of comfy.patcher_extension.
_AROUND_NETWORK = "diffusion_model"


def patch_model(model, settings: Settings):
    """A clone of the MODEL whose attention goes by the settings; the one given stays as it was.

    A SageKit patch that is already on it is replaced. Another pack's override is kept and takes the
    calls that no kernel of ours takes.
    """
    from comfy.patcher_extension import CallbacksMP, WrappersMP

    patched = model.clone()
    options = patched.model_options.setdefault("transformer_options", {})
    previous = options.get(OVERRIDE_KEY)
    while hasattr(previous, "sagekit_previous"):
        previous = previous.sagekit_previous
    patch = Patch(settings, kernels_of_this_process(), quarantine_of(model.model, settings.budget))
    override = make_override(patch, previous)
    patch.attend = override.sagekit_eager
    options[OVERRIDE_KEY] = override
    options[PATCH_KEY] = patch
    for kind in (WrappersMP.OUTER_SAMPLE, WrappersMP.APPLY_MODEL):
        patched.remove_wrappers_with_key(kind, PATCH_KEY)
    for kind in (CallbacksMP.ON_PRE_RUN, CallbacksMP.ON_CLEANUP):
        patched.remove_callbacks_with_key(kind, PATCH_KEY)
    patched.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, PATCH_KEY, _around_sampling(patch))
    patched.add_wrapper_with_key(WrappersMP.APPLY_MODEL, PATCH_KEY, _around_forward(patch))
    # A guider may drive the model without OUTER_SAMPLE, as ComfyUI's own does with the second of its two.
    patched.add_callback_with_key(CallbacksMP.ON_PRE_RUN, PATCH_KEY, _begin_if_none_is_open(patch))
    patched.add_callback_with_key(CallbacksMP.ON_CLEANUP, PATCH_KEY, _end_if_nobody_else_does(patch))
    return patched


def _begin_if_none_is_open(patch: Patch) -> Callable:
    """A callback for ON_PRE_RUN, which every sampling calls, inside OUTER_SAMPLE where there is one."""

    def begin(patcher) -> None:
        if patch.report.open is None:
            _begin(patch, patcher.model)

    return begin


def _end_if_nobody_else_does(patch: Patch) -> Callable:
    """A callback for ON_CLEANUP, which comes once for each GPU and before the end of OUTER_SAMPLE."""

    def end(patcher) -> None:
        if not patch.samplings:
            patch.report.end()

    return end


def _begin(patch: Patch, model) -> None:
    diffusion_model = getattr(model, "diffusion_model", None)
    patch.block_lists = frozenset(name for name in _BLOCK_LISTS if hasattr(diffusion_model, name))
    if patch.outside_graph is None and "torch._dynamo" in sys.modules:
        patch.outside_graph = torch.compiler.disable(patch.attend)
    if diffusion_model is not None:
        patch.compiled_elsewhere = compiled_before.parts_without_guards(diffusion_model)
    patch.guard.watches = True
    patch.report.begin(type(model).__name__)
    patch.guard.recall()


def _around_sampling(patch: Patch) -> Callable:
    """A wrapper for OUTER_SAMPLE: one run of the report from here to its end, however it ends."""

    def wrapper(executor, *args, **kwargs):
        guider = executor.class_obj
        if getattr(guider, "model_options", {}).get("transformer_options", {}).get(PATCH_KEY) is not patch:
            return executor(*args, **kwargs)
        _begin(patch, guider.model_patcher.model)
        patch.samplings += 1
        failed = True
        try:
            out = executor(*args, **kwargs)
            failed = False
            return out
        finally:
            patch.samplings -= 1
            patch.report.end(failed)
            TIMES.save()

    return wrapper


def _around_forward(called: Patch) -> Callable:
    """A wrapper for APPLY_MODEL: keeps steps exact that the node excludes, and looks at what comes out.

    Every forward in which a quantised kernel ran costs one reduction over its output, the samples of its
    calls' errors, and one wait for the GPU; a node with a range of steps, one wait more for sigma.
    """

    def wrapper(
        executor, x, t, c_concat=None, c_crossattn=None, control=None, transformer_options=None, **kwargs
    ):
        given = transformer_options or {}
        if given.get(PATCH_KEY) is not called:
            return executor(x, t, c_concat, c_crossattn, control, transformer_options, **kwargs)
        given = _of_the_running_model(executor.class_obj, given)
        patch = given.get(PATCH_KEY)
        if patch is None:
            return executor(x, t, c_concat, c_crossattn, control, given, **kwargs)
        if patch.settings.limits_steps:
            given = {**given, EXACT_STEP_KEY: _is_outside(patch.settings, executor.class_obj, t)}

        forward = patch.guard.begin()
        options = {**given, FORWARD_KEY: forward}
        in_graph = {
            name: options[name] for name in (PATCH_KEY, FORWARD_KEY, EXACT_STEP_KEY) if name in options
        }
        if others := given.get("wrappers", {}).get(_AROUND_NETWORK):
            innermost = {_AROUND_NETWORK: {**others, PATCH_KEY: [_guarded_inside]}}
            options["wrappers"] = {**given["wrappers"], **innermost}
        if patch.compiled_elsewhere or compiled_before.wrapped_without_guards(given):
            GRAPHS.forget_wrong_ones(executor.class_obj, patch.in_graph)

        def run():
            # Models take what ControlNet made out of its lists, and write into their options.
            with graph.running(patch.attend, in_graph), GRAPHS.made_with_patch():
                return executor(x, t, c_concat, c_crossattn, _copied(control), {**options}, **kwargs)

        return guarded(patch, forward, run)

    return wrapper


def guarded(patch: Patch, forward: Forward, run: Callable):
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
    """A wrapper for DIFFUSION_MODEL, the innermost: the guard where other packs' wrappers do not see it.

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
    patcher = getattr(base_model, "current_patcher", None)
    if patcher is None:
        return options
    own = patcher.model_options.get("transformer_options", {})
    if own.get(PATCH_KEY) is options[PATCH_KEY]:
        return options
    others = {name: one for name, one in options.items() if name not in (OVERRIDE_KEY, PATCH_KEY)}
    return others | {name: own[name] for name in (OVERRIDE_KEY, PATCH_KEY) if name in own}


def _is_outside(settings: Settings, base_model, t: torch.Tensor) -> bool:
    """Whether a step lies outside the node's range; one on a border belongs to what comes after it."""
    sampling = base_model.model_sampling
    sigma = float(t.max())
    # sigma is float32 there.
    starts = sampling.percent_to_sigma(settings.start_percent) * (1 + _FLOAT32_STEPS)
    ends = sampling.percent_to_sigma(settings.end_percent) * (1 + _FLOAT32_STEPS)
    return not ends < sigma <= starts


def _copied(given):
    """A dictionary (options, ControlNet's output) with lists of its own, whose contents are shared."""
    if not isinstance(given, dict):
        return given
    return {name: list(parts) if isinstance(parts, list) else parts for name, parts in given.items()}
