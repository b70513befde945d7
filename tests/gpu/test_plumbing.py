"""Every kernel of this machine through the override, over the whole grid of calls. Needs an NVIDIA GPU.

What a kernel does not take runs on the host; either way the answer is that of float32 attention.
"""

import pytest
from sagekit.kernels_check.backends import backends
from sagekit.kernels_check.reference import relative_error
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


@pytest.mark.parametrize("head_dim", HEAD_DIMS)
@pytest.mark.parametrize("name", HERE)
def test_every_form_of_call_gives_what_float32_gives(attention, name, head_dim):
    from sagekit.patches.attention.dispatch import Kernels
    from sagekit.patches.attention.host.override import make_override
    from sagekit.patches.attention.host.patch import PATCH_KEY, Patch
    from sagekit.patches.attention.settings import Settings

    patch = Patch(Settings(name), Kernels(backends()))
    options = {"optimized_attention_override": make_override(patch, None), PATCH_KEY: patch}
    for dtype in TOLERANCES:
        for qkv, given in calls(attention, head_dim, dtype, "cuda"):
            patch.report.begin("test")
            before = [tensor.clone() for tensor in qkv]
            with torch.inference_mode():
                out = attention.attention_pytorch(*qkv, HEADS, transformer_options=options, **given)
                mask = given["mask"]
                wide = given | {"mask": mask if mask is None or mask.dtype == torch.bool else mask.float()}
                right = attention.attention_pytorch(*(tensor.float() for tensor in qkv), HEADS, **wide)
            ran = patch.report.open.kernels()
            tolerance = backends()[name].tolerance if ran else TOLERANCES[dtype]
            where = f"{given}, q {tuple(qkv[0].shape)}, k {tuple(qkv[1].shape)}, ran {ran}"
            assert not any("raised" in note for note in patch.report.open.notes.values()), where
            assert out.shape == right.shape and out.dtype == dtype, where
            assert relative_error(out, right) < tolerance, where
            assert all(torch.equal(*pair) for pair in zip(before, qkv, strict=True)), where
