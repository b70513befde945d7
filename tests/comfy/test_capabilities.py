"""What a host can do is found out by looking: keywords that it ignores, allocations that it records."""

import contextlib
import sys
import traceback
import types

import pytest
import torch
from sagekit.core.attention.dispatch import Kernels
from sagekit.core.attention.settings import Settings
from sagekit.host import capabilities
from support import fake_kernels
from support.sampling import sample
from torch.utils._python_dispatch import TorchDispatchMode


@pytest.fixture
def attend(attention, wan, patch_model):
    """attend(**arguments) -> what a patched model's call gives, with an exact kernel of ours."""
    patched = patch_model(wan, Settings("rough", quality="fast"))
    options = patched.model_options["transformer_options"]
    override = options["optimized_attention_override"]
    own = attention.attention_pytorch.__wrapped__

    def call(q, k, v, heads, **named):
        return override(own, q, k, v, heads, transformer_options=options, **named), own(
            q, k, v, heads, **named
        )

    return call


def test_a_scale_counts_where_the_host_counts_it(attend):
    torch.manual_seed(0)
    q, k, v = (torch.randn(1, 64, 128) for _ in range(3))
    ours, hosts = attend(q, k, v, 2, scale=0.5)
    # The kernel is 4.5 % off, and a scale of 0.5 for 0.125 changes the answer by more than the half.
    assert (ours - hosts).norm() < 0.05 * hosts.norm()
    assert (ours != hosts).any()


def test_what_an_older_host_does_not_read_is_not_read_here(attend, attention, monkeypatch):
    def attention_pytorch(q, k, v, heads, mask=None, **kwargs):
        raise AssertionError("only looked at")

    monkeypatch.setattr(attention, "attention_pytorch", attention_pytorch)
    capabilities.ignored.cache_clear()
    try:
        assert capabilities.ignored() == {"scale", "enable_gqa"}
        q, k, v = (torch.randn(1, 64, 128) for _ in range(3))
        ours, _ = attend(q, k, v, 2, scale=0.5)
        without, _ = attend(q, k, v, 2)
        assert torch.equal(ours, without)
    finally:
        capabilities.ignored.cache_clear()


class _Allocations(TorchDispatchMode):
    """Notes every tensor with memory of its own that code of ours asks for while nothing is paused."""

    def __init__(self, state) -> None:
        super().__init__()
        self._state = state
        self.unpaused: list[str] = []
        self.paused = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        before = {one.untyped_storage().data_ptr() for one in args if isinstance(one, torch.Tensor)}
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor) and out.untyped_storage().data_ptr() not in before:
            ours = [one for one in traceback.extract_stack() if "/core/attention/" in one.filename]
            measuring = [one for one in ours if one.filename.endswith(_MEASURING)]
            if measuring and self._state["paused"]:
                self.paused += 1
            elif measuring:
                self.unpaused.append(f"{func} in {measuring[-1]}")
        return out


_MEASURING = ("bench.py", "accuracy.py", "timing.py", "routes.py")


def test_measuring_and_sampling_allocate_nothing_that_a_host_records(wan, patch_model, monkeypatch, session):
    state = {"paused": 0, "times": 0}

    @contextlib.contextmanager
    def pause_malloc_graph():
        state["paused"] += 1
        state["times"] += 1
        yield
        state["paused"] -= 1

    fake = types.ModuleType("comfy.model_prefetch")
    fake.pause_malloc_graph = pause_malloc_graph
    monkeypatch.setitem(sys.modules, "comfy.model_prefetch", fake)
    facts = {name: fake_kernels.in_a_model()[name] for name in ("right", "rough")}
    kernels = {name: fake_kernels.backend(name, **some) for name, some in facts.items()}
    session.kernels = Kernels(kernels)
    capabilities._pause.cache_clear()
    try:
        for settings in (Settings("auto", quality="fast"), Settings("rough", quality="fast")):
            with _Allocations(state) as seen:
                sample(patch_model(wan, settings))
            assert seen.unpaused == []
            assert seen.paused > 0 and state["paused"] == 0
    finally:
        capabilities._pause.cache_clear()
    assert state["times"] > 0


def test_a_host_that_records_nothing_is_left_alone(monkeypatch):
    monkeypatch.setitem(sys.modules, "comfy.model_prefetch", types.ModuleType("comfy.model_prefetch"))
    capabilities._pause.cache_clear()
    try:
        assert isinstance(capabilities.unrecorded(), contextlib.nullcontext)
    finally:
        capabilities._pause.cache_clear()
