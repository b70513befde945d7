"""The node's own backend, inductor, on the CPU: its C++ compiler, its accuracy and its cache on disk."""

import inspect
import os
import shutil

import pytest
import torch
from sagekit.check.reference import relative_error
from sagekit.core.attention.settings import Settings as Sage
from support.compiling import lora
from support.sampling import sample
from support.tiny_architectures import ARCHITECTURES, build, sample_at

# float32 throughout, in which inductor's own order of additions is all that differs.
FLOAT32 = 1e-5


@pytest.fixture
def start(attention, session, monkeypatch, tmp_path):
    """start(model) -> its latent, compiled as after a start of ComfyUI, and what the node said last."""
    import comfy.ldm.wan.model
    import folder_paths
    from sagekit.core.compile import Settings, models, patch_model
    from torch._inductor.utils import clear_inductor_caches

    if shutil.which("g++") is None and shutil.which("clang++") is None:
        pytest.skip("no C++ compiler")
    said = []

    def say(node_id, line, lines=(), **others):
        said.append("\n".join(lines) or line)

    monkeypatch.setattr(session.messages, "say", say)
    monkeypatch.setattr(comfy.ldm.wan.model, "optimized_attention", attention.attention_pytorch)
    monkeypatch.setattr(folder_paths, "get_user_directory", lambda: str(tmp_path))
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    # Older versions of torch put it there when they first look for a GPU.
    monkeypatch.setenv("CUDA_MODULE_LOADING", "LAZY")

    def run(given, sample=sample, **settings):
        torch._dynamo.reset()
        clear_inductor_caches()
        session.compilations = models.Compilations()
        latent = sample(patch_model(given, Settings(**settings), session))
        return latent, next(text for text in reversed(said) if "compiled" in text)

    yield run
    torch._dynamo.reset()
    clear_inductor_caches()


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


def test_where_the_host_chooses_among_pytorchs_kernels_nothing_is_traced_again_for_the_second_start(
    wan, start, monkeypatch
):
    import comfy.ops
    from sagekit.core.compile import compiled
    from torch._dynamo.utils import counters
    from torch.nn.attention import SDPBackend, sdpa_kernel

    if not hasattr(torch._inductor.config, compiled._MARKED):
        pytest.skip("this torch cannot be told which functions leave nothing in a graph")
    exact = torch.nn.functional.scaled_dot_product_attention

    def as_on_a_gpu(q, k, v, *given, **options):
        with sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.MATH], set_priority=True):
            return exact(q, k, v, *given, **options)

    monkeypatch.setattr(comfy.ops, "scaled_dot_product_attention", as_on_a_gpu)
    right = sample(wan)
    for again in (False, True):
        counters.clear()
        latent, _ = start(wan)
        assert relative_error(latent, right) < FLOAT32
        kept = counters["aot_autograd"]
        assert (kept["autograd_cache_saved"], kept["autograd_cache_hit"]) == (int(not again), int(again))


def test_a_missing_compiler_is_found_before_anything_is_compiled(wan, start, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CXX", "no-such-compiler")
    before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    # As torch has it: pytest's own way takes a setting of torch's away when it puts it back.
    with torch._inductor.config.patch({"cpp.cxx": (None, "no-such-compiler")}):
        latent, text = start(wan)
    assert torch.equal(latent, sample(wan))
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == before
    assert "runs uncompiled: no C++ compiler was found; Linux: install gcc" in text


def test_flux_with_the_attention_node_turns_q_and_k_in_its_own_graph_and_keeps_that_on_disk(
    start, attention, patch_model, monkeypatch, session
):
    import comfy.ldm.flux.math as flux
    from sagekit.core.compile import rope

    if "quant_ops.ck" not in inspect.getsource(flux):
        pytest.skip("this ComfyUI turns q and k without Comfy Kitchen")
    monkeypatch.setattr(attention, "optimized_attention", attention.attention_pytorch)
    monkeypatch.setattr(flux, "optimized_attention", attention.attention_pytorch)
    taken, take_in = [], rope.take_in
    monkeypatch.setattr(rope, "take_in", lambda module: taken.append(take_in(module)))
    architecture = ARCHITECTURES["flux"]
    model = build(architecture)

    def sample(patched):
        return sample_at(patched, architecture, 0, 0, 16, steps=2)

    right = sample(model)
    for again in (False, True):
        taken.clear()
        latent, text = start(patch_model(model, Sage("right")), sample)
        assert relative_error(latent, right) < FLOAT32
        assert text.startswith("5 blocks compiled: 2 graphs in ")
        assert ("2 from the cache on disk" in text) == again
        assert taken == [1, 1]
        assert set(session.runs.ended()[-1]["kernels"]) == {"right"}
