"""Puts torch.compile on a MODEL, through the key and the place that ComfyUI's own node uses."""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from ...host import layers, options, running_model, wrappers
from ...host.foreign import inside_blocks, with_override_outside
from ...host.wrappers import Forward
from ...machine.message import Message
from ...machine.redaction import words_of
from ..catalogue import COMPILE
from . import caches, machine
from .compiled import Compiled, is_replaced, swapped_in
from .settings import DYNAMIC, Settings, understood
from .watch import UNCOMPILED, Watch

if TYPE_CHECKING:
    from ..session import Session
    from .models import Compilations

log = logging.getLogger(__name__)

# ComfyUI's own: its node and others take it off and put theirs on, so that the last on the wire counts.
KEY = "torch.compile"
KWARGS_KEY = "torch_compile_kwargs"

OTHER_SETTING = "other-setting"


def patch_model(model, settings: Settings, session: "Session", node_id: str | None = None):
    """A clone of the MODEL whose blocks run compiled; the one given stays as it was."""
    settings, others = understood(settings)
    patched, of_vram = _without_dynamic_vram(model, session.compilations)
    remarks = {**dict.fromkeys(others, OTHER_SETTING), **of_vram}
    wrappers.clear(patched, KEY)
    watch = Watch(node_id, session.messages)
    forward = _around_forward(settings, watch, session)
    wrappers.around_forward(patched, KEY, forward)
    # A guider of another pack may drive the model without what is around a sampling.
    wrappers.at_end(patched, KEY, watch.forget)
    wrappers.around_sampling(patched, KEY, _around_sampling(forward, watch, remarks, session))
    patched.model_options[KWARGS_KEY] = {
        "backend": settings.backend,
        "options": None,
        "mode": settings.mode,
        "fullgraph": settings.fullgraph,
        "dynamic": DYNAMIC[settings.dynamic],
    }
    return patched


def _without_dynamic_vram(model, compilations: "Compilations"):
    """A clone whose weights stay in their places while it runs, and what to say about it.

    Dynamic VRAM hands each layer its weights anew in every step, by address, which no graph can hold.
    """
    if not running_model.has_dynamic_vram(model):
        return model.clone(), {}
    weights = running_model.weights_of(model)
    try:
        known = compilations.static.get(weights)
        patched, compilations.static[weights] = running_model.without_dynamic_vram(model, known)
    except RuntimeError as error:
        why = COMPILE("dynamic-vram-stays", error=words_of(error))
        return model.clone(), {COMPILE("runs-uncompiled", why=why): UNCOMPILED}
    return patched, {COMPILE("dynamic-vram-off"): ""}


def _around_sampling(
    forward: Callable, watch: Watch, remarks: dict[Message, str], session: "Session"
) -> Callable:
    """A wrapper around a sampling run: says at its end what was compiled and what was not."""

    def wrapper(executor, *args, **kwargs):
        patcher = wrappers.sampled(executor)
        if forward not in wrappers.around_forward_of(patcher, KEY):
            return executor(*args, **kwargs)  # Another compile node further down the wire has the model.
        session.compilations.sweep()
        watch.begin()
        for remark, code in remarks.items():
            watch.note(remark, code)
        try:
            return executor(*args, **kwargs)
        finally:
            _tell(running_model.name_of(patcher), watch)

    return wrapper


def _tell(model: str, watch: Watch) -> None:
    """One log line for what was compiled, one for what is new among the notes, and both on the node."""
    summary = watch.summary()
    if watch.graphs():
        log.info("SageKit: %s: %s", model, summary)
    watch.warn(model)
    watch.end()


