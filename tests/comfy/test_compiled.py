"""A patched model under the host's own compile wrapper, in every order of patched and plain."""

import pytest
import torch
from sagekit.kernels_check.reference import relative_error
from sagekit.patches.attention import report
from sagekit.patches.attention.settings import Settings
from support.sampling import sample


@pytest.fixture
def compiled(attention):
    """compiled(model): the model with the host's wrapper, as its node TorchCompileModel sets it."""
    from comfy_api import torch_helpers
    from comfy_extras import nodes_torch_compile as nodes

    guards = getattr(nodes, "skip_torch_compile_dict", None)

    def compile_model(model):
        wrapped = model.clone()
        # The eager backend traces and guards as inductor does, and needs no C compiler.
        options = {"guard_filter_fn": guards} if guards else {}
        torch_helpers.set_torch_compile_wrapper(model=wrapped, backend="eager", options=options)
        return wrapped

    torch._dynamo.reset()
    return compile_model


@pytest.mark.parametrize(
    "order",
    [
        ("plain", "right", "wrong", "plain"),
        ("right", "plain", "right"),
        ("wrong", "right", "off", "plain"),
    ],
    ids=" ".join,
)
def test_compiled_is_as_uncompiled_whatever_was_compiled_before(wan, patch_model, compiled, order):
    plain = sample(wan)
    wrong = sample(patch_model(wan, Settings("wrong")))
    assert relative_error(wrong, plain) > 0.05
    for kernel in order:
        model = wan if kernel == "plain" else patch_model(wan, Settings(kernel))
        report._runs.clear()
        latent = sample(compiled(model))
        right = wrong if kernel == "wrong" else plain
        assert relative_error(latent, right) < 0.02, kernel
        if kernel in ("right", "wrong"):
            (run,) = report.runs()
            assert list(run["kernels"]) == [kernel] and run["fallbacks"] == {}
