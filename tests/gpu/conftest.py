"""ComfyUI on the GPU, in this process: apart from other tests, since a process has ComfyUI on one device."""

import pytest
from support import tiny_models


@pytest.fixture(scope="module")
def attention(importable_host):
    """ComfyUI's attention module, of a ComfyUI that computes on the GPU."""
    from comfy import model_management
    from comfy.ldm.modules import attention

    if model_management.get_torch_device().type != "cuda":
        pytest.skip("ComfyUI computes on the CPU in this process: run tests/gpu by itself")
    return attention


@pytest.fixture(scope="module")
def load_wan(attention, tmp_path_factory):
    """load_wan(dtype) -> a tiny Wan 2.1: 2 blocks, a self- and a cross-attention in each, 2 heads of 128."""
    import comfy.sd
    from support.compiling import sample_at

    file, _ = tiny_models.write(tmp_path_factory.mktemp("models"))

    def load(dtype):
        model = comfy.sd.load_diffusion_model(str(file), model_options={"dtype": dtype})
        # A process's first sampling may differ from all that follow (H100, torch 2.11.0+cu130, 2026-11-25).
        sample_at(model, (4, 16, 32), 64)
        return model

    return load


@pytest.fixture(scope="module")
def wan(load_wan):
    import torch

    return load_wan(torch.bfloat16)


@pytest.fixture
def session():
    """What patched models share: the kernels of this machine, and no check before they are used."""
    from sagekit.core.session import Session
    from sagekit.kernels.families import backends

    return Session(backends(), unproven=lambda backend, gpu: None)


@pytest.fixture
def patch_model(attention, session):
    """patch_model(model, settings) with that session."""
    from sagekit.core.attention.model import patch_model

    return lambda model, settings: patch_model(model, settings, session)
