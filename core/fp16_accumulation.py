"""torch's FP16 accumulation, switched for the forwards of one model and for nothing else."""

import contextlib
import logging
from collections.abc import Callable, Iterator

import torch

from ..host.running_model import own_wrapper
from . import messages
from .attention.settings import AUTO
from .messages import Remark
from .switch import Switch

log = logging.getLogger(__name__)

KEY = "sagekit_fp16_accumulation"
_FLAG = "allow_fp16_accumulation"
KNOWN_BAD = (
    "Flux with Sage attention, torch.compile and FP16 accumulation together is known to give noise "
    "(ComfyUI#8689); take one of the three off this model if yours does"
)
# Of the weights of a model's linear layers: what is left then takes no time to speak of.
NEARLY_ALL = 0.9
_said: set[str] = set()


def _read() -> bool:
    return getattr(torch.backends.cuda.matmul, _FLAG)


def _write(wanted: bool) -> None:
    setattr(torch.backends.cuda.matmul, _FLAG, wanted)


SWITCH = Switch(_read, _write)


def patch_model(model, enabled: bool, node_id: str | None = None):
    """A clone of the MODEL that runs with the flag as asked; the one given stays as it was.

    cuBLAS reads the flag when a multiplication is launched, not when the GPU gets to it, so the forward is
    all it has to be held for. What ComfyUI does between forwards (previews, ControlNet, another model's
    turn) and after them (VAE) never sees it.
    """
    from comfy.patcher_extension import WrappersMP

    patched = model.clone()
    for kind in (WrappersMP.OUTER_SAMPLE, WrappersMP.APPLY_MODEL):
        patched.remove_wrappers_with_key(kind, KEY)
    lacking = missing_in_torch()
    if lacking:
        _tell(node_id, [lacking])
        return patched
    patched.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, KEY, _around_sampling(enabled, node_id))
    patched.add_wrapper_with_key(WrappersMP.APPLY_MODEL, KEY, _around_forward(enabled))
    return patched


def missing_in_torch() -> str:
    """Why this torch cannot do it; empty where it can."""
    try:
        _read()
    except (AttributeError, AssertionError):  # Up to 2.6, depending on the version, one or the other.
        return f"FP16 accumulation needs torch 2.7, got {torch.__version__}; the model runs without it"
    return ""


def _around_forward(enabled: bool) -> Callable:
    def wrapper(executor, *args, **kwargs):
        own = own_wrapper(executor, KEY, wrapper)
        with contextlib.nullcontext() if own is None else SWITCH.held(own.sagekit_enabled):
            return executor(*args, **kwargs)

    wrapper.sagekit_enabled = enabled
    return wrapper


def _around_sampling(enabled: bool, node_id: str | None) -> Callable:
    """A wrapper for OUTER_SAMPLE, which says what the flag will do for this model."""

    def wrapper(executor, *args, **kwargs):
        if enabled:
            _tell(node_id, remarks(executor.class_obj.model_patcher, executor.class_obj.model_options))
        else:
            messages.say(node_id, "off", "FP16 accumulation is off while this model runs")
        return executor(*args, **kwargs)

    return wrapper


def remarks(patcher, model_options: dict) -> list[str]:
    """Why the flag changes nothing for this model on this machine, and what it is known to break."""
    nothing = "FP16 accumulation changes nothing here: "
    found = [nothing + why for why in (*_limits_of_gpu(patcher.load_device), *_limits_of_model(patcher))]
    if not found and _is_known_bad(patcher.model, model_options):
        found.append(KNOWN_BAD)
    return found


def _limits_of_gpu(device: torch.device) -> Iterator[str]:
    if device.type != "cuda" or torch.version.cuda is None:
        made_for = "an AMD GPU" if device.type == "cuda" else device.type
        yield f"it needs an NVIDIA GPU, and the model runs on {made_for}"
    elif (capability := torch.cuda.get_device_capability(device)) < (7, 0):
        # ATen's CUDABlas.cpp asks for major 7 before it looks at the flag.
        yield f"it needs a GPU of compute capability 7.0, got {capability[0]}.{capability[1]}"


def _limits_of_model(patcher) -> Iterator[str]:
    dtype = patcher.get_model_object("manual_cast_dtype") or patcher.model.get_dtype()
    if dtype is not torch.float16:
        yield (
            f"the model computes in {str(dtype).removeprefix('torch.')}, and only float16 is affected "
            "(ComfyUI computes in float16 under --fp16-unet; some models overflow in it)"
        )
        return
    layers = {_layer(type(module)) for module in patcher.model.modules()}
    if "cublas_ops" in layers:
        yield "cublas_ops is active, which accumulates in float16 by itself"
    if "fp8_ops" in layers:
        yield "the model multiplies in float8 (--fast fp8_matrix_mult)"
    if quantised := _quantised_share(patcher.model):
        yield quantised


def _quantised_share(model: torch.nn.Module) -> str:
    """That nearly all of the model's weights are multiplied in a format of their own, by ComfyUI's layers for
    quantised weights; empty where they are not.

    Where the GPU lacks the format, a layer is told to multiply in full precision, which the flag affects.
    """
    linears = [one for one in model.modules() if hasattr(one, "in_features") and hasattr(one, "out_features")]
    own = [
        one
        for one in linears
        if getattr(one, "layout_type", None) is not None
        and not getattr(one, "_full_precision_mm", False)
        and not getattr(one, "comfy_force_cast_weights", False)
    ]
    if not own or _size(own) < NEARLY_ALL * _size(linears):
        return ""
    formats = ", ".join(sorted({str(getattr(one, "quant_format", one.layout_type)) for one in own}))
    return f"{len(own)} of the model's {len(linears)} linear layers multiply in {formats}"


def _size(linears: list) -> int:
    return sum(one.in_features * one.out_features for one in linears)


def _layer(kind: type) -> str:
    """The package of layers that ComfyUI took a class from: "fp8_ops" for ``fp8_ops.Linear``.

    A class that stands on the package cublas_ops counts as cublas_ops, as other packs make their own.
    """
    if any(base.__module__.partition(".")[0] == "cublas_ops" for base in kind.__mro__):
        return "cublas_ops"
    return kind.__qualname__.partition(".")[0]


def _is_known_bad(base_model, model_options: dict) -> bool:
    """Whether this is the one combination that users have seen fail."""
    options = model_options.get("transformer_options", {})
    compiled = options.get("wrappers", {}).get("apply_model", {}).get("torch.compile")
    return bool(compiled) and "Flux" in type(base_model).__name__ and _runs_sage(options)


def _runs_sage(options: dict) -> bool:
    ours = options.get("sagekit_attention")
    if ours is not None:
        return ours.settings.kernel == AUTO or ours.settings.kernel.startswith("sage")
    if "optimized_attention_override" in options:
        return "sage" in getattr(options["optimized_attention_override"], "__qualname__", "").lower()
    from comfy.cli_args import args

    return args.use_sage_attention


def _tell(node_id: str | None, found: list[str]) -> None:
    """Shows on the node what was found, and logs what is new in it."""
    if found:
        code = "no-effect" if found[0] != KNOWN_BAD else "known-bad"
        line = "on, changes nothing" if code == "no-effect" else "on"
        messages.say(node_id, line, "\n".join(found), warnings=[Remark(code, one) for one in found])
    else:
        messages.say(node_id, "on", "FP16 accumulation is on while this model runs")
    new = [remark for remark in found if remark not in _said]
    if new:
        _said.update(new)
        log.warning("SageKit: %s", ". ".join(new))
