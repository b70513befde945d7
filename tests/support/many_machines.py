"""Machines of every kind, put together from parts: far more than anyone has written down one by one."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

from sagekit.machine import Driver, Environment, Gpu, Package, Python

from .environments import LAPTOP, ROCM, SAGE_1, UPSTREAM, linux, sage, windows, with_packages, with_torch

GPUS = {
    "NVIDIA GeForce GTX 1080": (6, 1),
    "Tesla V100": (7, 0),
    "Tesla T4": (7, 5),
    "NVIDIA GeForce GTX 1660 SUPER": (7, 5),
    "NVIDIA A100": (8, 0),
    "NVIDIA GeForce RTX 3090": (8, 6),
    "Orin": (8, 7),
    "NVIDIA L4": (8, 9),
    "NVIDIA H100": (9, 0),
    "NVIDIA B200": (10, 0),
    "NVIDIA GeForce RTX 5090": (12, 0),
    "NVIDIA GB10": (12, 1),
}
# torch with the Triton that belongs to it.
TORCHES = {
    "2.5.1+cu124": "3.1.0",
    "2.6.0+cu118": "3.2.0",
    "2.6.0+cu126": "3.2.0",
    "2.7.1+cu128": "3.3.1",
    "2.8.0+cu129": "3.4.0",
    "2.9.1+cu126": "3.5.1",
    "2.10.0+cu130": "3.6.0",
    "2.13.0+cu130": "3.7.1",
    "2.14.0+cu130": "3.8.0",
    "2.16.0.dev20261101+cu130": "3.9.0",
}
SAGES = {
    "none": None,
    "1.0.6": SAGE_1,
    "1.0.5": sage("", "1.0.5"),
    "own 2.2": UPSTREAM,
    "own 2.0": sage("", "2.0.1"),
    "own 2.1": sage("", "2.1.1"),
    "post6": sage("cu130torch2.10.0andhigher.post6"),
    "post5": sage("cu130torch2.10.0andhigher.post5"),
    "for torch 2.7": sage("cu128torch2.7.1.post3"),
    "for the sm90 alone": sage("cu130.torch2.13.0.sm90"),
    "an index's": sage("cu.13.0.torch.2.10"),
    "somebody's": sage("cu130torch2.10.0", "2.2.0.post3"),
    "a module": replace(UPSTREAM, version="", as_module=True),
    "twice": sage("cu130torch2.10.0andhigher.post6", copies=("1.0.6",)),
}
SAGES_3 = {"own": Package("1.0.0"), "for torch 2.9": Package("1.0.0", "cu130torch2.9.1")}
TRITONS = ("its own", "none", "3.2.0", "mine")
# What makes a difference with another Triton than torch's own.
_BESIDE_ANOTHER_TRITON = (
    {"2.6.0+cu126", "2.10.0+cu130", "2.13.0+cu130"},
    {"none", "1.0.6", "own 2.2", "post6"},
)
_ON_AARCH64 = {"Orin", "NVIDIA GB10", "NVIDIA H100", "NVIDIA A100"}


def machines() -> Iterator[tuple[str, Environment]]:
    """Name and machine."""
    for system, gpu, torch, installed, triton in product(
        ("windows", "linux", "aarch64"), GPUS, TORCHES, SAGES, TRITONS
    ):
        if system == "aarch64" and gpu not in _ON_AARCH64:
            continue
        torches, sages = _BESIDE_ANOTHER_TRITON
        if triton != "its own" and not (torch in torches and installed in sages):
            continue
        name = f"{system}, {gpu}, torch {torch}, sage {installed}, Triton {triton}"
        yield name, _nvidia(system, gpu, torch, SAGES[installed], triton)
    yield from _others()


def _nvidia(system: str, gpu: str, torch: str, sage_: Package | None, triton: str) -> Environment:
    own = TORCHES[torch]
    if system == "windows":
        machine = windows("3.12.10", torch, f"{own}.post21", "")
    else:
        machine = linux("3.12.3", torch, own, None)
    if system == "aarch64":
        machine = replace(machine, python=replace(machine.python, machine="aarch64"))
    machine = replace(
        machine,
        gpus=(Gpu(0, gpu, GPUS[gpu], 24576),),
        driver=Driver("581.29", (gpu,)),
    )
    named = "triton-windows" if system == "windows" else "triton"
    found = {"its own": machine.packages[named], "none": None, "3.2.0": Package("3.2.0")}
    return with_packages(
        machine, **{named: found.get(triton, Package("3.1.0", "mine")), "sageattention": sage_}
    )


def _others() -> Iterator[tuple[str, Environment]]:
    arc = (Gpu(0, "Intel(R) Arc(TM) B580 Graphics"),)
    radeons = (
        "AMD Radeon RX 7900 XTX",
        "AMD Radeon RX 6800 XT",
        "AMD Radeon RX 5700 XT",
        "AMD Radeon RX 9070 XT",
    )
    bases = {
        "mac": replace(with_torch(LAPTOP, "2.9.1"), system="darwin"),
        "xpu": replace(with_torch(LAPTOP, "2.9.1+xpu", xpu="2025.2"), gpus=arc),
        "xpu with CUDA": replace(with_torch(LAPTOP, "2.9.1+cu128"), gpus=arc),
        "radeon with CUDA": replace(with_torch(LAPTOP, "2.9.1+cu128"), gpus=(Gpu(0, radeons[0]),)),
        "xpu with the processor's": replace(LAPTOP, gpus=arc),
        "processor": LAPTOP,
    }
    for name in radeons:
        bases[name] = replace(ROCM, gpus=(Gpu(0, name),))
        on_windows = with_torch(ROCM, "2.10.0+rocm7.2", rocm="7.2.53211")
        python = Python("3.12.10", machine="AMD64", executable=r"D:\ComfyUI\venv\Scripts\python.exe")
        bases[f"{name}, windows"] = replace(on_windows, system="windows", python=python, gpus=(Gpu(0, name),))
    for gpu, system in product(("NVIDIA GeForce RTX 3090", "NVIDIA GeForce RTX 5090"), ("windows", "linux")):
        for installed, third in product(("none", "post6"), SAGES_3):
            machine = _nvidia(system, gpu, "2.10.0+cu130", SAGES[installed], "its own")
            name = f"{system}, {gpu}, sage {installed}, SageAttention 3 {third}"
            yield name, with_packages(machine, sageattn3=SAGES_3[third])
    for (name, base), installed in product(bases.items(), SAGES):
        yield f"{name}, sage {installed}", with_packages(base, sageattention=SAGES[installed])
