"""Every kernel of this machine through the override, over the whole grid of calls. Needs an NVIDIA GPU."""

from collections import Counter

import pytest
from sagekit.kernels_check import reference
from sagekit.kernels_check.backends import backends
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


def right_answer(qkv, given, head_dim):
    """Float32 attention, in the form that the call asks for."""
    from sagekit.patches.attention.host.arguments import broadcastable

    q, k, v = (
        one if given["skip_reshape"] else one.unflatten(2, (-1, head_dim)).transpose(1, 2) for one in qkv
    )
    out = reference.attention(q, k, v, broadcastable(given["mask"]), given.get("scale"))
    return out if given["skip_output_reshape"] else out.transpose(1, 2).flatten(2)


@pytest.fixture(scope="module")
def patches(attention):
    """The patch and the transformer_options of each kernel that this machine has, by name."""
    from sagekit.patches.attention.dispatch import Kernels
    from sagekit.patches.attention.host.override import make_override
    from sagekit.patches.attention.host.patch import PATCH_KEY, Patch
    from sagekit.patches.attention.settings import Settings

    made = {}
    for name in HERE:
        patch = Patch(Settings(name), Kernels(backends()))
        options = {"optimized_attention_override": make_override(patch, None), PATCH_KEY: patch}
        made[name] = patch, options
    return made


@pytest.mark.parametrize("head_dim", HEAD_DIMS)
def test_every_form_of_call_runs_on_the_kernel_exactly_enough_or_gives_the_hosts_own_bits(
    attention, patches, head_dim
):
    wrong, ran = [], Counter()
    for dtype in TOLERANCES:
        for qkv, given in calls(attention, head_dim, dtype, "cuda"):
            before = [tensor.clone() for tensor in qkv]
            with torch.inference_mode():
                host = attention.attention_pytorch(*qkv, HEADS, **given)
                right = right_answer(qkv, given, head_dim)
            for name, (patch, options) in patches.items():
                patch.report.begin("test")
                with torch.inference_mode():
                    out = attention.attention_pytorch(*qkv, HEADS, transformer_options=options, **given)
                (plan,) = patch.report.open.counts
                error = reference.relative_error(out, right)
                # The plan's error is that of some rows; the whole is near it.
                good = error < 1.5 * patch.settings.budget if plan.name else torch.equal(out, host)
                good &= plan.why != "raised" and out.shape == host.shape and out.dtype == dtype
                if not good or not all(torch.equal(*pair) for pair in zip(before, qkv, strict=True)):
                    shapes = f"{tuple(qkv[0].shape)} {tuple(qkv[1].shape)} {dtype}"
                    wrong.append(f"{name} ({plan.name or plan.why}): {error:.2g} at {shapes} {given}")
                ran[name] += bool(plan.name)
    assert not wrong, "\n".join(wrong[:20])
    takers = {name for name in HERE if head_dim in backends()[name].head_dims}
    assert {name for name, count in ran.items() if count} == takers
