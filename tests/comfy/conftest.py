"""Real hosts and real servers for the tests of this folder; skipped by name where one is missing."""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from support import base_directory, fake_kernels, host, kernel_packages, page, server, tiny_models

Start = Callable[..., AbstractContextManager[server.Server]]


@pytest.fixture(scope="session", params=["newest", "oldest"])
def host_folder(request) -> Path:
    oldest = request.param == "oldest"
    if reason := host.reason_to_skip(oldest):
        pytest.skip(reason)
    return (host.find_oldest() if oldest else host.find()).folder


@pytest.fixture(scope="session")
def start(host_folder, tmp_path_factory) -> Start:
    """Starts a server on a fresh base directory, with the named kernel packages and no others."""

    @contextlib.contextmanager
    def start_server(
        *flags: str, kernels: str = "none", base: Path | None = None, **variables: str
    ) -> Iterator[server.Server]:
        base = base_directory.prepare(base or tmp_path_factory.mktemp("base"))
        tiny_models.write(base / "models")
        environment = {
            "PYTHONPATH": str(kernel_packages.write(base / "kernel_packages", kernels)),
            # A stand-in for a kernel fails the pack's own check, which would clear the flag under test.
            "SAGEKIT_STARTUP": "report",
        } | variables
        with server.running(host_folder, base, *flags, environment=environment) as running:
            yield running

    return start_server


@pytest.fixture(scope="session")
def plain(start) -> Iterator[server.Server]:
    """A server without launch flags, on a machine without any kernel package."""
    with start() as running:
        yield running


@pytest.fixture(scope="session")
def replacing(plain, host_folder) -> server.Server:
    """A server that knows node replacement."""
    if not (host_folder / "app" / "node_replace_manager.py").exists():
        pytest.skip(f"ComfyUI {host.version(host_folder)} has no node replacement")
    return plain


@pytest.fixture(scope="module")
def browser():
    """Of the module alone: while it runs, no other event loop can in this process."""
    with page.browsing() as launched:
        yield launched


@pytest.fixture(params=["wan", "flux"])
def model(request, host_folder) -> str:
    if request.param == "flux" and not tiny_models.flux_loads_in(host_folder):
        pytest.skip(
            f"ComfyUI {host.version(host_folder)} takes every Flux model to be 3072 wide: no tiny one"
        )
    return request.param


@pytest.fixture(scope="module")
def wan(attention, tmp_path_factory):
    """A tiny Wan 2.1, loaded by the host in this process: 2 blocks, a self- and a cross-attention in each."""
    import comfy.sd

    file, _ = tiny_models.write(tmp_path_factory.mktemp("models"))
    return comfy.sd.load_diffusion_model(str(file))


@pytest.fixture(scope="module")
def other_wan(attention, tmp_path_factory):
    """The same architecture with other weights, as Wan's low-noise model is to its high-noise one."""
    import comfy.sd
    from safetensors.torch import save_file

    file = tmp_path_factory.mktemp("other") / tiny_models.WAN_FILE
    save_file(tiny_models.random_weights(tiny_models.wan_shapes(), seed=5), file)
    return comfy.sd.load_diffusion_model(str(file))


@pytest.fixture
def session():
    """What patched models share, with the kernels of fake_kernels.in_a_model() and no others."""
    from sagekit.core.session import Session

    kernels = fake_kernels.in_a_model().items()
    return Session({name: fake_kernels.backend(name, **facts) for name, facts in kernels})


@pytest.fixture
def patch_model(session, monkeypatch):
    """patch_model(model, settings) with that session."""
    from sagekit.core.attention import guard
    from sagekit.core.attention.model import patch_model

    # The tiny model's steps take milliseconds; samples are made cheap, so that there is time for all of them.
    monkeypatch.setattr(guard, "SAMPLE_SECONDS", 1e-9)
    monkeypatch.setattr(guard.Guard, "took", lambda self, seconds: None)
    return lambda model, settings: patch_model(model, settings, session)


@pytest.fixture
def compiling(attention, monkeypatch):
    """The package, with nothing compiled and nothing said before, and attention as on a GPU: torch's own."""
    import sys

    import comfy.supported_models  # noqa: F401  It brings every architecture's module.
    import torch
    from sagekit.core.compile import compiled

    torch._dynamo.reset()
    for module in [one for name, one in sys.modules.items() if name.startswith("comfy.ldm.")]:
        for name in ("optimized_attention", "optimized_attention_masked"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, attention.attention_pytorch)
    yield compiled
    torch._dynamo.reset()


@pytest.fixture
def compile_model(compiling, session):
    """compile_model(model, node_id=None, **settings) with torch's backend "eager".

    It traces, guards and caches as inductor does and computes as uncompiled code does.
    """
    from sagekit.core.compile import Settings, patch_model

    def patch(model, node_id=None, **settings):
        return patch_model(model, Settings(**{"backend": "eager", **settings}), session, node_id)

    return patch


@pytest.fixture
def said(compiling, session, monkeypatch) -> list[str]:
    """What the compile node says, in order."""
    texts = []

    def say(node_id, line, lines=(), **others):
        texts.append("\n".join(lines) or line)

    monkeypatch.setattr(session.messages, "say", say)
    return texts


@pytest.fixture
def backend(compiling):
    """backend(function) -> the name of a backend for torch.compile that calls it with each graph."""
    import torch

    names = []

    def register(function) -> str:
        name = f"sagekit_test_{len(names)}"
        names.append(name)
        torch._dynamo.register_backend(function, name=name)
        return name

    from torch._dynamo.backends import registry

    yield register
    for name in names:
        registry._COMPILER_FNS.pop(name, None)
