"""Puts torch.compile on a MODEL, through the key and the place that ComfyUI's own node uses."""

import contextlib
import logging
import os
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch

from ...host.running_model import own_wrapper
from ..switch import Switch
from . import machine
from .compiled import Compiled, compiled_of, is_replaced, swapped_in
from .foreign import OVERRIDE_KEY, inside_blocks, with_override_outside
from .settings import DYNAMIC, Settings, understood
from .watch import UNCOMPILED, Watch

log = logging.getLogger(__name__)

# ComfyUI's own: its node and others take it off and put theirs on, so that the last on the wire counts.
KEY = "torch.compile"
KWARGS_KEY = "torch_compile_kwargs"
_CACHE_VARIABLES = ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")

OTHER_SETTING = "other-setting"
DYNAMIC_VRAM_OFF = "dynamic VRAM is off for this model: compiled blocks need their weights in place"

_said: set[str] = set()
# The model that ComfyUI loads without dynamic VRAM for one that has it, so that it is loaded once.
_static: "weakref.WeakKeyDictionary[torch.nn.Module, tuple]" = weakref.WeakKeyDictionary()


def patch_model(model, settings: Settings, node_id: str | None = None):
    """A clone of the MODEL whose blocks run compiled; the one given stays as it was."""
    from comfy.patcher_extension import CallbacksMP, WrappersMP

    settings, others = understood(settings)
    patched, of_vram = _without_dynamic_vram(model)
    remarks = {**dict.fromkeys(others, OTHER_SETTING), **of_vram}
    for kind in (WrappersMP.OUTER_SAMPLE, WrappersMP.APPLY_MODEL):
        patched.remove_wrappers_with_key(kind, KEY)
    watch = Watch(node_id)
    forward = _around_forward(settings, watch)
    patched.add_wrapper_with_key(WrappersMP.APPLY_MODEL, KEY, forward)
    # A guider of another pack may drive the model without OUTER_SAMPLE; its run ends with the clean-up.
    patched.remove_callbacks_with_key(CallbacksMP.ON_CLEANUP, KEY)
    patched.add_callback_with_key(CallbacksMP.ON_CLEANUP, KEY, watch.forget)
    patched.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, KEY, _around_sampling(forward, watch, remarks))
    patched.model_options[KWARGS_KEY] = {
        "backend": settings.backend,
        "options": None,
        "mode": settings.mode,
        "fullgraph": settings.fullgraph,
        "dynamic": DYNAMIC[settings.dynamic],
    }
    return patched


def _without_dynamic_vram(model):
    """A clone whose weights stay in their places while it runs, and what to say about it.

    Dynamic VRAM hands each layer its weights anew in every step, by address, which no graph can hold.
    """
    if not getattr(model, "is_dynamic", lambda: False)():
        return model.clone(), {}
    try:
        patched = model.clone(disable_dynamic=True, model_override=_static.get(model.model))
    except RuntimeError as error:
        why = f"runs uncompiled: dynamic VRAM cannot be switched off for it ({error})"
        return model.clone(), {why: UNCOMPILED}
    _static[model.model] = patched.get_clone_model_override()
    return patched, {DYNAMIC_VRAM_OFF: ""}


def _around_sampling(forward: Callable, watch: Watch, remarks: dict[str, str]) -> Callable:
    """A wrapper for OUTER_SAMPLE: says at the end of a run what was compiled and what was not."""
    from comfy.patcher_extension import WrappersMP

    def wrapper(executor, *args, **kwargs):
        guider = executor.class_obj
        if forward not in guider.model_patcher.get_wrappers(WrappersMP.APPLY_MODEL, KEY):
            return executor(*args, **kwargs)  # Another compile node further down the wire has the model.
        watch.begin()
        for remark, code in remarks.items():
            watch.note(remark, code)
        try:
            return executor(*args, **kwargs)
        finally:
            _tell(type(guider.model_patcher.model).__name__, watch)

    return wrapper


def _tell(model: str, watch: Watch) -> None:
    """One log line for what was compiled, one for what is new among the notes, and both on the node."""
    summary = watch.summary()
    if watch.graphs():
        log.info("SageKit: %s: %s", model, summary)
    new = [note for note in watch.notes if note not in _said]
    if new:
        _said.update(new)
        log.warning("SageKit: %s: %s", model, ". ".join(new))
    watch.end()


def _around_forward(settings: Settings, watch: Watch) -> Callable:
    """A wrapper for APPLY_MODEL: has the blocks of the model that runs compiled while it does."""

    def wrapper(
        executor, x, t, c_concat=None, c_crossattn=None, control=None, transformer_options=None, **kwargs
    ):
        given = transformer_options or {}

        def run(options: dict):
            return executor(x, t, c_concat, c_crossattn, control, options, **kwargs)

        own = own_wrapper(executor, KEY, wrapper)
        compiled = own and compiled_of(executor.class_obj, own.sagekit_settings)
        choice = _choice(compiled, executor.class_obj, given, (x, c_crossattn), watch) if compiled else None
        if choice is None or not choice.forwards:
            return run(given)
        watch.compiles("the model" if compiled.settings.is_whole else f"{len(choice.forwards)} blocks")
        # Whatever the first try does to the lists and options, the second starts from what was given.
        kept = _copied(given), _copied(control)
        try:
            with _held(choice.folder), swapped_in(choice.forwards), watch.listening():
                return run(with_override_outside(given))
        except Exception as raised:
            if not machine.is_of_compiling(raised):
                raise
            fault = machine.fault_of(raised)
        if not fault.curable:
            compiled.failed[choice.circumstances] = fault.text
        # Once in a run is enough: the next step would spend as long on failing.
        watch.settle(compiled, replace(choice, forwards=[]))
        watch.note(f"runs uncompiled: {fault.text}")
        given, control = kept
        return run(given)

    wrapper.sagekit_settings = settings
    return wrapper


