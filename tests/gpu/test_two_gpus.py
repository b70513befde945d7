"""Two real GPUs in one ComfyUI: calls on the second one, and the host's clones with a thread each."""

from collections import Counter

import pytest
from sagekit.check import reference
from sagekit.check.reference import relative_error
from sagekit.core.attention import report
from sagekit.core.attention.settings import Settings
from sagekit.kernels.families import backends
from support.compiling import guided

torch = pytest.importorskip("torch", reason="torch is not installed")
if not torch.cuda.is_available() or torch.version.hip is not None or torch.cuda.device_count() < 2:
    pytest.skip("no two NVIDIA GPUs that torch sees", allow_module_level=True)

SECOND = torch.device("cuda:1")
CAPABILITY = torch.cuda.get_device_capability(SECOND)
HERE = [
    name
    for name, one in backends().items()
    if not one.machine and (one.capabilities is None or CAPABILITY in one.capabilities)
]
CALLS = 32  # two blocks with a self- and a cross-attention each, four steps, two prompts
CLOSE = 0.05


@pytest.mark.parametrize("name", HERE)
def test_a_kernel_runs_where_the_tensors_are_and_not_on_the_current_gpu(attention, name, session):
    from sagekit.core.attention.override import Override
    from sagekit.core.attention.patch import PATCH_KEY, Patch

    patch = Patch(Settings(name), session)
    patch.report.begin("test")
    options = {"optimized_attention_override": Override(patch), PATCH_KEY: patch}
    q, k, v = (torch.randn(2, 1024, 8 * 64, device=SECOND, dtype=torch.bfloat16) for _ in range(3))
    with torch.cuda.device(0), torch.inference_mode():
        for _ in range(2):  # The first call of a class is checked, the second only run.
            out = attention.attention_pytorch(q, k, v, 8, transformer_options=options)
            assert torch.cuda.current_device() == 0
    right = reference.attention(*(one.unflatten(2, (8, 64)).transpose(1, 2) for one in (q, k, v)))
    assert out.device == SECOND
    assert relative_error(out, right.transpose(1, 2).flatten(2)) < backends()[name].tolerance
    assert patch.report.open.kernels() == {name: 2}


def test_every_kernel_that_auto_measures_is_timed_on_the_gpu_of_the_call(attention, monkeypatch, session):
    from sagekit.core.attention.override import Override
    from sagekit.core.attention.patch import PATCH_KEY, Patch

    patch = Patch(Settings("auto"), session)
    patch.report.begin("test")
    options = {"optimized_attention_override": Override(patch), PATCH_KEY: patch}
    used = {device: torch.cuda.memory_allocated(device) for device in (0, 1)}
    q, k, v = (torch.randn(1, 4096, 8 * 64, device=SECOND, dtype=torch.bfloat16) for _ in range(3))
    torch.cuda.reset_peak_memory_stats(0)
    with torch.inference_mode():
        attention.attention_pytorch(q, k, v, 8, transformer_options=options)
    assert torch.cuda.max_memory_allocated(0) == used[0], "something was put on the other GPU"
    (found,) = session.times.newest(9)[torch.cuda.get_device_name(SECOND)].values()
    assert len(found) > 2


@pytest.fixture
def on_both(wan):
    """The model as ComfyUI's MultiGPU node clones it."""
    multigpu = pytest.importorskip("comfy.multigpu", reason="this ComfyUI has no multi-GPU clones")
    return lambda model: multigpu.create_multigpu_deepclones(model, 2)


def cfg_sample(model) -> "torch.Tensor":
    import comfy.samplers

    with torch.inference_mode():
        return guided(comfy.samplers.CFGGuider(model), model, size=(4, 16, 32), tokens=64)


@pytest.mark.parametrize("name", [*HERE, "auto", "off"])
def test_clones_on_both_gpus_run_by_the_node_of_their_base(wan, patch_model, on_both, name, session):
    plain = cfg_sample(wan)
    latent = cfg_sample(on_both(patch_model(wan, Settings(name))))
    assert torch.isfinite(latent).all() and relative_error(latent, plain) < CLOSE
    (told,) = session.runs.ended()
    assert sum((told["kernels"] | told["fallbacks"]).values()) == CALLS
    if name in HERE:
        assert told["kernels"] == {name: CALLS}
    assert torch.cuda.current_device() == 0


@pytest.mark.parametrize("kernel", [name for name in HERE if not backends()[name].exact][:1] or ["auto"])
def test_all_three_nodes_on_both_gpus(wan, patch_model, on_both, kernel, session):
    from sagekit.core import compile as compiling
    from sagekit.core import fp16_accumulation

    plain = cfg_sample(wan)
    before = torch.backends.cuda.matmul.allow_fp16_accumulation
    patched = compiling.patch_model(patch_model(wan, Settings(kernel)), compiling.Settings(), session)
    patched = on_both(fp16_accumulation.patch_model(patched, True, session))
    for _ in range(2):
        latent = cfg_sample(patched)
        assert torch.isfinite(latent).all() and relative_error(latent, plain) < CLOSE
        told = session.runs.ended()[-1]
        assert sum((told["kernels"] | told["fallbacks"]).values()) == CALLS
    assert torch.backends.cuda.matmul.allow_fp16_accumulation == before


def test_a_kernel_that_fails_on_one_gpu_costs_no_image(wan, patch_model, on_both, monkeypatch, session):
    """NaN from the third call on, on the second GPU alone: its half is run again, the other one's stays."""
    from sagekit.core.attention import override

    quantised = [name for name in HERE if not backends()[name].exact]
    if not quantised:
        pytest.skip("no quantised kernel is installed")
    run, calls = override.dispatch.run, Counter()

    def spoiled(plan, kernels, tensors, *given):
        device = tensors[0].device
        calls[device] += 1
        out = run(plan, kernels, tensors, *given)
        return torch.full_like(out, float("nan")) if device == SECOND and calls[device] > 3 else out

    plain = cfg_sample(wan)
    patched = on_both(patch_model(wan, Settings(quantised[0])))
    monkeypatch.setattr(override.dispatch, "run", spoiled)
    latent = cfg_sample(patched)
    assert set(calls) == {torch.device("cuda:0"), SECOND}
    assert torch.isfinite(latent).all() and relative_error(latent, plain) < CLOSE
    assert [one["code"] for one in session.runs.ended()[0]["warnings"]] == ["guard"]


def test_the_guard_reads_samples_of_blocks_that_lie_on_another_gpu_than_the_output(session):
    from sagekit.core.attention.guard import Forward, Guard, Quarantine, Reading

    guard = Guard(report.Report(Settings("auto"), session.runs), 0.05, Quarantine(), session.clock)
    forward = Forward()
    forward.readings = [
        Reading("a kernel", f"block {number}", "calls", torch.tensor([1e-4, 1.0], device=device))
        for number, device in enumerate(("cuda:0", "cuda:1"))
    ]
    assert guard.look(forward, [torch.ones(4, device=SECOND)])
    forward.readings = [
        Reading("a kernel", "block 1", "calls", torch.tensor([float("nan"), 1.0], device="cuda:0"))
    ]
    assert not guard.look(forward, [torch.ones(4, device=SECOND)])
