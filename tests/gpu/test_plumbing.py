"""Every kernel of this machine through the override, over the whole grid of calls. Needs an NVIDIA GPU."""

import functools
from types import SimpleNamespace

import pytest
from sagekit.check import reference
from sagekit.kernels.families import backends
from support.plumbing import HEAD_DIMS, HEADS, TOLERANCES, calls

torch = pytest.importorskip("torch", reason="torch is not installed")
if not torch.cuda.is_available() or torch.version.hip is not None:
    pytest.skip("no NVIDIA GPU that torch sees", allow_module_level=True)

CAPABILITY = torch.cuda.get_device_capability()
HERE = [
    name
    for name, one in backends().items()
    if not one.machine and (one.capabilities is None or CAPABILITY in one.capabilities)
]
DTYPES = {str(dtype).removeprefix("torch."): dtype for dtype in TOLERANCES}


@functools.lru_cache(maxsize=1)  # The kernels of one dtype and head_dim follow each other.
def answered_calls(attention, dtype, head_dim) -> list[SimpleNamespace]:
    """The grid's calls with the host's own answer and the right one."""
    found = []
    for qkv, given in calls(attention, head_dim, dtype, "cuda"):
        with torch.inference_mode():
            # A process's first one may differ from all that follow, with bfloat16 and head_dim 256 for one
            # (relative 0.0026; H200, torch 2.11.0+cu130, 2026-11-24).
            attention.attention_pytorch(*qkv, HEADS, **given)
            host = attention.attention_pytorch(*qkv, HEADS, **given)
            right = right_answer(qkv, given, head_dim)
        before = [tensor.clone() for tensor in qkv]
        found.append(SimpleNamespace(qkv=qkv, given=given, host=host, right=right, before=before))
    return found


def right_answer(qkv, given, head_dim):
    """Float32 attention, in the form that the call asks for."""
    from sagekit.host.arguments import broadcastable

    q, k, v = (
        one if given["skip_reshape"] else one.unflatten(2, (-1, head_dim)).transpose(1, 2) for one in qkv
    )
    out = reference.attention(q, k, v, broadcastable(given["mask"]), given.get("scale"))
    return out if given["skip_output_reshape"] else out.transpose(1, 2).flatten(2)


@pytest.mark.parametrize("name", HERE)  # Innermost.
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("head_dim", HEAD_DIMS)
def test_every_form_of_call_runs_on_the_kernel_exactly_enough_or_gives_the_hosts_own_bits(
    attention, head_dim, dtype, name, session
):
    from sagekit.core.attention.override import Override
    from sagekit.core.attention.patch import PATCH_KEY, Patch
    from sagekit.core.attention.plan import Routed
    from sagekit.core.attention.settings import Settings

    patch = Patch(Settings(name), session)
    options = {"optimized_attention_override": Override(patch), PATCH_KEY: patch}
    wrong, ran = [], 0
    for call in answered_calls(attention, DTYPES[dtype], head_dim):
        patch.report.begin("test")
        with torch.inference_mode():
            out = attention.attention_pytorch(*call.qkv, HEADS, transformer_options=options, **call.given)
        (plan,) = patch.report.open.counts
        error = reference.relative_error(out, call.right)
        # The plan's error is that of some rows; the whole is near it.
        routed = isinstance(plan, Routed)
        good = error < 1.5 * patch.settings.budget if routed else torch.equal(out, call.host)
        good &= routed or plan.why != "raised"
        good &= out.shape == call.host.shape and out.dtype == call.host.dtype
        if not good or not all(torch.equal(*pair) for pair in zip(call.before, call.qkv, strict=True)):
            shapes = f"{tuple(call.qkv[0].shape)} {tuple(call.qkv[1].shape)}"
            who = plan.name if isinstance(plan, Routed) else plan.why
            wrong.append(f"{who}: {error:.2g} at {shapes} {call.given}")
        ran += routed
    assert not wrong, f"{len(wrong)} calls, among them\n" + "\n".join(wrong[:20])
    takes = head_dim in backends()[name].head_dims and dtype in backends()[name].dtypes
    assert bool(ran) == takes
