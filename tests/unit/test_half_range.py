"""v brought inside float16's range: finite after the kernel's cast, and the output as if nothing had been."""

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from sagekit.kernels.families._half_range import ACCUMULATED, CAST, undo, within  # noqa: E402


@pytest.mark.parametrize("largest", [1.0, 65280.0, 65504.0, 65536.0, 1e6, 3e38])
@pytest.mark.parametrize("limit", [CAST, ACCUMULATED])
def test_what_a_kernel_casts_to_float16_is_finite_and_its_sums_fit(largest, limit):
    v = torch.linspace(-1, 1, 999).mul(largest).to(torch.bfloat16)
    small, factor = within(v, limit)
    assert torch.isfinite(small.half()).all()
    if limit == ACCUMULATED:
        assert torch.isfinite(small.half().abs().max() * 64)
    back, right = undo(small.clone(), factor).double(), v.double()
    assert float((back - right).norm() / right.norm()) < 0.01


def test_what_is_small_already_is_not_changed():
    v = torch.randn(100).to(torch.bfloat16)
    small, factor = within(v, ACCUMULATED)
    assert torch.equal(small, v) and float(factor) == 1.0


def test_float16_needs_no_help_against_a_cast_to_float16():
    v = torch.full((4,), 65504.0, dtype=torch.float16)
    small, factor = within(v, CAST)
    assert small is v and factor is None and undo(v, factor) is v
