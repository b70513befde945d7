"""The function that ComfyUI calls in place of its own attention."""

from collections.abc import Callable
from dataclasses import replace

import torch

from .. import dispatch
from ..dispatch import Plan
from .arguments import Arguments, broadcastable, heads_apart, heads_joined, read
from .patch import FORWARD_KEY, PATCH_KEY, Patch, place

_ARGUMENTS_AFTER_QKV = ("heads", "mask", "attn_precision", "skip_reshape", "skip_output_reshape")
_UNREADABLE = Plan(why="layout")


def make_override(patch: Patch, previous: Callable | None) -> Callable:
    """The override of one patched model.

    Args:
        patch: The state behind it.
        previous: An override that was on the model before, of another pack; None without one. It takes
            every call that no kernel of ours takes.
    """

    def override(func, *args, **kwargs):
        if torch.compiler.is_compiling():
            # Counting and choosing are not for tracing: the graph breaks here, or nothing of ours runs.
            return (patch.outside_graph or fall_back)(func, *args, **kwargs)
        return attend(func, *args, **kwargs)

    def attend(func, *args, **kwargs):
        options = kwargs.get("transformer_options") or {}
        plan, given = _plan(patch, args, kwargs, options)
        if plan is None:
            return fall_back(func, *args, **kwargs)
        if plan.quantised:
            plan = _watched(patch, plan, given, options)
        if plan.kernel is not None:
            out = _run(patch, plan, given)
            if out is not None:
                patch.report.count(plan)
                return out
            plan = _dropped(patch, plan)
        patch.report.count(plan)
        return fall_back(_without_launch_flag(func) if plan.exact else func, *args, **kwargs)

    def fall_back(func, *args, **kwargs):
        return func(*args, **kwargs) if previous is None else previous(func, *args, **kwargs)

    def container_function(q, k, v, *rest, **kwargs):
        """As ``override`` for tensor containers, with which ComfyUI gives no function to fall back on."""
        if torch.compiler.is_compiling():
            return override(_host_default().__wrapped__, q.take(), k.take(), v.take(), *rest, **kwargs)
        options = kwargs.get("transformer_options") or {}
        plan = _plan(patch, (q.peek(), k.peek(), v.peek(), *rest), kwargs, options)[0]
        forward = options.get(FORWARD_KEY)
        rechecks = forward is not None and forward.recheck
        if plan is not None and plan.proven and plan.kernel.attend_owned is not None and not rechecks:
            if plan.quantised and forward is not None:
                forward.quantised = True
            return _run_owned(patch, plan, [q, k, v], rest, kwargs, fall_back)
        with_containers = getattr(previous or _host_default(), "container_function", None)
        if with_containers is not None and (plan is None or not (plan.kernel or plan.exact)):
            if plan is not None:
                patch.report.count(plan)
            return with_containers(q, k, v, *rest, **kwargs)
        return override(_host_default().__wrapped__, q.take(), k.take(), v.take(), *rest, **kwargs)

    override.container_function = container_function
    override.sagekit_previous = previous
    override.sagekit_eager = attend
    return override


def _plan(patch: Patch, args: tuple, kwargs: dict, options: dict) -> tuple[Plan | None, Arguments | None]:
    """What this patch does with a call; no plan where a later SageKit node has the model."""
    if options.get(PATCH_KEY, patch) is not patch:
        return None, None
    given = read(args, kwargs)
    return (_UNREADABLE if given is None else patch.plan(given, options)), given


def _watched(patch: Patch, plan: Plan, given: Arguments, options: dict) -> Plan:
    """Tells the guard that a quantised kernel runs; in a second forward, tries it beside an exact one."""
    forward = options.get(FORWARD_KEY)
    if forward is None:
        return plan
    if not forward.recheck:
        forward.quantised = True
        return plan
    patch.guard.tried(plan.name, place(plan, options), _run(patch, plan, given))
    return patch.guarded_plan(given)


def _run(patch: Patch, plan: Plan, given: Arguments):
    """The kernel's output in the caller's form, None where the kernel was dropped instead."""
    out = _on_its_device(patch, plan, _apart(plan, given), given)
    return None if out is None else heads_joined(out, plan.call, given.skip_output_reshape)


def _run_owned(patch: Patch, plan: Plan, containers: list, rest: tuple, kwargs: dict, fall_back: Callable):
    """As ``_run`` with q, k, v taken out of their containers, so that the kernel can free them."""
    given = read((*(container.take() for container in containers), *rest), kwargs)
    tensors = _apart(plan, given)
    given = given._replace(q=None, k=None, v=None)
    out = _on_its_device(patch, plan, tensors, given, owned=True)
    if out is not None:
        patch.report.count(plan)
        return heads_joined(out, plan.call, given.skip_output_reshape)
    patch.report.count(_dropped(patch, plan))
    named = dict(zip(_ARGUMENTS_AFTER_QKV, rest, strict=False)) | kwargs | {"skip_reshape": True}
    return fall_back(_host_default().__wrapped__, *tensors, named.pop("heads"), **named)


def _dropped(patch: Patch, plan: Plan) -> Plan:
    """What became of a call whose kernel raised, for the report."""
    patch.report.note(patch.kernels.why_dropped(plan.name))
    return replace(plan, name="", kernel=None, why="raised")


def _apart(plan: Plan, given: Arguments) -> list:
    return [
        heads_apart(given.q, plan.call, False, given.skip_reshape),
        heads_apart(given.k, plan.call, True, given.skip_reshape),
        heads_apart(given.v, plan.call, True, given.skip_reshape),
    ]


def _on_its_device(patch: Patch, plan: Plan, tensors: list, given: Arguments, owned: bool = False):
    """Runs the kernel with the tensors' own device as the current one, which Triton launches on."""
    mask, device = broadcastable(given.mask), tensors[0].device
    if device.type != "cuda" or device.index == torch.cuda.current_device():
        return dispatch.run(plan, patch.kernels, tensors, mask, given.scale, owned)
    with torch.cuda.device(device):
        return dispatch.run(plan, patch.kernels, tensors, mask, given.scale, owned)


def _host_default() -> Callable:
    """The attention that ComfyUI chose at its start."""
    from comfy.ldm.modules import attention

    return attention.optimized_attention


def _without_launch_flag(func: Callable) -> Callable:
    """What ``func`` would be, had no flag made a flash or quantised kernel ComfyUI's default.

    The order below is the one in which ComfyUI chooses at its start (comfy/ldm/modules/attention.py).
    """
    from comfy import model_management
    from comfy.cli_args import args
    from comfy.ldm.modules import attention

    flags = ("use_sage_attention", "use_flash_attention", "use_ck_attention")
    is_default = func is getattr(attention.optimized_attention, "__wrapped__", None)
    if not is_default or not any(getattr(args, flag, False) for flag in flags):
        return func
    if model_management.xformers_enabled():
        return attention.attention_xformers
    if model_management.pytorch_attention_enabled():
        return attention.attention_pytorch
    return attention.attention_split if args.use_split_cross_attention else attention.attention_sub_quad