@dataclass(frozen=True)
class _Choice:
    """What of a model runs compiled in one sampling run.

    Attributes:
        forwards: Each module and the function that runs for it.
        folder: Where compiled code is kept; None for torch's own place.
        circumstances: What the run began with that another run may begin without.
        resident: How much of the model was on its device.
    """

    forwards: list[tuple[torch.nn.Module, Callable]]
    folder: str | None
    circumstances: tuple
    resident: int | None


def _choice(compiled: Compiled, base_model, options: dict, inputs: tuple, watch: Watch) -> _Choice | None:
    """What of the model to run compiled this time; why not more is noted."""
    patcher = base_model.current_patcher
    if patcher is not None and getattr(patcher, "is_dynamic", lambda: False)():
        return None
    if not compiled.settings.is_whole and (names := inside_blocks(options)):
        watch.note(
            f"runs uncompiled: another node runs {', '.join(names)} inside the blocks, which a graph would "
            "go on running as it saw them first"
        )
        return None
    choice = watch.once(compiled, lambda: _choose(compiled, base_model, options, inputs, watch))
    if choice.forwards and choice.resident != _resident(base_model):
        # ComfyUI made room in the middle of the run, for a model that another node loads.
        choice = _choose(compiled, base_model, options, inputs, watch)
        watch.settle(compiled, choice)
    return choice


def _choose(compiled: Compiled, base_model, options: dict, inputs: tuple, watch: Watch) -> _Choice:
    circumstances = _circumstances(base_model.current_patcher, options, inputs)
    why, modules = compiled.failed.get(circumstances, ""), []
    if why:
        watch.note(f"runs uncompiled: {why}")
    else:
        modules = _modules(compiled, base_model, watch)
    count, folder = len(modules), None
    if compiled.settings.cache and (own := machine.cache_folder(os.environ.get(_CACHE_VARIABLES[0]))):
        folder = str(own)
    with _held(folder):
        forwards = [
            (module, watch.around(*compiled.function(module), module, number, count))
            for number, module in enumerate(modules)
        ]
    return _Choice(forwards, folder, circumstances, _resident(base_model))


def _circumstances(patcher, options: dict, inputs: tuple) -> tuple:
    """What a user may change that a compiler which fails may not fail without: sizes and other nodes."""
    override = options.get(OVERRIDE_KEY)
    wrappers = options.get("wrappers", {})
    return (
        tuple(tuple(one.shape) if torch.is_tensor(one) else None for one in inputs),
        override and (getattr(override, "__module__", ""), getattr(override, "__qualname__", "")),
        tuple(sorted((kind, str(name)) for kind, by_name in wrappers.items() for name in by_name)),
        *(tuple(sorted(options.get(name, {}))) for name in ("patches", "patches_replace")),
        tuple(sorted(getattr(patcher, "object_patches", ()))),
    )


def _resident(base_model) -> int | None:
    """Bytes of the model that ComfyUI has put on its device."""
    return getattr(base_model, "model_loaded_weight_memory", None)


def _modules(compiled: Compiled, base_model, watch: Watch) -> list[torch.nn.Module]:
    """The modules to compile in this run: those that are found, whole, in place and on the model's device."""
    patcher = base_model.current_patcher
    found = compiled.modules(base_model)
    if not found:
        watch.note("runs uncompiled: no blocks found in this model; try compile: whole model")
        return []
    device = patcher.load_device if patcher is not None else next(base_model.parameters()).device
    dtypes = {weight.dtype for module in found for weight in module.parameters()}
    if why := machine.why_not(compiled.settings, device, dtypes):
        watch.note(f"runs uncompiled: {why}")
        return []
    own = [module for module in found if not is_replaced(module)]
    if len(own) < len(found):
        watch.note(
            f"{len(found) - len(own)} of {len(found)} blocks run uncompiled: another node replaced them"
        )
    resident = [module for module in own if _is_in_place(module, device)]
    if len(resident) < len(own):
        watch.note(
            f"{len(own) - len(resident)} of {len(found)} blocks run uncompiled: their weights do not fit on "
            "the GPU and are brought in for each step"
        )
    return resident


def _is_in_place(module: torch.nn.Module, device: torch.device) -> bool:
    """Whether no weight of the module has to be fetched or patched while it runs."""
    for part in module.modules():
        if getattr(part, "weight_function", None) or getattr(part, "bias_function", None):
            return False
    return all(weight.device.type == device.type for weight in module.parameters())


@contextlib.contextmanager
def _held(folder: str | None) -> Iterator[None]:
    """torch's cache folders as they are to be, for as long as a forward runs.

    torch names them in the environment itself where nobody has; that is undone as well.
    """
    named, of_triton = _read_cache()
    with _CACHE.held((folder or named, of_triton)):
        yield


def _read_cache() -> tuple:
    return tuple(os.environ.get(name) for name in _CACHE_VARIABLES)


def _write_cache(values: tuple) -> None:
    for name, value in zip(_CACHE_VARIABLES, values, strict=True):
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


_CACHE = Switch(_read_cache, _write_cache)


def _copied(value):
    """Dictionaries and lists of their own; what is in them is shared."""
    if isinstance(value, dict):
        return {name: _copied(one) for name, one in value.items()}
    return list(value) if isinstance(value, list) else value
