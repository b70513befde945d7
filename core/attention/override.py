"""The function that ComfyUI calls in place of its own attention."""

import functools
import time
from collections.abc import Callable
from dataclasses import replace

import torch

from ...host import containers, others
from ...host.arguments import Arguments, broadcastable, heads_joined, read
from ...host.capabilities import unrecorded
from ...host.default_attention import default, default_itself, without_launch_flag
from ...host.options import KEY as OPTIONS_KEY
from ...kernels import launch_flags
from . import accuracy, dispatch, graph, routes
from .bench import ARGUMENTS_AFTER_QKV, apart, bench
from .dispatch import Plan
from .guard import Forward
from .patch import FORWARD_KEY, PATCH_KEY, Patch, group, place
from .report import DROPPED
from .settings import OFF

_UNREADABLE = Plan(why="layout")


def make_override(patch: Patch, previous: Callable | None) -> Callable:
    """The override of one patched model.

    Args:
        patch: The state behind it.
        previous: An override that was on the model before, of another pack; None without one. It takes
            every call that no kernel of ours takes, but for those that must be exact where it quantises.
    """
    exact_previous = None if previous is None or others.quantises(previous) else previous
    patch.in_graph = previous is None and not patch.settings.limits_blocks

    def override(func, *args, **kwargs):
        if torch.compiler.is_compiling():
            return traced(func, *args, **kwargs)
        return attend(func, *args, **kwargs)

    def traced(func, *args, **kwargs):
        if patch.in_graph and graph.fits(func, args, kwargs):
            return graph.call(*args, **kwargs)
        # Choosing and counting are not for tracing: the graph breaks here, or nothing of ours runs.
        return (patch.outside_graph or before)(func, *args, **kwargs)

    def attend(func, *args, **kwargs):
        options = kwargs.get(OPTIONS_KEY) or {}
        plan, given = _plan(patch, args, kwargs, options)
        if plan is None:
            return before(func, *args, **kwargs)
        forward, beside = options.get(FORWARD_KEY), None
        if forward is not None and forward.recheck:
            forward.calls += 1
            if plan.quantised or plan.candidates:
                beside, plan = plan, patch.guarded_plan(given)
        if plan.candidates:
            plan, out = _settle(patch, plan, given, other(plan, func), args, kwargs)
        else:
            out = None if plan.kernel is None else _run(patch, plan, given)
            if out is None and plan.kernel is not None:
                plan = _dropped(patch, plan)
        patch.report.count(plan)
        if out is None:
            out = other(plan, func)(*args, **kwargs)
        else:
            if plan.quantised and forward is not None:
                _watch(patch, plan, given, options, forward, out)
            out = heads_joined(out, plan.call, given.skip_output_reshape)
        if beside is not None and beside.quantised:
            _try_beside(patch, beside, given, options, out)
        return out

    def before(func, *args, **kwargs):
        """As without our node."""
        return func(*args, **kwargs) if previous is None else previous(func, *args, **kwargs)

    def other(plan: Plan, func: Callable) -> Callable:
        """Who takes a call that no kernel of ours takes: the override before ours, else the host's own."""
        # Off, our node is as if it were not there.
        taker = exact_previous if plan.exact and plan.why != OFF else previous
        func = _default(plan, func)
        return func if taker is None else functools.partial(taker, func)

    def container_function(q, k, v, *rest, **kwargs):
        """As ``override`` for tensor containers, with which ComfyUI gives no function to fall back on."""
        if torch.compiler.is_compiling():
            return override(default_itself(), *containers.taken((q, k, v)), *rest, **kwargs)
        options = kwargs.get(OPTIONS_KEY) or {}
        plan = _plan(patch, (*containers.looked_at((q, k, v)), *rest), kwargs, options)[0]
        if plan is not None and _can_be_owned(plan, options.get(FORWARD_KEY)):
            return _run_owned(patch, plan, [q, k, v], rest, kwargs, options, other)
        with_containers = containers.of(previous or default())
        if with_containers is not None and (
            plan is None or not (plan.kernel or plan.candidates or plan.exact)
        ):
            if plan is not None:
                patch.report.count(plan)
            return with_containers(q, k, v, *rest, **kwargs)
        return override(default_itself(), *containers.taken((q, k, v)), *rest, **kwargs)

    containers.give(override, container_function)
    override.sagekit_previous = previous
    override.sagekit_eager = attend
    return override


def _plan(patch: Patch, args: tuple, kwargs: dict, options: dict) -> tuple[Plan | None, Arguments | None]:
    """What this patch does with a call; no plan where a later SageKit node has the model."""
    if options.get(PATCH_KEY, patch) is not patch:
        return None, None
    given = read(args, kwargs)
    return (_UNREADABLE if given is None else patch.plan(given, options)), given


