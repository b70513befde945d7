"""All three nodes with real kernels in ComfyUI's own sampler. Needs an NVIDIA GPU."""

from dataclasses import replace

import pytest
from sagekit.check.reference import relative_error
from sagekit.core.attention.settings import Settings
from sagekit.kernels.families import backends
from support.compiling import sample_at

torch = pytest.importorskip("torch", reason="torch is not installed")
if not torch.cuda.is_available() or torch.version.hip is not None:
    pytest.skip("no NVIDIA GPU that torch sees", allow_module_level=True)

CAPABILITY = torch.cuda.get_device_capability()
HERE = [
    name
    for name, one in backends().items()
    if not one.machine and (one.capabilities is None or CAPABILITY in one.capabilities)
]
# 512 tokens of self- and 64 of cross-attention: what every kernel takes.
SIZE, TOKENS = (4, 16, 32), 64
CALLS = 8  # two blocks with a self- and a cross-attention each, two steps
# Two samplings that round differently in bfloat16; a wrong kernel is off by far more.
CLOSE = 0.05
SAGE1 = "sage1-int8-fp16"


def run(model) -> "torch.Tensor":
    with torch.inference_mode():
        return sample_at(model, SIZE, TOKENS)


@pytest.mark.parametrize("name", [*HERE, "auto"])
def test_a_kernel_takes_the_calls_of_a_model_and_its_latent_is_near_plains(wan, patch_model, name, session):
    plain = run(wan)
    latent = run(patch_model(wan, Settings(name)))
    assert torch.isfinite(latent).all() and relative_error(latent, plain) < CLOSE
    (told,) = session.runs.ended()
    assert sum((told["kernels"] | told["fallbacks"]).values()) == CALLS
    if name != "auto":
        assert told["kernels"] == {name: CALLS}
    assert torch.equal(run(wan), plain)


@pytest.mark.parametrize("kernel", ["auto", *[name for name in HERE if not backends()[name].exact]])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_all_three_nodes_together_are_near_plain_and_leave_torch_as_it_was(
    load_wan, patch_model, kernel, dtype, session
):
    from sagekit.core import compile as compiling
    from sagekit.core import fp16_accumulation

    model = load_wan(dtype)
    plain = run(model)
    before = torch.backends.cuda.matmul.allow_fp16_accumulation
    patched = patch_model(model, Settings(kernel))
    patched = compiling.patch_model(patched, compiling.Settings(), session)
    patched = fp16_accumulation.patch_model(patched, True, session)
    latent = run(patched)
    assert torch.isfinite(latent).all() and relative_error(latent, plain) < CLOSE
    assert torch.backends.cuda.matmul.allow_fp16_accumulation == before
    (told,) = session.runs.ended()
    assert sum((told["kernels"] | told["fallbacks"]).values()) == CALLS
    if kernel != "auto":
        assert told["kernels"] == {kernel: CALLS}
    assert torch.equal(run(model), plain)


@pytest.fixture
def enlarge_v(wan):
    """enlarge_v() takes v of one block out of float16's range; what the model computes stays the same.

    A power of two, which bfloat16 takes without rounding, is put into v and taken out behind the attention.
    """
    block, done = wan.model.diffusion_model.blocks[1].self_attn, []

    def scale(by: float) -> None:
        with torch.inference_mode():
            for weight in (block.v.weight, block.v.bias):
                weight.mul_(by)
            block.o.weight.mul_(1 / by)
        done.append(by)

    yield lambda: scale(2.0**20)
    for by in list(done):
        scale(1 / by)


@pytest.mark.skipif(SAGE1 not in HERE, reason="sageattention 1 is not installed, or does not run on this GPU")
def test_values_past_float16_turn_sageattention_1_to_nan_and_the_latent_is_that_of_exact_attention(
    wan, patch_model, enlarge_v, monkeypatch, session
):
    """The kernel as its package has it, which casts v to float16; as it is declared here, v is scaled."""
    from sageattention import sageattn
    from sagekit.core.attention.dispatch import Kernels
    from sagekit.kernels.backend import Kernel

    def attend(q, k, v, *, mask=None, scale=None):
        k = k - k.mean(dim=2, keepdim=True)
        return sageattn(q, k, v, tensor_layout="HND", sm_scale=scale, smooth_k=False)

    right = run(wan)
    declared = patch_model(wan, Settings(SAGE1))
    bare = Kernels({SAGE1: replace(backends()[SAGE1], load=lambda: Kernel(attend))})
    session.kernels = bare
    bare = patch_model(wan, Settings(SAGE1))
    for model in (declared, bare):
        assert relative_error(run(model), right) < CLOSE
        assert (
            session.runs.ended()[-1]["kernels"] == {SAGE1: CALLS} and session.runs.ended()[-1]["notes"] == []
        )
    enlarge_v()
    assert torch.equal(run(wan), right)
    assert relative_error(run(declared), right) < CLOSE
    assert session.runs.ended()[-1]["kernels"] == {SAGE1: CALLS} and session.runs.ended()[-1]["notes"] == []
    latent = run(bare)
    assert torch.isfinite(latent).all() and relative_error(latent, right) < CLOSE
    (note,) = session.runs.ended()[-1]["notes"]
    assert "gave NaN or Inf" in note and "block 1" in note and "run again with exact attention" in note
    assert relative_error(run(bare), right) < CLOSE
    # Only the block where it failed lost the kernel.
    assert session.runs.ended()[-1]["kernels"] == {SAGE1: CALLS // 2}


@pytest.mark.parametrize("keys", [None, ["diffusion_model.blocks.0", "diffusion_model.blocks.1"]])
def test_comfyuis_compiled_model_gives_the_same_bits_before_and_after_the_node(
    wan, patch_model, keys, session
):
    from comfy_api.torch_helpers import set_torch_compile_wrapper
    from comfy_extras.nodes_torch_compile import skip_torch_compile_dict

    def compiled(model):
        wrapped, options = model.clone(), {"guard_filter_fn": skip_torch_compile_dict}
        set_torch_compile_wrapper(model=wrapped, backend="inductor", keys=keys, options=options)
        return wrapped

    torch._dynamo.reset()
    plain = run(compiled(wan))
    torch._dynamo.reset()
    auto = patch_model(wan, Settings("auto"))
    for _ in range(2):
        session.runs.kept.clear()
        assert relative_error(run(compiled(auto)), plain) < CLOSE
        (told,) = session.runs.ended()
        assert sum((told["kernels"] | told["fallbacks"]).values()) == CALLS
        for model in (wan, patch_model(wan, Settings("off"))):
            assert torch.equal(run(compiled(model)), plain)
