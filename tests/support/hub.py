"""The Hugging Face cache with a download of SageAttention in it, and a stand-in for the package `kernels`."""

import json
from pathlib import Path

from sagekit.kernels.families.hub import HUB_SAGE
from sagekit.machine import Package, read_hub

REVISION = "0123456789abcdef0123456789abcdef01234567"
VARIANT = "torch211-cxx11-cu130-x86_64-linux"
# What build.toml of version 2 names.
ARCHS = ["10.0a", "8.0", "8.9", "9.0a"]
METADATA = {
    "id": "_sage_attention_cuda_0123456",
    "name": "sage-attention",
    "version": 2,
    "license": "Apache-2.0",
    "python-depends": [],
}
# The kernel: says what it was called with, and answers with v.
CORE = """
calls = []

def _told(function, q, k, v, named):
    calls.append((function, tuple(q.shape), named))
    return v.clone()

def sageattn_qk_int8_pv_fp16_cuda(q, k, v, **named):
    return _told("sageattn_qk_int8_pv_fp16_cuda", q, k, v, named)

def sageattn_qk_int8_pv_fp8_cuda(q, k, v, **named):
    return _told("sageattn_qk_int8_pv_fp8_cuda", q, k, v, named)

def sageattn_qk_int8_pv_fp8_cuda_sm90(q, k, v, **named):
    return _told("sageattn_qk_int8_pv_fp8_cuda_sm90", q, k, v, named)

def sageattn(*anything, **named):
    raise AssertionError("picks a kernel by itself")
"""
FILES = {"__init__.py": "from . import core\n", "core.py": CORE, "_sage_attention_0123456.abi3.so": "x"}

# `get_kernel` is what would download.
_KERNELS = """
import importlib.util
import sys

def get_kernel(*anything, **named):
    raise AssertionError("asks the Hub")

loads = []

def get_local_kernel(repo_path{further}):
    loads.append(repo_path)
    init, = repo_path.glob("build/*/__init__.py")
    spec = importlib.util.spec_from_file_location("_stand_in_for_sage", init)
    module = importlib.util.module_from_spec(spec)
    sys.modules["_stand_in_for_sage"] = module
    sys.modules.pop("_stand_in_for_sage.core", None)
    spec.loader.exec_module(module)
    return module
"""
# By the version of the package that has it so.
SIGNATURES = {"0.11": ", package_name", "0.17": ", *, backend=None, trust_remote_code=False, user_agent=None"}


def download(
    cache: Path,
    layout: str = "kernels",
    revision: str = REVISION,
    variant: str = VARIANT,
    files: dict[str, str] | None = None,
    **metadata,
) -> Path:
    """A revision as huggingface_hub leaves it: links to files that lie elsewhere. Returns its folder."""
    repository = cache / f"{layout}--kernels-community--sage-attention"
    snapshot = repository / "snapshots" / revision
    told = METADATA | {"backend": {"type": "cuda", "archs": ARCHS}} | metadata
    texts = (FILES if files is None else files) | {"metadata.json": json.dumps(told)}
    for name, text in texts.items():
        blob, link = repository / "blobs" / f"{revision}-{name}", snapshot / "build" / variant / name
        for file in (blob, link):
            file.parent.mkdir(parents=True, exist_ok=True)
        blob.write_text(text, encoding="utf-8")
        link.symlink_to(blob)
    return snapshot


def install_kernels(site: Path, version: str = "0.17") -> None:
    """The stand-in, with the signature of one version."""
    (site / "kernels").mkdir(parents=True)
    source = _KERNELS.format(further=SIGNATURES[version])
    (site / "kernels" / "__init__.py").write_text(source, encoding="utf-8")


def packages(cache: Path) -> dict[str, Package]:
    """A machine with `kernels`, Triton and what the cache holds."""
    return {"kernels": Package("0.17.2"), "triton": Package("3.6.0")} | read_hub(str(cache), [HUB_SAGE])
