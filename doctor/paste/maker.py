"""Whose GPU a log is about."""

import re

from .paste import Paste

NVIDIA, AMD, INTEL, APPLE = "nvidia", "amd", "intel", "apple"
_NVIDIA_SAYS = ("nvidia-smi", "cudamallocasync")
_AMD_SAYS = (
    "amd arch:",
    "rocm version",
    "rocm 6",
    "rocm 7",
    "gpu arch: gfx",
    "hiperror",
    "hipblas",
    "amd_serialize_kernel",
    "hip sdk",
    "comfyui-zluda",
    # A folder that Triton gives a compiler for AMD alone.
    "amd/include",
    "amd\\include",
    "amd\\\\include",
)
_INTEL_SAYS = ("level_zero", "ur_result_error", "xpu out of memory", "device: xpu")
_APPLE_SAYS = (
    "device: mps",
    "name:** mps",
    "mac version",
    "applications/comfyui.app",
    "a mps tensor",
    "on mps device",
)


def maker_of(paste: Paste, gpu: str, torch: str) -> str:
    """By the names of the GPU and of torch's build, else by what only one maker's programs say."""
    name = f"{gpu} {torch}".lower()
    if re.search(r"nvidia|geforce|rtx|gtx|tesla|quadro|\+cu\d", name):
        return NVIDIA
    if re.search(r"amd|radeon|rocm|gfx\d|\brx ?\d{4}", name) or any(map(paste.has, _AMD_SAYS)):
        return AMD
    if re.search(r"intel|\barc\b|\+xpu", name) or any(map(paste.has, _INTEL_SAYS)):
        return INTEL
    if any(map(paste.has, _APPLE_SAYS)):
        return APPLE
    return NVIDIA if any(map(paste.has, _NVIDIA_SAYS)) else ""