def _around_forward(settings: Settings, watch: Watch, session: "Session") -> Callable:
    """A wrapper around a forward: has the blocks of the model that runs compiled while it does."""

    def run_compiled(forward: Forward):
        own: Any = running_model.own_wrapper(forward.model, KEY, wrapper)
        compiled = own and session.compilations.of(forward.model, own.sagekit_settings)
        choice = _choice(compiled, forward, watch, session) if compiled else None
        if not compiled or choice is None or not choice.forwards:
            return forward(forward.options)
        blocks = COMPILE("blocks", count=len(choice.forwards))
        watch.compiles(COMPILE("whole-model") if compiled.settings.is_whole else blocks)
        # Whatever the first try does to the lists and options, the second starts from what was given.
        control, kept = _copied(forward.control), _copied(forward.options)
        try:
            with session.compile_caches.held(choice.folder), swapped_in(choice.forwards), watch.listening():
                return forward(with_override_outside(forward.options))
        except Exception as raised:
            if not machine.is_of_compiling(raised):
                raise
            fault = machine.fault_of(raised)
        if not fault.curable:
            compiled.failed[choice.circumstances] = fault.text
        # Once in a run is enough: the next step would spend as long on failing.
        watch.settle(compiled, replace(choice, forwards=[]))
        watch.note(COMPILE("runs-uncompiled", why=fault.text))
        return forward.go_on(control, kept)

    wrapper: Any = wrappers.reading_forward(run_compiled)
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


def _choice(compiled: Compiled, forward: Forward, watch: Watch, session: "Session") -> _Choice | None:
    """What of the model to run compiled this time; why not more is noted."""
    patcher = running_model.patcher_of(forward.model)
    if patcher is not None and running_model.has_dynamic_vram(patcher):
        return None
    if not compiled.settings.is_whole and (names := inside_blocks(forward.options)):
        why = COMPILE("patched-inside", patches=tuple(names))
        watch.note(COMPILE("runs-uncompiled", why=why))
        return None
    choice = watch.once(compiled, lambda: _choose(compiled, forward, watch, session))
    if choice.forwards and choice.resident != running_model.resident_bytes(forward.model):
        # ComfyUI made room in the middle of the run, for a model that another node loads.
        choice = _choose(compiled, forward, watch, session)
        watch.settle(compiled, choice)
    return choice


def _choose(compiled: Compiled, forward: Forward, watch: Watch, session: "Session") -> _Choice:
    circumstances = _circumstances(forward)
    why, modules = compiled.failed.get(circumstances), []
    if why:
        watch.note(COMPILE("runs-uncompiled", why=why))
    else:
        modules = _modules(compiled, forward.model, watch, session.compilations)
    count, folder = len(modules), None
    if compiled.settings.cache and (own := machine.cache_folder(os.environ.get(caches.VARIABLES[0]))):
        folder = str(own)
    with session.compile_caches.held(folder):
        forwards = [
            (module, watch.around(*compiled.function(module), module, number, count))
            for number, module in enumerate(modules)
        ]
    return _Choice(forwards, folder, circumstances, running_model.resident_bytes(forward.model))


def _circumstances(forward: Forward) -> tuple:
    """What a user may change that a compiler which fails may not fail without: sizes and other nodes."""
    override = forward.options.get(options.OVERRIDE_KEY)
    return (
        tuple(tuple(one.shape) if torch.is_tensor(one) else None for one in forward.inputs),
        override and (getattr(override, "__module__", ""), getattr(override, "__qualname__", "")),
        *options.names_of_others(forward.options),
        running_model.replaced_parts(forward.model),
    )


def _modules(
    compiled: Compiled, model: torch.nn.Module, watch: Watch, compilations: "Compilations"
) -> list[torch.nn.Module]:
    """The modules to compile in this run: those that are found, whole, in place and on the model's device."""
    network = running_model.network_of(model)
    found = [] if network is None else compiled.modules(network)
    if not found:
        watch.note(COMPILE("runs-uncompiled", why=COMPILE("no-blocks-found")))
        return []
    device = running_model.device_of(model)
    dtypes = {weight.dtype for module in found for weight in module.parameters()}
    if why := machine.why_not(compiled.settings, device, dtypes, compilations.toolchain):
        watch.note(COMPILE("runs-uncompiled", why=why))
        return []
    own = [module for module in found if not is_replaced(module)]
    if len(own) < len(found):
        watch.note(COMPILE("blocks-replaced", count=len(found) - len(own), blocks=len(found)))
    resident = [module for module in own if layers.is_in_place(module, device)]
    if len(resident) < len(own):
        watch.note(COMPILE("blocks-not-resident", count=len(own) - len(resident), blocks=len(found)))
    return resident


def _copied(value):
    """Dictionaries and lists of their own; what is in them is shared."""
    if isinstance(value, dict):
        return {name: _copied(one) for name, one in value.items()}
    return list(value) if isinstance(value, list) else value
