"""One machine of each kind that users have, with what is around its Python, and the plan for it."""

from dataclasses import replace

from sagekit.doctor.plan.plan import make_plan
from sagekit.machine import (
    Driver,
    Environment,
    Gpu,
    Package,
    Python,
    Torch,
)
from sagekit.machine.surroundings import Surroundings

from .environments import (
    H100,
    KAGGLE_T4,
    LAPTOP,
    P100,
    ROCM,
    RTX_4090,
    RTX_5090,
    SAGE_1,
    UPSTREAM,
    V100,
    WINDOWS_312,
    WINDOWS_313,
    linux,
    sage,
    windows,
    with_packages,
    with_torch,
)

KITCHEN = Package("0.2.40")
PORTABLE = Surroundings(
    kind="portable",
    folder=r"C:\ComfyUI_windows_portable\python_embeded",
    comfyui=r"C:\ComfyUI_windows_portable\ComfyUI",
    base=r"C:\ComfyUI_windows_portable\ComfyUI",
    home=r"C:\Users\Anna Muster",
    names=("Anna Muster", "ANNAS-PC"),
)
VENV = Surroundings(kind="venv", home="/home/alice", names=("alice", "bigbox"))
KAGGLE = Surroundings(kind="system", host="Kaggle")
COLAB = Surroundings(kind="system", host="Colab")


def bare(environment: Environment) -> Environment:
    """As ComfyUI's own requirements leave it: no SageAttention, and on Windows no Triton."""
    return with_packages(environment, sageattention=None, triton_windows=None)


def portable(python: str, full: str, **gpus) -> Environment:
    """ComfyUI portable as it is unpacked, without the folders include and libs."""
    machine = bare(windows(python, full, "0", "", **gpus))
    return replace(machine, python=replace(machine.python, has_headers=False))


def on_windows(python: str, full: str, folder: str = r"D:\ComfyUI\venv\Scripts", **gpus) -> Environment:
    """A Python that is no embeddable one."""
    own = Python(python, machine="AMD64", executable=folder + r"\python.exe", has_headers=True)
    return replace(bare(windows(python, full, "0", "", **gpus)), python=own)


def on_linux(python: str, full: str, triton: str, **gpus) -> Environment:
    return linux(python, full, triton, None, **gpus)


