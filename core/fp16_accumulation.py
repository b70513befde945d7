"""torch's FP16 accumulation, switched for the forwards of one model and for nothing else."""

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch

from ..host import layers, options, process, running_model, wrappers
from ..machine.message import Message
from .attention.settings import AUTO
from .catalogue import FP16
from .messages import Messages, Remark
from .switch import Switch

if TYPE_CHECKING:
    from .session import Session

KEY = "sagekit_fp16_accumulation"
_FLAG = "allow_fp16_accumulation"
KNOWN_BAD = FP16("fp16-known-bad")
# Of the weights of a model's linear layers: what is left then takes no time to speak of.
NEARLY_ALL = 0.9


def _read() -> bool:
    return getattr(torch.backends.cuda.matmul, _FLAG)


def _write(wanted: bool) -> None:
    setattr(torch.backends.cuda.matmul, _FLAG, wanted)


def switch() -> Switch:
    """The flag, for forwards that take turns with it."""
    return Switch(_read, _write)


def patch_model(model, enabled: bool, session: "Session", node_id: str | None = None):
    """A clone of the MODEL that runs with the flag as asked; the one given stays as it was.

    cuBLAS reads the flag when a multiplication is launched, not when the GPU gets to it, so the forward is
    all it has to be held for. What ComfyUI does between forwards (previews, ControlNet, another model's
    turn) and after them (VAE) never sees it.
    """
    patched = model.clone()
    wrappers.clear(patched, KEY)
    lacking = missing_in_torch()
    if lacking:
        _tell(session.messages, node_id, [lacking])
        return patched
    wrappers.around_sampling(patched, KEY, _around_sampling(enabled, session.messages, node_id))
    wrappers.around_forward(patched, KEY, _around_forward(enabled, session.fp16_accumulation))
    return patched


def missing_in_torch() -> Message | None:
    """Why this torch cannot do it; None where it can."""
    try:
        _read()
    except (AttributeError, AssertionError):  # Up to 2.6, depending on the version, one or the other.
        return FP16("fp16-needs-torch", torch=str(torch.__version__))
    return None


def _around_forward(enabled: bool, switch: Switch) -> Callable:
    def run(forward: wrappers.Forward):
        own: Any = running_model.own_wrapper(forward.model, KEY, wrapper)
        with contextlib.nullcontext() if own is None else switch.held(own.sagekit_enabled):
            return forward(forward.options)

    wrapper: Any = wrappers.reading_forward(run)
    wrapper.sagekit_enabled = enabled
    return wrapper


def _around_sampling(enabled: bool, messages: Messages, node_id: str | None) -> Callable:
    """A wrapper around a sampling run, which says what the flag will do for this model."""

    def wrapper(executor, *args, **kwargs):
        if enabled:
            _tell(
                messages, node_id, remarks(wrappers.sampled(executor), wrappers.options_of_sampling(executor))
            )
        else:
            messages.say(node_id, FP16("fp16-off"), [FP16("fp16-is-off")])
        return executor(*args, **kwargs)

    return wrapper


def remarks(patcher, model_options: dict) -> list[Message]:
    """Why the flag changes nothing for this model on this machine, and what it is known to break."""
    limits = *_limits_of_gpu(running_model.device_of_patcher(patcher)), *_limits_of_model(patcher)
    found = [FP16("fp16-no-effect", why=why) for why in limits]
    if not found and _is_known_bad(patcher, model_options):
        found.append(KNOWN_BAD)
    return found


def _limits_of_gpu(device: torch.device) -> Iterator[Message]:
    if device.type != "cuda" or torch.version.cuda is None:
        made_for = FP16("an-amd-gpu") if device.type == "cuda" else device.type
        yield FP16("fp16-gpu", device=made_for)
    elif (capability := torch.cuda.get_device_capability(device)) < (7, 0):
        # ATen's CUDABlas.cpp asks for major 7 before it looks at the flag.
        yield FP16("fp16-capability", capability=f"{capability[0]}.{capability[1]}")


def _limits_of_model(patcher) -> Iterator[Message]:
    dtype = running_model.compute_dtype(patcher)
    if dtype is not torch.float16:
        yield FP16("fp16-dtype", dtype=str(dtype).removeprefix("torch."))
        return
    model = running_model.weights_of(patcher)
    packages = layers.packages_of(model)
    if "cublas_ops" in packages:
        yield FP16("fp16-cublas-ops")
    if "fp8_ops" in packages:
        yield FP16("fp16-fp8")
    if quantised := _quantised_share(model):
        yield quantised


def _quantised_share(model: torch.nn.Module) -> Message | None:
    """That nearly all of the model's weights are multiplied in a format of their own, which the flag does not
    affect; None where they are not."""
    linears = layers.linears(model)
    own = layers.in_own_format(linears)
    if not own or _size(own) < NEARLY_ALL * _size(linears):
        return None
    formats = tuple(sorted({layers.format_of(one) for one in own}))
    return FP16("fp16-quantised", count=len(own), layers=len(linears), formats=formats)


def _size(linears: list) -> int:
    return sum(one.in_features * one.out_features for one in linears)


def _is_known_bad(patcher, model_options: dict) -> bool:
    """Whether this is the one combination that users have seen fail."""
    given = options.of_model(model_options)
    compiled = options.around_forward(given, "torch.compile")
    return bool(compiled) and "Flux" in running_model.name_of(patcher) and _runs_sage(given)


def _runs_sage(given: dict) -> bool:
    ours = given.get("sagekit_attention")
    if ours is not None:
        return ours.settings.kernel == AUTO or ours.settings.kernel.startswith("sage")
    if options.OVERRIDE_KEY in given:
        return "sage" in getattr(given[options.OVERRIDE_KEY], "__qualname__", "").lower()
    return bool(process.flags_that_are_on(["use_sage_attention"]))


def _tell(messages: Messages, node_id: str | None, found: list[Message]) -> None:
    """Shows on the node what was found, and logs what is new in it."""
    if found:
        code = "no-effect" if found[0] != KNOWN_BAD else "known-bad"
        line = FP16("fp16-on-no-effect") if code == "no-effect" else FP16("fp16-on")
        messages.say(node_id, line, found, warnings=[Remark(code, one) for one in found])
    else:
        messages.say(node_id, FP16("fp16-on"), [FP16("fp16-is-on")])
    messages.warn_once(found)
