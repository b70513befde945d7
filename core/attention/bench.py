"""A call made ready to measure: the host's own attention and our kernels, on a share of its heads."""

import functools
from collections.abc import Callable
from dataclasses import replace

import torch

from ...host import others
from ...host.arguments import Arguments, broadcastable, heads_apart, heads_joined
from ...host.process import raise_if_cancelled
from ...kernels.call import Call
from .. import messages
from . import accuracy, dispatch, timing
from .dispatch import Plan
from .patch import Patch
from .routes import Bench

ARGUMENTS_AFTER_QKV = ("heads", "mask", "attn_precision", "skip_reshape", "skip_output_reshape")
# Rows of q that one block of threads takes in the kernels we know, and how often a GPU must be filled with
# such blocks for a share of the heads to stand for all of them: the last, half-filled round is then at most
# a twelfth of the time, and the same for every kernel.
_ROWS_OF_A_BLOCK = 128
_ROUNDS = 12


def bench(patch: Patch, plan: Plan, given: Arguments, func: Callable, args: tuple, kwargs: dict) -> Bench:
    """What measuring needs of a call.

    Args:
        patch: Whose model it is.
        plan: The open plan.
        given: The arguments of the call, by name.
        func: Who runs the call where no kernel of ours does, and ``args`` and ``kwargs`` what it would get.
    """
    device = given.q.device
    call = plan.call
    kv_heads = _kv_heads_to_time(call, device)
    part = _narrowed(given, call, kv_heads)
    part_call = replace(call, heads=part.heads, kv_heads=kv_heads)
    whole = call.heads / part.heads
    named = dict(zip(ARGUMENTS_AFTER_QKV, args[3:], strict=False)) | kwargs
    named = {name: one for name, one in named.items() if name not in ("q", "k", "v", "heads")}
    if "mask" in named:
        named["mask"] = part.mask

    def run_host():
        return func(part.q, part.k, part.v, part.heads, **named)

    def time_host() -> float:
        run_host()
        return whole * timing.milliseconds(run_host, device)

    def time_kernel(tried: Plan, best: float) -> float | None:
        tensors = apart(part, part_call)
        mask = broadcastable(part.mask)
        raised = []

        def run():
            out = dispatch.run(tried, patch.kernels, tensors, mask, part.scale)
            if out is None:
                raised.append(tried.name)
                return None
            return heads_joined(out, part_call, part.skip_output_reshape)

        run()
        milliseconds = timing.milliseconds(run, device, best / whole) if not raised else 0.0
        return None if raised else whole * milliseconds

    def answer(tried: Plan):
        mask = broadcastable(given.mask)
        return dispatch.run(tried, patch.kernels, apart(given, call), mask, given.scale)

    def error(out) -> float:
        return accuracy.error(*apart(given, call), out, broadcastable(given.mask), given.scale)

    return Bench(
        host=_name_of(func),
        time_host=time_host,
        time_kernel=time_kernel,
        answer=answer,
        error=error,
        tell=lambda line: messages.say(patch.settings.node_id, line, busy=True),
        stop_if_cancelled=raise_if_cancelled,
        free_memory=torch.cuda.empty_cache if device.type == "cuda" else lambda: None,
    )


def _name_of(func: Callable) -> str:
    """The host's own attention by its name; another pack's override, which is bound to that, by its own."""
    if isinstance(func, functools.partial):
        return others.name(func.func)
    return getattr(func, "__name__", "host")


def apart(given: Arguments, call: Call) -> list[torch.Tensor]:
    """[q, k, v], each (batch, heads, length, head_dim), views."""
    return [
        heads_apart(given.q, call, False, given.skip_reshape),
        heads_apart(given.k, call, True, given.skip_reshape),
        heads_apart(given.v, call, True, given.skip_reshape),
    ]


def _kv_heads_to_time(call: Call, device: torch.device) -> int:
    """So many kv heads, with the heads that belong to them, fill the GPU well enough to stand for all."""
    if device.type != "cuda":
        return call.kv_heads
    blocks = call.batch * -(-call.q_len // _ROWS_OF_A_BLOCK) * (call.heads // call.kv_heads)
    enough = -(-_ROUNDS * torch.cuda.get_device_properties(device).multi_processor_count // blocks)
    return enough if 2 * enough <= call.kv_heads else call.kv_heads


def _narrowed(given: Arguments, call: Call, kv_heads: int) -> Arguments:
    """The same call with the first so many kv heads only; views."""
    heads = kv_heads * (call.heads // call.kv_heads)
    mask = given.mask
    if mask is not None and mask.ndim == 4 and mask.shape[1] > 1:
        mask = mask[:, :heads]

    def first(tensor, count):
        return tensor[:, :count] if given.skip_reshape else tensor[..., : count * call.head_dim]

    q, k, v = first(given.q, heads), first(given.k, kv_heads), first(given.v, kv_heads)
    return given._replace(q=q, k=k, v=v, heads=heads, mask=mask)
