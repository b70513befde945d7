"""Every kernel that this GPU and these packages have, against float32 attention. Needs an NVIDIA GPU."""

import pytest
from sagekit.check.probe import Probe
from sagekit.check.verdicts import OK
from sagekit.kernels.families import backends

torch = pytest.importorskip("torch", reason="torch is not installed")
if not torch.cuda.is_available() or torch.version.hip is not None:
    pytest.skip("no NVIDIA GPU that torch sees", allow_module_level=True)

CAPABILITY = torch.cuda.get_device_capability()


def has_code_for_this_gpu(backend) -> bool:
    return backend.capabilities is None or CAPABILITY in backend.capabilities


HERE = [name for name, one in backends().items() if not one.machine and has_code_for_this_gpu(one)]


@pytest.fixture(scope="module")
def probe():
    with Probe("cuda:0") as running:
        yield running


@pytest.mark.parametrize("name", HERE)
def test_it_agrees_with_float32_attention_at_every_call_it_declares(probe, name):
    verdict = probe.check(name)
    assert verdict.state == OK, verdict
    assert verdict.error <= backends()[name].tolerance


@pytest.mark.parametrize("name", [name for name in HERE if not backends()[name].exact])
def test_its_declared_tolerance_is_not_idle(probe, name):
    """A tolerance ten times what the kernel needs would let a broken one through."""
    verdict = probe.check(name)
    assert verdict.state == OK and verdict.error > backends()[name].tolerance / 10, verdict


@pytest.mark.parametrize("name", HERE)
def test_the_patch_runs_it_where_the_host_has_the_right_answer(attention, name, session):
    """Through the host's own call, in both layouts, against the host's own attention."""
    from sagekit.core.attention.override import Override
    from sagekit.core.attention.patch import PATCH_KEY, Patch
    from sagekit.core.attention.settings import Settings

    patch = Patch(Settings(name), session)
    patch.report.begin("test")
    options = {"optimized_attention_override": Override(patch), PATCH_KEY: patch}
    for skip_reshape in (False, True):
        shape = (2, 8, 1024, 64) if skip_reshape else (2, 1024, 8 * 64)
        q, k, v = (torch.randn(shape, device="cuda", dtype=torch.bfloat16) for _ in range(3))
        given = {"skip_reshape": skip_reshape}
        with torch.inference_mode():
            out = attention.attention_pytorch(q, k, v, 8, transformer_options=options, **given)
            right = attention.attention_pytorch(q.float(), k.float(), v.float(), 8, **given)
        assert float((out.float() - right).norm() / right.norm()) < backends()[name].tolerance
    assert patch.report.open.kernels() == {name: 2}
