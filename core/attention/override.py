"""The function that ComfyUI calls in place of its own attention."""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ...host import containers, others
from ...host.arguments import Arguments, broadcastable, heads_joined, read
from ...host.capabilities import unrecorded
from ...host.default_attention import default, default_itself, is_any_set, without_launch_flag
from ...host.options import KEY as OPTIONS_KEY
from ...kernels import launch_flags
from . import accuracy, dispatch, graph, routes
from .bench import ARGUMENTS_AFTER_QKV, CallBench, apart
from .guard import Forward, Reading
from .patch import FORWARD_KEY, PATCH_KEY, Patch, group, place
from .plan import Decided, OnHost, Plan, Routed, Undecided
from .run import DROPPED
from .settings import OFF

Attention = Callable[..., Any]

_UNREADABLE = OnHost(why="layout")


class Override:
    """The override of one patched model: called as ``override(func, q, k, v, heads, ...)``.

    Args:
        patch: The state behind it.
        previous: An override that was on the model before, of another pack; None without one. It takes
            every call that no kernel of ours takes, but for those that must be exact where it quantises.

    Attributes:
        sagekit_previous: That one. The name tells any copy of this pack that the override is one of ours.
        is_absent: As if the node were not there, so that no graph need know of it.
        in_graph: Inside torch.compile calls run as one operator of the graph.
        outside_graph: ``attend`` for callers inside torch.compile; None until needed.
    """

    def __init__(self, patch: Patch, previous: Attention | None = None) -> None:
        self.patch = patch
        self.sagekit_previous = previous
        self.is_absent = patch.settings.is_off and not is_any_set(launch_flags.flags())
        self.in_graph = previous is None and not patch.settings.limits_blocks
        self.outside_graph: Attention | None = None
        self._exact_previous = None if previous is None or others.quantises(previous) else previous

    def __deepcopy__(self, memo: dict[int, Any]) -> "Override":
        # Hosts up to 0.13 deep-copy model_options with every clone; the clone is the same patch.
        return self

    def __call__(self, func: Attention, *args: Any, **kwargs: Any) -> Any:
        if torch.compiler.is_compiling():
            return self._traced(func, *args, **kwargs)
        return self.attend(func, *args, **kwargs)

    def _traced(self, func: Attention, *args: Any, **kwargs: Any) -> Any:
        if self.is_absent:
            return self._before(func, *args, **kwargs)
        if self.in_graph and graph.fits(func, args, kwargs):
            return graph.call(*args, **kwargs)
        # Choosing and counting are not for tracing: the graph breaks here, or nothing of ours runs.
        return (self.outside_graph or self._before)(func, *args, **kwargs)

    def attend(self, func: Attention, *args: Any, **kwargs: Any) -> Any:
        """The call itself, outside of any graph that is traced."""
        patch = self.patch
        options = kwargs.get(OPTIONS_KEY) or {}
        if options.get(PATCH_KEY, patch) is not patch:
            return self._before(func, *args, **kwargs)  # A later SageKit node has the model.
        given = read(args, kwargs)
        if given is None:
            patch.report.count(_UNREADABLE)
            return self._other(_UNREADABLE, func)(*args, **kwargs)
        plan = patch.plan(given, options)
        forward: Forward | None = options.get(FORWARD_KEY)
        if forward is not None and forward.recheck:
            return self._attend_again(func, plan, given, options, forward, args, kwargs)
        out: Tensor | None = None
        if isinstance(plan, Undecided):
            plan, out = _settle(patch, plan, given, forward, self._other(plan, func), args, kwargs)
        elif isinstance(plan, Routed):
            out = _run(patch, plan, given)
            if out is None:
                plan = _dropped(patch, plan, forward)
        patch.report.count(plan)
        if out is None or isinstance(plan, OnHost):
            return self._other(plan, func)(*args, **kwargs)
        if forward is not None:
            forward.routed = True
            if plan.quantised:
                _watch(patch, plan, given, options, forward, out)
        return heads_joined(out, plan.call, given.skip_output_reshape)

    def _attend_again(
        self,
        func: Attention,
        plan: Plan,
        given: Arguments,
        options: dict[str, Any],
        forward: Forward,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """A call in a second forward: ComfyUI's own attention answers, and the kernel is tried beside it."""
        forward.calls += 1
        on_host = plan if isinstance(plan, OnHost) else self.patch.on_host(given)
        self.patch.report.count(on_host)
        answer = self._other(on_host, func)(*args, **kwargs)
        if isinstance(plan, Routed):
            _try_beside(self.patch, plan, given, options, forward, answer)
        return answer

    def container_function(self, q: Any, k: Any, v: Any, *rest: Any, **kwargs: Any) -> Any:
        """The call where q, k and v are in tensor containers: ComfyUI gives no function to fall back on."""
        patch = self.patch
        if torch.compiler.is_compiling():
            return self(default_itself(), *containers.taken((q, k, v)), *rest, **kwargs)
        options = kwargs.get(OPTIONS_KEY) or {}
        plan = self._plan_for(containers.looked_at((q, k, v)), rest, kwargs, options)
        if isinstance(plan, Routed) and _can_be_owned(plan, options.get(FORWARD_KEY)):
            return self._run_owned(plan, [q, k, v], rest, kwargs, options)
        with_containers = containers.of(self.sagekit_previous or default())
        if with_containers is not None and (plan is None or (isinstance(plan, OnHost) and not plan.exact)):
            if plan is not None:
                patch.report.count(plan)
            return with_containers(q, k, v, *rest, **kwargs)
        return self(default_itself(), *containers.taken((q, k, v)), *rest, **kwargs)

    def _plan_for(
        self,
        tensors: tuple[Tensor, ...],
        rest: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: dict[str, Any],
    ) -> Plan | None:
        """What to do with a call; None where a later SageKit node has the model. Holds on to no tensor."""
        if options.get(PATCH_KEY, self.patch) is not self.patch:
            return None
        given = read((*tensors, *rest), kwargs)
        return _UNREADABLE if given is None else self.patch.plan(given, options)

    def _run_owned(
        self,
        plan: Routed,
        boxes: list[Any],
        rest: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: dict[str, Any],
    ) -> Any:
        """Runs the kernel with q, k, v taken out of their containers, so that it can free them."""
        patch, forward = self.patch, options.get(FORWARD_KEY)
        if forward is not None:
            forward.routed = True
            if plan.quantised:
                forward.quantised = True
                forward.calls += 1
        given = read((*containers.taken(boxes), *rest), kwargs)
        assert given is not None  # The same arguments have been read to make the plan.
        tensors = apart(given, plan.call)
        mask, scale, skip = broadcastable(given.mask), given.scale, given.skip_output_reshape
        del given
        out = _on_its_device(patch, plan, tensors, mask, scale, owned=True)
        if out is not None:
            patch.report.count(plan)
            return heads_joined(out, plan.call, skip)
        dropped = _dropped(patch, plan, forward)
        patch.report.count(dropped)
        named = dict(zip(ARGUMENTS_AFTER_QKV, rest, strict=False)) | kwargs | {"skip_reshape": True}
        return self._other(dropped, default_itself())(*tensors, named.pop("heads"), **named)

    def _before(self, func: Attention, *args: Any, **kwargs: Any) -> Any:
        """As without our node."""
        previous = self.sagekit_previous
        return func(*args, **kwargs) if previous is None else previous(func, *args, **kwargs)

    def _other(self, plan: Plan, func: Attention) -> Attention:
        """Who takes a call that no kernel of ours takes: the override before ours, else the host's own."""
        # Off, our node is as if it were not there.
        is_off = isinstance(plan, OnHost) and plan.why == OFF
        taker = self._exact_previous if plan.exact and not is_off else self.sagekit_previous
        # One that must be exact gets the host's own as without any launch flag.
        func = without_launch_flag(func, launch_flags.flags) if plan.exact else func
        return func if taker is None else functools.partial(taker, func)


def _settle(
    patch: Patch,
    plan: Undecided,
    given: Arguments,
    forward: Forward | None,
    func: Attention,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> tuple[Decided, Tensor | None]:
    """The decided plan of a class of calls, and what its kernel answered to this first one, if one did."""
    device = given.q.device
    if device.type != "cuda":
        return _settled(patch, plan, given, forward, func, args, kwargs)
    with torch.cuda.device(device):
        if torch.cuda.is_current_stream_capturing():
            # Nothing can be measured inside a CUDA graph; a call outside it decides.
            return OnHost(
                why="cuda-graph", call=plan.call, passed_over=plan.passed_over, exact=plan.exact
            ), None
        return _settled(patch, plan, given, forward, func, args, kwargs)


def _settled(
    patch: Patch,
    plan: Undecided,
    given: Arguments,
    forward: Forward | None,
    func: Attention,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> tuple[Decided, Tensor | None]:
    session = patch.session
    began = session.clock.perf_counter()
    with unrecorded():
        measured = CallBench(patch, plan, given, func, args, kwargs)
        settled, out = routes.settle(plan, patch.settings, session.kernels, session.times, measured)
    patch.report.measured(session.clock.perf_counter() - began)
    if isinstance(settled, Routed):
        settled.proven = True
    patch.settled(settled)
    passed_over = dict(settled.passed_over)
    for backend, _ in plan.candidates:
        if any(reason.code == "raised" for reason in passed_over.get(backend.name, ())):
            _tell_of_raising(patch, backend.name, forward)
    return settled, out


def _watch(
    patch: Patch, plan: Routed, given: Arguments, options: dict[str, Any], forward: Forward, out: Tensor
) -> None:
    """Tells the guard that a quantised kernel ran and, now and then, how far its answer is off."""
    forward.quantised = True
    if forward.next_is_sampled():
        began = patch.guard.clock.perf_counter()
        q, k, v = apart(given, plan.call)
        with unrecorded():
            sums = accuracy.sample(q, k, v, out, broadcastable(given.mask), given.scale, patch.guard.turn)
        forward.readings.append(Reading(plan.name, place(plan, options), group(plan), sums))
        patch.guard.took(patch.guard.clock.perf_counter() - began)


def _try_beside(
    patch: Patch,
    plan: Routed,
    given: Arguments,
    options: dict[str, Any],
    forward: Forward,
    right: Tensor,
) -> None:
    """In a second forward: what the kernel would have answered, against the right answer."""
    with unrecorded():
        out = _run(patch, plan, given)
        if out is None:
            _tell_of_raising(patch, plan.name, forward)
            return
        joined = heads_joined(out, plan.call, given.skip_output_reshape)
        patch.guard.tried(plan.name, place(plan, options), joined, right)


def _run(patch: Patch, plan: Routed, given: Arguments) -> Tensor | None:
    """The kernel's output, (batch, heads, q_len, head_dim); None where the kernel was dropped instead."""
    return _on_its_device(patch, plan, apart(given, plan.call), broadcastable(given.mask), given.scale)


def _can_be_owned(plan: Routed, forward: Forward | None) -> bool:
    """Whether the kernel may free q, k and v while it runs: not where they are still to be looked at."""
    if not plan.proven or plan.kernel.attend_owned is None:
        return False
    return forward is None or not (forward.recheck or (forward.is_due and not forward.readings))


def _tell_of_raising(patch: Patch, name: str, forward: Forward | None) -> None:
    """Notes that a kernel raised, for the user and for the guard.

    PyTorch's own kernels look at their arguments first; any other may have written into q, k or v by then.
    """
    kernels = patch.session.kernels
    patch.report.note(kernels.why_dropped(name), f"{DROPPED}:{name}")
    if forward is not None and not kernels.backends[name].of_torch:
        forward.spoiled = True


def _dropped(patch: Patch, plan: Routed, forward: Forward | None) -> OnHost:
    """What became of a call whose kernel raised."""
    _tell_of_raising(patch, plan.name, forward)
    return OnHost(why="raised", call=plan.call, passed_over=plan.passed_over, exact=plan.exact)


def _on_its_device(
    patch: Patch,
    plan: Routed,
    tensors: list[Tensor],
    mask: Tensor | None,
    scale: float | None,
    owned: bool = False,
) -> Tensor | None:
    """Runs the kernel with the tensors' own device as the current one, which Triton launches on."""
    device, kernels = tensors[0].device, patch.session.kernels
    if device.type != "cuda" or device.index == torch.cuda.current_device():
        return dispatch.run(plan, kernels, tensors, mask, scale, owned)
    with torch.cuda.device(device):
        return dispatch.run(plan, kernels, tensors, mask, scale, owned)
