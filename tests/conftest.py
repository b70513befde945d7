"""Loads the pack the way ComfyUI does: as a package by its path, its root never on sys.path."""

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parent.parent


def _load_package(name: str, folder: Path) -> None:
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


_load_package("sagekit", ROOT)
_load_package("support", ROOT / "tests" / "support")


@pytest.fixture(scope="session")
def importable_host():
    """ComfyUI's modules can be imported in this process."""
    from support import host

    if reason := host.reason_to_skip():
        pytest.skip(reason)
    folder = str(host.find().folder)
    if folder not in sys.path:
        sys.path.insert(0, folder)


@pytest.fixture(scope="module")
def attention(importable_host):
    """ComfyUI's attention module, in this process."""
    import torch
    from comfy.cli_args import args

    args.cpu = True
    from comfy.ldm.modules import attention

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # The tensors are small: threads cost more than they give.
    yield attention
    torch.set_num_threads(threads)


@pytest.fixture
def session():
    """What patched models share, of a ComfyUI without any kernel of ours."""
    from sagekit.core.session import Session

    return Session({})


@pytest.fixture
def patched():
    """Makes transformer_options whose override runs the kernel given, with the patch behind it.

    patched(attend, previous=an earlier override, settings=..., **facts of the backend)
    """
    from sagekit.core.attention.override import Override
    from sagekit.core.attention.patch import PATCH_KEY, Patch
    from sagekit.core.attention.settings import Settings
    from sagekit.core.session import Session
    from support import fake_kernels

    def make(attend=None, previous=None, settings=None, **facts) -> SimpleNamespace:
        backend = fake_kernels.backend(attend=attend, **facts)
        patch = Patch(settings or Settings(backend.name), Session({backend.name: backend}))
        patch.report.begin("test")
        override = Override(patch, previous)
        options = {"optimized_attention_override": override, PATCH_KEY: patch}
        return SimpleNamespace(options=options, patch=patch, override=override, run=lambda: patch.report.open)

    return make