NAMES_ONLY = replace(
    bare(WINDOWS_313), gpus=(Gpu(0, "NVIDIA GeForce RTX 4060 Laptop GPU"),), driver=Driver("581.29")
)
FREE_THREADED = on_windows("3.13.14", "2.10.0+cu130", GeForce_RTX_4090=(8, 9))
FREE_THREADED = replace(FREE_THREADED, python=replace(FREE_THREADED.python, free_threaded=True))
SPARK = on_linux("3.12.3", "2.13.0+cu130", "3.7.1", GB10=(12, 1))
SPARK = replace(SPARK, python=replace(SPARK.python, machine="aarch64"))
ROCM_WINDOWS = replace(
    with_torch(bare(WINDOWS_312), "2.8.0+rocm6.4.4", rocm="6.4.43484"),
    gpus=(Gpu(0, "AMD Radeon RX 9070 XT", None, 16304),),
    driver=None,
)
WITHOUT_CUDA = replace(with_torch(bare(WINDOWS_313), "2.13.0+cpu"), gpus=())
TWO_COPIES = with_packages(
    WINDOWS_313,
    sageattention=sage("cu130torch2.10.0andhigher.post6", copies=("2.2.0+cu130torch2.9.1.post6",)),
)
ORIN = on_linux("3.10.16", "2.8.0", "3.4.0", Orin=(8, 7))
ORIN = replace(
    with_packages(ORIN, sageattention=UPSTREAM),
    python=replace(ORIN.python, machine="aarch64"),
    torch=Torch("2.8.0", "", "12.6"),
)
MAC = replace(
    with_torch(LAPTOP, "2.9.1"),
    system="darwin",
    release="25.1.0",
    python=Python("3.12.8", machine="arm64", executable="/Users/alice/ComfyUI/.venv/bin/python"),
    packages={"torch": Package("2.9.1")},
)
ARC = replace(
    with_torch(bare(WINDOWS_312), "2.9.1+xpu", xpu="2025.2"),
    gpus=(Gpu(0, "Intel(R) Arc(TM) B580 Graphics"),),
    driver=None,
)
ARC_WITH_CUDA = replace(with_torch(LAPTOP, "2.9.1+cu128"), gpus=(Gpu(0, "Intel(R) Arc(TM) A770 Graphics"),))
RX_6800 = replace(ROCM, gpus=(Gpu(0, "AMD Radeon RX 6800 XT", None, 16304),))
RX_9070 = replace(
    with_torch(bare(WINDOWS_312), "2.10.0+rocm7.2", rocm="7.2.53211"),
    gpus=(Gpu(0, "AMD Radeon RX 9070 XT", None, 16304),),
    driver=None,
)
CUDA_118 = on_linux("3.10.14", "2.6.0+cu118", "3.2.0", GeForce_RTX_3090=(8, 6))
DESKTOP_PYTHON = r"C:\Users\alice\Documents\ComfyUI\.venv\Scripts"
MACHINES = {
    "portable 0.2.4, RTX 3060": (portable("3.12.7", "2.5.1+cu124", GeForce_RTX_3060=(8, 6)), PORTABLE),
    "portable 0.3.13, RTX 4090": (portable("3.12.8", "2.6.0+cu126", GeForce_RTX_4090=(8, 9)), PORTABLE),
    "portable 0.3.31, RTX 5090": (portable("3.12.10", "2.7.1+cu128", GeForce_RTX_5090=(12, 0)), PORTABLE),
    "portable 0.3.50, RTX 4070": (portable("3.13.6", "2.8.0+cu129", GeForce_RTX_4070=(8, 9)), PORTABLE),
    "portable 0.3.68, RTX 3090": (portable("3.13.9", "2.9.1+cu130", GeForce_RTX_3090=(8, 6)), PORTABLE),
    "portable 0.11, RTX 5080": (portable("3.13.11", "2.10.0+cu130", GeForce_RTX_5080=(12, 0)), PORTABLE),
    "portable 0.29, RTX 4090": (portable("3.13.14", "2.13.0+cu130", GeForce_RTX_4090=(8, 9)), PORTABLE),
    "portable, Python 3.14": (portable("3.14.2", "2.12.1+cu130", GeForce_RTX_4080=(8, 9)), PORTABLE),
    "portable cu126, GTX 1080": (portable("3.12.10", "2.9.1+cu126", GeForce_GTX_1080=(6, 1)), PORTABLE),
    "portable cu126, RTX 2080 with Kitchen": (
        with_packages(
            portable("3.12.10", "2.10.0+cu126", GeForce_RTX_2080=(7, 5)), **{"comfy-kitchen": KITCHEN}
        ),
        PORTABLE,
    ),
    "portable, RTX 2080 without Kitchen": (
        portable("3.12.8", "2.6.0+cu126", GeForce_RTX_2080=(7, 5)),
        PORTABLE,
    ),
    "portable cu126, RTX 5090": (portable("3.12.8", "2.6.0+cu126", GeForce_RTX_5090=(12, 0)), PORTABLE),
    "portable amd": (ROCM_WINDOWS, PORTABLE),
    "portable, torch lost its CUDA": (WITHOUT_CUDA, PORTABLE),
    "portable, driver alone names the GPU": (NAMES_ONLY, PORTABLE),
    "portable, sage for another torch": (
        with_packages(WINDOWS_312, sageattention=sage("cu128torch2.7.1.post3")),
        PORTABLE,
    ),
    "portable, Triton of another torch": (
        with_packages(WINDOWS_313, triton_windows=Package("3.6.0.post26")),
        replace(
            PORTABLE, triton_cache=r"C:\cache\triton", triton_cache_there=True, triton_cache_writable=True
        ),
    ),
    "portable, sage 1.0.6": (
        with_packages(WINDOWS_313, sageattention=SAGE_1),
        PORTABLE,
    ),
    "portable, sage twice": (TWO_COPIES, PORTABLE),
    "portable, all well": (WINDOWS_313, PORTABLE),
    "windows venv, Python 3.10": (on_windows("3.10.11", "2.8.0+cu128", GeForce_RTX_4090=(8, 9)), VENV),
    "windows conda, Python 3.11": (
        on_windows("3.11.9", "2.9.1+cu128", r"C:\miniconda3\envs\comfy", GeForce_RTX_3080=(8, 6)),
        Surroundings(kind="conda"),
    ),
    "windows, torch 2.14": (
        on_windows("3.14.0", "2.14.0+cu130", r"C:\Python314", GeForce_RTX_5070=(12, 0)),
        Surroundings(),
    ),
    "windows, torch 2.15": (on_windows("3.13.9", "2.15.0+cu130", GeForce_RTX_5070=(12, 0)), VENV),
    "windows, torch 2.5 on Python 3.13": (
        on_windows("3.13.1", "2.5.1+cu124", GeForce_RTX_4090=(8, 9)),
        VENV,
    ),
    "windows, free-threaded": (FREE_THREADED, VENV),
    "windows, nightly torch": (
        on_windows("3.13.9", "2.16.0.dev20261101+cu130", GeForce_RTX_4090=(8, 9)),
        VENV,
    ),
    "windows, T4 beside 3090": (
        on_windows("3.12.10", "2.10.0+cu128", Tesla_T4=(7, 5), GeForce_RTX_3090=(8, 6)),
        VENV,
    ),
    "linux H100, torch 2.13": (on_linux("3.12.8", "2.13.0+cu130", "3.7.1", H100_80GB_HBM3=(9, 0)), VENV),
    "linux RTX 4090, torch 2.13": (
        on_linux("3.12.8", "2.13.0+cu130", "3.7.1", GeForce_RTX_4090=(8, 9)),
        VENV,
    ),
    "linux RTX 4090, torch 2.11": (with_packages(RTX_4090, sageattention=None), VENV),
    "linux A100, Python 3.10": (on_linux("3.10.14", "2.7.1+cu126", "3.3.1", A100_SXM4_40GB=(8, 0)), VENV),
    "linux RTX 5090, wsl": (
        replace(on_linux("3.12.3", "2.12.1+cu130", "3.7.1", GeForce_RTX_5090=(12, 0)), wsl=True),
        VENV,
    ),
    "linux DGX Spark": (SPARK, VENV),
    "linux, no Triton": (
        with_packages(on_linux("3.12.8", "2.13.0+cu130", "3.7.1", GeForce_RTX_3090=(8, 6)), triton=None),
        VENV,
    ),
    "linux H100, own build of another torch": (
        with_packages(with_torch(H100, "2.13.0+cu130"), sageattention=UPSTREAM),
        VENV,
    ),
    "linux H100, own build": (H100, VENV),
    "linux H100, the hidden kernel": (
        with_packages(
            on_linux("3.12.8", "2.13.0+cu130", "3.7.1", H100_80GB_HBM3=(9, 0)),
            sageattention=sage("cu130.torch2.13.0.sm90"),
        ),
        VENV,
    ),
    "linux B200": (on_linux("3.12.8", "2.12.1+cu130", "3.7.1", B200=(10, 0)), VENV),
    "linux Jetson Orin, upstream's sage": (ORIN, Surroundings(kind="conda")),
    "linux DGX Spark, own build": (with_packages(SPARK, sageattention=UPSTREAM), VENV),
    "linux, CUDA 11.8": (CUDA_118, VENV),
    "linux L40S in a container, nightly torch, own build": (
        with_packages(
            on_linux("3.12.3", "2.16.0.dev20261101+cu130", "3.9.0", L40S=(8, 9)), sageattention=UPSTREAM
        ),
        Surroundings(),
    ),
    "linux T1000": (on_linux("3.12.3", "2.9.1+cu126", "3.5.1", T1000_8GB=(7, 5)), VENV),
    "portable, GTX 1660 SUPER": (
        with_packages(
            portable("3.12.10", "2.10.0+cu126", GeForce_GTX_1660_SUPER=(7, 5)), **{"comfy-kitchen": KITCHEN}
        ),
        PORTABLE,
    ),
    "portable, RTX 5090 with own sage 2.0": (
        with_packages(RTX_5090, sageattention=sage("", "2.0.1")),
        PORTABLE,
    ),
    "portable, RTX 5090 with own sage 2.1": (
        with_packages(RTX_5090, sageattention=sage("", "2.1.1")),
        PORTABLE,
    ),
    "portable, Kitchen too": (
        with_packages(
            portable("3.13.11", "2.10.0+cu130", GeForce_RTX_4070=(8, 9)), **{"comfy-kitchen": KITCHEN}
        ),
        PORTABLE,
    ),
    "portable, Kitchen on an old driver": (
        replace(
            with_packages(
                portable("3.12.10", "2.8.0+cu128", GeForce_RTX_4070=(8, 9)), **{"comfy-kitchen": KITCHEN}
            ),
            driver=Driver("566.36", ("NVIDIA GeForce RTX 4070",)),
        ),
        PORTABLE,
    ),
    "windows venv, somebody's wheel": (
        with_packages(
            on_windows("3.12.9", "2.10.0+cu130", GeForce_RTX_5070_Ti=(12, 0)),
            triton_windows=Package("3.6.0.post25"),
            sageattention=sage("cu130torch2.10.0", "2.2.0.post3"),
        ),
        VENV,
    ),
    "windows ROCm, RX 9070": (RX_9070, VENV),
    "windows ROCm, a wheel for CUDA": (
        with_packages(RX_9070, sageattention=sage("cu130torch2.10.0andhigher.post6")),
        VENV,
    ),
    "linux ROCm, RX 6800": (RX_6800, VENV),
    "linux ROCm, sage 1": (with_packages(ROCM, sageattention=SAGE_1, triton=Package("3.5.1")), VENV),
    "windows Intel Arc": (ARC, VENV),
    "linux Intel Arc, torch for CUDA": (ARC_WITH_CUDA, VENV),
    "mac": (MAC, VENV),
    "ComfyUI Desktop": (
        with_packages(
            on_windows("3.12.11", "2.10.0+cu130", DESKTOP_PYTHON, GeForce_RTX_4070=(8, 9)),
            triton_windows=Package("3.5.1.post24"),
        ),
        Surroundings(
            kind="desktop",
            pip=False,
            uv=r"C:\Users\alice\AppData\Local\Programs\ComfyUI\resources\uv\win\uv.exe",
            comfyui=r"C:\Users\alice\AppData\Local\Programs\ComfyUI\resources\ComfyUI",
            base=r"C:\Users\alice\Documents\ComfyUI",
            home=r"C:\Users\alice",
            names=("alice", "bigbox"),
        ),
    ),
    "linux venv of uv": (
        on_linux("3.12.8", "2.13.0+cu130", "3.7.1", GeForce_RTX_4090=(8, 9)),
        replace(VENV, pip=False, uv="uv"),
    ),
    "Kaggle P100 with sage 1": (with_packages(P100, sageattention=SAGE_1), KAGGLE),
    "linux V100": (V100, VENV),
    "linux ROCm": (ROCM, VENV),
    "linux without a GPU": (LAPTOP, VENV),
    "Kaggle T4": (with_packages(KAGGLE_T4, sageattention=None), KAGGLE),
    "Kaggle P100": (P100, KAGGLE),
    "Colab T4": (on_linux("3.12.11", "2.9.1+cu126", "3.5.1", Tesla_T4=(7, 5)), COLAB),
}
SAGE_3 = {
    "portable, Sage 3 asked for": portable("3.13.11", "2.10.0+cu130", GeForce_RTX_5090=(12, 0)),
    "portable, Sage 3 asked for, RTX 4090": portable("3.13.11", "2.10.0+cu130", GeForce_RTX_4090=(8, 9)),
}
PLANS = {name: make_plan(machine, around) for name, (machine, around) in MACHINES.items()}
PLANS |= {name: make_plan(machine, PORTABLE, sage3=True) for name, machine in SAGE_3.items()}
ALL = {name: machine for name, (machine, _) in MACHINES.items()} | SAGE_3