def _settle(patch: Patch, plan: Plan, given: Arguments, func: Callable, args: tuple, kwargs: dict):
    """The decided plan of a class of calls, and what its kernel answered to this first one, if one did."""
    device = given.q.device
    if device.type != "cuda":
        return _settled(patch, plan, given, func, args, kwargs)
    with torch.cuda.device(device):
        if torch.cuda.is_current_stream_capturing():
            # Nothing can be measured inside a CUDA graph; a call outside it decides.
            return replace(plan, candidates=(), why="cuda-graph"), None
        return _settled(patch, plan, given, func, args, kwargs)


def _settled(patch: Patch, plan: Plan, given: Arguments, func: Callable, args: tuple, kwargs: dict):
    with unrecorded():
        measured = bench(patch, plan, given, func, args, kwargs)
        settled, out = routes.settle(plan, patch.settings, patch.kernels, routes.TIMES, measured)
    settled.proven = out is not None
    patch.settled(settled)
    passed_over = dict(settled.passed_over)
    for backend, _ in plan.candidates:
        if any(reason.code == "raised" for reason in passed_over.get(backend.name, ())):
            patch.report.note(patch.kernels.why_dropped(backend.name), f"{DROPPED}:{backend.name}")
    return settled, out


def _watch(patch: Patch, plan: Plan, given: Arguments, options: dict, forward: Forward, out) -> None:
    """Tells the guard that a quantised kernel ran and, now and then, how far its answer is off."""
    forward.quantised = True
    if forward.next_is_sampled():
        began = time.perf_counter()
        tensors, mask = apart(given, plan.call), broadcastable(given.mask)
        with unrecorded():
            sums = accuracy.sample(*tensors, out, mask, given.scale, patch.guard.turn)
        forward.readings.append((plan.name, place(plan, options), group(plan), sums))
        patch.guard.took(time.perf_counter() - began)


def _try_beside(patch: Patch, plan: Plan, given: Arguments, options: dict, right) -> None:
    """In a second forward: what the quantised kernel would have answered, against the right answer."""
    with unrecorded():
        out = _run(patch, plan, given)
        out = None if out is None else heads_joined(out, plan.call, given.skip_output_reshape)
        patch.guard.tried(plan.name, place(plan, options), out, right)


def _run(patch: Patch, plan: Plan, given: Arguments):
    """The kernel's output, (batch, heads, q_len, head_dim); None where the kernel was dropped instead."""
    return _on_its_device(patch, plan, apart(given, plan.call), given)


def _can_be_owned(plan: Plan, forward: Forward | None) -> bool:
    """Whether the kernel may free q, k and v while it runs: not where they are still to be looked at."""
    if not plan.proven or plan.kernel is None or plan.kernel.attend_owned is None:
        return False
    return forward is None or not (forward.recheck or (forward.is_due and not forward.readings))


def _run_owned(
    patch: Patch,
    plan: Plan,
    boxes: list,
    rest: tuple,
    kwargs: dict,
    options: dict,
    other: Callable,
):
    """Runs the kernel with q, k, v taken out of their containers, so that it can free them."""
    forward = options.get(FORWARD_KEY)
    if plan.quantised and forward is not None:
        forward.quantised = True
        forward.calls += 1
    given = read((*containers.taken(boxes), *rest), kwargs)
    tensors = apart(given, plan.call)
    given = given._replace(q=None, k=None, v=None)
    out = _on_its_device(patch, plan, tensors, given, owned=True)
    if out is not None:
        patch.report.count(plan)
        return heads_joined(out, plan.call, given.skip_output_reshape)
    plan = _dropped(patch, plan)
    patch.report.count(plan)
    named = dict(zip(ARGUMENTS_AFTER_QKV, rest, strict=False)) | kwargs | {"skip_reshape": True}
    return other(plan, default_itself())(*tensors, named.pop("heads"), **named)


def _dropped(patch: Patch, plan: Plan) -> Plan:
    """What became of a call whose kernel raised, for the report."""
    patch.report.note(patch.kernels.why_dropped(plan.name), f"{DROPPED}:{plan.name}")
    return replace(plan, name="", kernel=None, why="raised")


def _on_its_device(patch: Patch, plan: Plan, tensors: list, given: Arguments, owned: bool = False):
    """Runs the kernel with the tensors' own device as the current one, which Triton launches on."""
    mask, device = broadcastable(given.mask), tensors[0].device
    if device.type != "cuda" or device.index == torch.cuda.current_device():
        return dispatch.run(plan, patch.kernels, tensors, mask, given.scale, owned)
    with torch.cuda.device(device):
        return dispatch.run(plan, patch.kernels, tensors, mask, given.scale, owned)


def _default(plan: Plan, func: Callable) -> Callable:
    """The host's own attention for a plan: one that must be exact gets it as without any launch flag."""
    return without_launch_flag(func, launch_flags.flags) if plan.exact else func
