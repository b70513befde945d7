"""Whole machines as values, one of each kind that users have, well put together; and packages as folders."""

from dataclasses import replace
from pathlib import Path

from sagekit.machine import (
    Driver,
    Environment,
    Gpu,
    Package,
    Python,
    Torch,
)

FORK_MODULES = frozenset({"_qattn_sm80", "_qattn_sm89", "_qattn_sm90", "_fused"})
PORTABLE = r"C:\ComfyUI_windows_portable\python_embeded\python.exe"


def torch(full: str, **facts) -> Torch:
    """torch by its full version, "2.9.1+cu130", with the CUDA that its build names."""
    version, _, build = full.partition("+")
    cuda = f"{build[2:4]}.{build[4]}" if build.startswith("cu") else None
    return Torch(version, build, cuda, **facts)


def sage(build: str, version: str = "2.2.0", **facts) -> Package:
    """sageattention with the modules that 2.x has."""
    modules = frozenset() if version.startswith("1.") else FORK_MODULES
    return Package(version, build, modules, **facts)


def with_gpus(environment: Environment, **gpus: tuple[int, int]) -> Environment:
    """The same with these GPUs, given as RTX_4090=(8, 9)."""
    named = {"NVIDIA " + name.replace("_", " "): capability for name, capability in gpus.items()}
    found = (Gpu(index, name, named[name], 24576) for index, name in enumerate(named))
    driver = replace(environment.driver or Driver("580.88"), gpus=tuple(named))
    return replace(environment, driver=driver, gpus=tuple(found))


def with_packages(environment: Environment, **packages: Package | None) -> Environment:
    """The same with packages changed, added, or taken out with None; names with _ for -."""
    named = {name.replace("_", "-"): package for name, package in packages.items()}
    merged = {name: one for name, one in (environment.packages | named).items() if one is not None}
    return replace(environment, packages=merged)


def with_torch(environment: Environment, full: str, **facts) -> Environment:
    """The same with another torch."""
    version, _, build = full.partition("+")
    changed = with_packages(environment, torch=Package(version, build))
    return replace(changed, torch=torch(full, **facts))


def windows(python: str, torch_: str, triton: str, build: str, **gpus) -> Environment:
    """ComfyUI portable, with the folders include and libs put beside its Python."""
    base = Environment(
        python=Python(python, machine="AMD64", executable=PORTABLE, embedded=True, has_headers=True),
        system="windows",
        release="10.0.26100",
        driver=Driver("581.29"),
        packages={"triton-windows": Package(triton), "sageattention": sage(build)},
        comfyui="0.33.0",
    )
    return with_gpus(with_torch(base, torch_), **gpus)


def linux(python: str, torch_: str, triton: str, sage_: Package | None, **gpus) -> Environment:
    """A virtual environment."""
    base = Environment(
        python=Python(python, executable="/home/alice/comfy/venv/bin/python"),
        system="linux",
        release="6.8.0-45-generic",
        driver=Driver("580.65.06"),
        packages={"triton": Package(triton)},
    )
    return with_packages(with_gpus(with_torch(base, torch_), **gpus), sageattention=sage_)


SAGE_1 = sage("", "1.0.6")
UPSTREAM = sage("")

WINDOWS_312 = windows(
    "3.12.10", "2.8.0+cu128", "3.4.0.post21", "cu128torch2.8.0.post3", GeForce_RTX_4090=(8, 9)
)
WINDOWS_313 = windows(
    "3.13.14", "2.13.0+cu130", "3.7.1.post27", "cu130torch2.10.0andhigher.post6", GeForce_RTX_4090=(8, 9)
)
RTX_3090 = windows("3.12.10", "2.9.1+cu128", "3.5.1.post24", "cu128torch2.9.1.post6", GeForce_RTX_3090=(8, 6))
RTX_4090 = linux("3.12.8", "2.11.0+cu130", "3.6.0", UPSTREAM, GeForce_RTX_4090=(8, 9))
RTX_5090 = windows(
    "3.13.9", "2.10.0+cu130", "3.6.0.post26", "cu130torch2.10.0andhigher.post6", GeForce_RTX_5090=(12, 0)
)
RTX_2080 = windows("3.12.10", "2.6.0+cu126", "3.2.0.post21", "", GeForce_RTX_2080=(7, 5))
RTX_2080 = with_packages(RTX_2080, sageattention=SAGE_1)
KAGGLE_T4 = linux("3.11.13", "2.6.0+cu124", "3.2.0", SAGE_1, Tesla_T4=(7, 5))
H100 = linux("3.11.7", "2.11.0+cu130", "3.6.0", UPSTREAM, H100_80GB_HBM3=(9, 0))
A100 = linux("3.10.14", "2.7.1+cu126", "3.3.1", UPSTREAM, A100_SXM4_40GB=(8, 0))
V100 = linux("3.11.7", "2.9.1+cu128", "3.5.1", None, Tesla_V100=(7, 0))
P100 = linux("3.11.13", "2.9.1+cu126", "3.5.1", None, Tesla_P100=(6, 0))
LAPTOP = replace(
    with_torch(Environment(python=Python("3.12.8"), system="linux", release="6.8.0"), "2.9.1+cpu"),
    gpus=(),
)
ROCM = replace(
    with_torch(LAPTOP, "2.9.1+rocm6.4", rocm="6.4.43484"),
    gpus=(Gpu(0, "AMD Radeon RX 7900 XTX", None, 24560),),
)
# torch's Windows wheels bring no Triton, and nobody needs one there.
PLAIN_WINDOWS = with_packages(WINDOWS_313, triton_windows=None, sageattention=None)

WELL_MATCHED = {
    "windows portable, Python 3.12, cu128": WINDOWS_312,
    "windows portable, Python 3.13, cu130": WINDOWS_313,
    "windows portable as it comes": PLAIN_WINDOWS,
    "RTX 3090": RTX_3090,
    "RTX 4090, linux": RTX_4090,
    "RTX 5090": RTX_5090,
    "RTX 2080": RTX_2080,
    "Kaggle T4": KAGGLE_T4,
    "H100": H100,
    "A100": A100,
    "V100": V100,
    "P100": P100,
    "laptop without a GPU": LAPTOP,
    "ROCm": ROCM,
}


def install(site: Path, name: str, version: str, files: dict[str, str]) -> None:
    """A package as pip leaves it."""
    info = site / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "RECORD").write_text("".join(f"{path},,\n" for path in files))
    write(site, files)


def write(folder: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
