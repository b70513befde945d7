"""The node's own backend, inductor, on the CPU: its C++ compiler, its accuracy and its cache on disk."""

import os
import shutil

import pytest
import torch
from sagekit.kernels_check.reference import relative_error
from support.compiling import lora
from support.sampling import sample

# float32 throughout, in which inductor's own order of additions is all that differs.
FLOAT32 = 1e-5


@pytest.fixture
def start(attention, monkeypatch, tmp_path):
    """start(model) -> its latent, compiled as after a start of ComfyUI, and what the node said last."""
    import comfy.ldm.wan.model
    import folder_paths
    from sagekit.patches.compile import Settings, compiled, patch_model, watch
    from torch._inductor.utils import clear_caches

    if shutil.which("g++") is None and shutil.which("clang++") is None:
        pytest.skip("no C++ compiler")
    said = []

    def say(node_id, line, text="", **others):
        said.append(text or line)

    monkeypatch.setattr(watch.messages, "say", say)
    monkeypatch.setattr(comfy.ldm.wan.model, "optimized_attention", attention.attention_pytorch)
    monkeypatch.setattr(folder_paths, "get_user_directory", lambda: str(tmp_path))
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)

    def run(given, **settings):
        torch._dynamo.reset()
        clear_caches()
        compiled._models.clear()
        return sample(patch_model(given, Settings(**settings))), said[-1]

    yield run
    torch._dynamo.reset()
    clear_caches()


def test_the_second_start_takes_the_code_from_the_folder_that_is_kept(wan, start, tmp_path):
    import torch._inductor.config

    def state():
        configs = (torch._dynamo.config.get_config_copy(), torch._inductor.config.get_config_copy())
        # An address for torch's own generated code, the same as long as the process lives.
        own = {name: value for name, value in os.environ.items() if not name.startswith("_TORCHINDUCTOR")}
        return [{name: value} for one in (own, *configs) for name, value in one.items()]

    before, right = state(), sample(wan)
    latent, text = start(wan)
    assert relative_error(latent, right) < FLOAT32
    assert text.startswith("2 blocks compiled: 1 graph in ") and "cache" not in text
    assert any((tmp_path / "sagekit" / "tc").rglob("*.so"))
    for model in (wan, lora(wan, 1.0, 0)):
        latent, text = start(model)
        assert text.startswith("2 blocks compiled: 1 graph in ") and "1 from the cache on disk" in text
        assert relative_error(latent, sample(model)) < FLOAT32
    assert [one for one in state() if one not in before] == []


def test_switched_off_the_cache_leaves_nothing_in_the_users_folder(wan, start, tmp_path, monkeypatch):
    named = tmp_path / "named"
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(named))
    start(wan, cache=False)
    assert any(named.rglob("*.so")) and not (tmp_path / "sagekit").exists()
    # A folder that the user named is kept to, whatever the node says.
    start(wan, cache=True)
    assert not (tmp_path / "sagekit").exists()


def test_a_missing_compiler_is_found_before_anything_is_compiled(wan, start, monkeypatch):
    from sagekit.patches.compile import machine

    machine._complete.clear()
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.setattr(torch._inductor.config.cpp, "cxx", (None, "no-such-compiler"))
    before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    latent, text = start(wan)
    machine._complete.clear()
    assert torch.equal(latent, sample(wan))
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == before
    assert "runs uncompiled: no C++ compiler was found; Linux: install gcc" in text
