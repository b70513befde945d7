"""A call made ready to measure: the host's own attention and our kernels, on a share of its heads."""

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from ...host import others
from ...host.arguments import Arguments, broadcastable, heads_apart, heads_joined
from ...host.process import raise_if_cancelled
from ...kernels.call import Call
from ...machine.message import Message
from . import accuracy, dispatch, timing
from .patch import Patch
from .plan import Routed, Undecided

ARGUMENTS_AFTER_QKV = ("heads", "mask", "attn_precision", "skip_reshape", "skip_output_reshape")
# Rows of q that one block of threads takes in the kernels we know, and how often a GPU must be filled with
# such blocks for a share of the heads to stand for all of them: the last, half-filled round is then at most
# a twelfth of the time, and the same for every kernel.
_ROWS_OF_A_BLOCK = 128
_ROUNDS = 12


class CallBench:
    """What measuring needs of a call (``routes.Bench``).

    Args:
        patch: Whose model it is.
        plan: The open plan.
        given: The arguments of the call, by name.
        func: Who runs the call where no kernel of ours does, and ``args`` and ``kwargs`` what it would get.
    """

    def __init__(
        self,
        patch: Patch,
        plan: Undecided,
        given: Arguments,
        func: Callable[..., torch.Tensor],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        self.host = _name_of(func)
        self._patch, self._call, self._given, self._func = patch, plan.call, given, func
        self._device = given.q.device
        kv_heads = _kv_heads_to_time(plan.call, self._device)
        self._part = _narrowed(given, plan.call, kv_heads)
        self._part_call = replace(plan.call, heads=self._part.heads, kv_heads=kv_heads)
        # So many times a share of the heads is the whole call.
        self._shares: float = plan.call.heads / self._part.heads
        named = dict(zip(ARGUMENTS_AFTER_QKV, args[3:], strict=False)) | kwargs
        self._named = {name: one for name, one in named.items() if name not in ("q", "k", "v", "heads")}
        if "mask" in self._named:
            self._named["mask"] = self._part.mask

    def time_host(self) -> float:
        self._run_host()
        return self._shares * timing.milliseconds(self._run_host, self._device)

    def _run_host(self) -> torch.Tensor:
        part = self._part
        return self._func(part.q, part.k, part.v, part.heads, **self._named)

    def time_kernel(self, tried: Routed, best: float) -> float | None:
        part = self._part
        tensors, mask = apart(part, self._part_call), broadcastable(part.mask)
        raised = []

        def run() -> torch.Tensor | None:
            out = dispatch.run(tried, self._patch.session.kernels, tensors, mask, part.scale)
            if out is None:
                raised.append(tried.name)
                return None
            return heads_joined(out, self._part_call, part.skip_output_reshape)

        run()
        if raised:
            return None
        milliseconds = timing.milliseconds(run, self._device, best / self._shares)
        return None if raised else self._shares * milliseconds

    def answer(self, tried: Routed) -> torch.Tensor | None:
        given = self._given
        tensors, mask = apart(given, self._call), broadcastable(given.mask)
        return dispatch.run(tried, self._patch.session.kernels, tensors, mask, given.scale)

    def error(self, out: torch.Tensor) -> float:
        given = self._given
        q, k, v = apart(given, self._call)
        return accuracy.error(q, k, v, out, broadcastable(given.mask), given.scale)

    def tell(self, line: Message) -> None:
        self._patch.session.messages.say(self._patch.settings.node_id, line, busy=True)

    def stop_if_cancelled(self) -> None:
        raise_if_cancelled()

    def free_memory(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


def _name_of(func: Callable[..., Any]) -> str:
    """The host's own attention by its name; another pack's override, which is bound to that, by its own."""
    if isinstance(func, functools.partial):
        return others.name(func.func)
    return str(getattr(func, "__name__", "host"))


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

    def first(tensor: torch.Tensor, count: int) -> torch.Tensor:
        return tensor[:, :count] if given.skip_reshape else tensor[..., : count * call.head_dim]

    q, k, v = first(given.q, heads), first(given.k, kv_heads), first(given.v, kv_heads)
    return given._replace(q=q, k=k, v=v, heads=heads, mask=mask)
