"""The plan for each kind of machine as a golden file, and every file it names by packaging's own rules."""

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest
from packaging import tags
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import parse_wheel_filename
from packaging.version import Version
from sagekit.kernels_check import doctor
from sagekit.kernels_check.doctor import Surroundings, make_plan, plan, wheel
from sagekit.kernels_check.doctor.facts import table
from sagekit.kernels_check.doctor.text import plan_lines
from sagekit.kernels_check.environment import Driver, Environment, Gpu, Package, Python, Torch
from sagekit.kernels_check.rules.tables import tables
from support.environments import (
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
    WELL_MATCHED,
    WINDOWS_312,
    WINDOWS_313,
    linux,
    sage,
    windows,
    with_gpus,
    with_packages,
    with_torch,
)

GOLDEN = Path(__file__).parent / "golden"
KITCHEN = Package("0.2.40")
PORTABLE = Surroundings(kind="portable", folder=r"C:\ComfyUI_windows_portable\python_embeded")
VENV = Surroundings(kind="venv")
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
        Surroundings(kind="desktop", pip=False),
    ),
    "linux venv of uv": (
        on_linux("3.12.8", "2.13.0+cu130", "3.7.1", GeForce_RTX_4090=(8, 9)),
        replace(VENV, pip=False, uv="/home/alice/.local/bin/uv"),
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


@pytest.mark.parametrize("name", PLANS)
def test_the_plan_is_the_golden_one(name):
    file = GOLDEN / f"{re.sub('[^a-z0-9.]+', '-', name.lower())}.txt"
    text = "\n".join(plan_lines(PLANS[name])) + "\n"
    # After a wanted change: SAGEKIT_WRITE_GOLDEN=1, then read the difference.
    if os.environ.get("SAGEKIT_WRITE_GOLDEN"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


def test_no_golden_file_is_left_over():
    names = {re.sub("[^a-z0-9.]+", "-", name.lower()) + ".txt" for name in PLANS}
    assert {file.name for file in GOLDEN.iterdir()} == names


def steps_of(name):
    return [*PLANS[name].steps, *PLANS[name].options]


def python_tags(environment: Environment) -> set[tags.Tag]:
    """What packaging says this Python takes, told for a machine that is not this one."""
    python = environment.python
    platforms = {
        ("windows", "AMD64"): ["win_amd64"],
        ("linux", "x86_64"): ["manylinux_2_28_x86_64", "linux_x86_64"],
        ("linux", "aarch64"): ["linux_aarch64"],
    }[environment.system, python.machine]
    abis = [f"cp{''.join(map(str, python.minor))}{'t' if python.free_threaded else ''}"]
    return set(tags.cpython_tags(python.minor, abis, platforms)) | set(
        tags.compatible_tags(python.minor, "cp" + "".join(map(str, python.minor)), platforms)
    )


def faults(file: str, environment: Environment) -> list[str]:
    """What packaging and the file's own name say against it on a machine."""
    name, version, _, wheel_tags = parse_wheel_filename(file)
    found = [] if wheel_tags & python_tags(environment) else ["tags"]
    build = re.match(
        r"cu(?P<cuda>\d\d)\d?(?:\.?torch(?P<torch>[\d.]*\d)(?P<higher>andhigher)?)?", version.local or ""
    )
    if build is None:
        return found if name == "sageattention" and str(version) == "1.0.6" else [*found, "no build"]
    if environment.torch.cuda.partition(".")[0] != build["cuda"]:
        found.append("cuda")
    built = build["torch"] if "." in build["torch"] else ".".join(build["torch"])
    minor = ".".join(built.split(".")[:2])
    specifier = SpecifierSet(f">={built}" if build["higher"] else f"=={minor}.*")
    return (
        found
        if specifier.contains(Version(environment.torch.version), prereleases=True)
        else [*found, "torch"]
    )


@pytest.mark.parametrize("name", PLANS)
def test_every_file_of_a_plan_fits_the_machine_by_packagings_own_rules(name):
    for step in steps_of(name):
        if step.wheel is not None:
            assert faults(step.wheel.file, ALL[name]) == [], step.wheel.file


def test_the_check_above_sees_a_file_that_does_not_fit():
    machine = ALL["portable 0.29, RTX 4090"]
    fitting = "sageattention-2.2.0+cu130torch2.10.0andhigher.post6-cp310-abi3-win_amd64.whl"
    assert faults(fitting, machine) == []
    assert faults(fitting.replace("cu130", "cu128"), machine) == ["cuda"]
    assert faults(fitting.replace("2.10.0andhigher", "2.9.1"), machine) == ["torch"]
    assert faults(fitting.replace("cp310-abi3", "cp310-cp310"), machine) == ["tags"]
    assert faults(fitting.replace("cp310-abi3", "cp314-abi3"), machine) == ["tags"]
    assert faults(fitting.replace("win_amd64", "linux_x86_64"), machine) == ["tags"]


def test_at_least_24_machines_and_most_of_them_get_a_file():
    assert len(MACHINES) >= 24
    assert sum(any(step.wheel for step in one.steps) for one in PLANS.values()) >= 15


@pytest.mark.parametrize("name", PLANS)
def test_triton_is_asked_for_by_a_specifier_that_belongs_to_torch(name):
    machine = ALL[name]
    for step in PLANS[name].steps:
        for change in step.changes:
            if change.name in ("triton", "triton-windows") and change.after:
                wanted = Requirement(change.after)
                row = next(
                    row
                    for row in tables()["torch_triton"]
                    if Version(row["torch"]).release == Version(machine.torch.version).release[:2]
                )
                assert wanted.name == ("triton-windows" if machine.system == "windows" else "triton")
                minor = row[machine.system]
                major, last = minor.split(".")
                # Some release of that minor version, and none of the next or the one before.
                found = [one for one in ("0", "1", "1.post27") if wanted.specifier.contains(f"{minor}.{one}")]
                assert found
                assert not wanted.specifier.contains(f"{major}.{int(last) + 1}.0")
                assert not wanted.specifier.contains(f"{major}.{int(last) - 1}.9")


PIP = ("-m", "pip")


@pytest.mark.parametrize("name", PLANS)
def test_every_pip_command_is_this_pythons_own_and_never_touches_torch(name):
    machine = ALL[name]
    for step in steps_of(name):
        for command in (*step.commands, *step.undo):
            if "pip" not in command:
                continue
            place = command.index("pip")
            if command[0] == PLANS[name].uv != "":
                # uv starts no Python: it is told which one it is for.
                assert command[place + 2 : place + 4] == ("--python", machine.python.executable)
                continue
            assert command[0] == machine.python.executable or not machine.python.executable
            assert command[place - 1 : place + 1] == PIP
            assert ("-s" in command[:place]) == machine.python.embedded
            assert not any(re.match(r"torch(vision|audio)?\b", part) for part in command[place + 1 :])
            if command[place + 1] == "install" and command[-1] != "kernels":
                assert "--no-deps" in command


@pytest.mark.parametrize("name", PLANS)
def test_every_step_can_be_undone_or_says_why_not(name):
    plan_ = PLANS[name]
    for step in plan_.steps:
        told = step.undo or step.undo_by_hand or step.code == "clear-triton-cache"
        assert told, step.code
        for change in step.changes:
            back = [command for command in step.undo if any(change.name in part for part in command)]
            verb = "uninstall" if change.before is None else "install"
            assert any(verb in command for command in back)
            if change.before is not None and change.name.startswith("triton"):
                assert any(f"{change.name}=={change.before}" in command for command in back)


def test_an_undo_of_a_known_build_names_the_very_file_it_came_from():
    step = PLANS["portable, sage for another torch"].steps[0]
    assert step.changes[0].before == "2.2.0+cu128torch2.7.1.post3"
    (command,) = step.undo
    address, _, checksum = unquote(command[-1]).partition("#sha256=")
    assert address.endswith("sageattention-2.2.0+cu128torch2.7.1.post3-cp39-abi3-win_amd64.whl")
    assert len(checksum) == 64


def test_a_build_that_no_index_has_is_not_replaced_by_a_script():
    machine = with_packages(WINDOWS_313, triton_windows=Package("3.6.0", "mine"))
    made = make_plan(machine, PORTABLE)
    assert made.steps == () and made.outcome == plan.NO_WAY_BACK
    assert [step.code for step in made.options] == ["replace-triton-windows"]
    assert "keep a copy" in made.options[0].undo_by_hand


@pytest.mark.parametrize("name", PLANS)
def test_upgrading_torch_is_never_among_the_steps_nor_the_first_answer(name):
    text = "\n".join(plan_lines(PLANS[name]))
    assert "upgrade torch" not in text.lower()
    # Only where torch itself has no code for the GPU is it the answer, and nothing else is then planned.
    if re.search(r"Install torch \d", text):
        assert PLANS[name].unfit[0].code.startswith("torch") and not PLANS[name].steps


def test_outcomes():
    outcomes = {name: one.outcome for name, one in PLANS.items()}
    assert outcomes["portable, all well"] == plan.WELL
    assert outcomes["linux H100, torch 2.13"] == plan.NOT_NEEDED
    assert outcomes["portable cu126, RTX 2080 with Kitchen"] == plan.NOT_NEEDED
    assert outcomes["portable 0.29, RTX 4090"] == plan.INSTALL
    assert outcomes["portable, sage for another torch"] == plan.REPAIR
    assert outcomes["portable, sage twice"] == plan.REPAIR
    assert outcomes["Kaggle P100"] == outcomes["linux ROCm"] == plan.NOT_FOR_THIS
    assert outcomes["windows, free-threaded"] == plan.NOTHING_FITS


@pytest.mark.parametrize("environment", WELL_MATCHED.values(), ids=WELL_MATCHED)
def test_a_machine_that_is_well_put_together_gets_no_step_that_changes_what_is_there(environment):
    assert all(change.before is None for step in make_plan(environment).steps for change in step.changes)


def test_sage_3_is_planned_only_where_it_is_asked_for():
    machine = SAGE_3["portable, Sage 3 asked for"]
    codes = [step.code for step in make_plan(machine, PORTABLE).steps]
    assert codes == ["python-headers", "install-triton", "install-sage"]
    assert [step.code for step in make_plan(machine, PORTABLE, sage3=True).steps] == [*codes, "install-sage3"]


def test_on_linux_the_hub_comes_before_building_from_source():
    codes = [step.code for step in PLANS["linux RTX 4090, torch 2.11"].options]
    assert codes == ["sage-in-an-index", "hub-kernel", "build-sage"]


def test_nothing_is_installed_that_would_serve_nothing_by_itself():
    assert PLANS["windows, torch 2.15"].steps == () and PLANS["windows, free-threaded"].steps == ()


def test_the_nearest_files_are_told_with_what_would_have_to_be_otherwise():
    ((file, against), *_) = PLANS["linux RTX 4090, torch 2.11"].refused
    assert file.capabilities == ("8.9",)
    assert [str(reason) for reason in against] == ["needs torch==2.13.0, got 2.11.0+cu130"]


@pytest.mark.parametrize("name", PLANS)
def test_the_data_are_ready_for_json_and_private_ones_name_no_folder(name):
    data = PLANS[name].as_data()
    assert json.loads(json.dumps(data)) == data
    text = json.dumps(PLANS[name].as_data(private=True))
    for folder in (
        "python_embeded",
        "ComfyUI_windows",
        "venv",
        "/home/",
        "alice",
        "Scripts",
        "cache\\\\triton",
    ):
        assert folder not in text


def test_without_folders_the_commands_are_still_the_same_otherwise():
    name = "portable, Python 3.14"
    steps, private = PLANS[name].steps, PLANS[name].as_data(private=True)["steps"]
    assert private[2]["commands"][0] == ["python", *steps[2].commands[0][1:]]
    assert private[0]["commands"][3] == ["xcopy", "...", "...", "/E", "/I", "/Q", "/Y"]


def test_the_plain_function_reads_this_machine_and_answers_for_json():
    data = doctor.plan_data(RTX_4090)
    assert json.loads(json.dumps(data))["outcome"] in (plan.NOT_JUDGED, plan.REPAIR)


# Every file against every Python and torch: the plain comparisons agree with packaging's.
PYTHONS = [Python(f"3.{minor}.1", machine="AMD64") for minor in range(9, 16)]
PYTHONS += [replace(python, machine="x86_64") for python in PYTHONS[1:5]]
PYTHONS += [Python("3.13.1", machine="AMD64", free_threaded=True)]
TORCHES = [
    "2.4.1",
    "2.5.1",
    "2.6.0",
    "2.7.0",
    "2.7.1",
    "2.8.0",
    "2.9.0",
    "2.9.1",
    "2.10.0",
    "2.12.1",
    "2.13.0",
]


@pytest.mark.parametrize("one", wheel.wheels(), ids=lambda one: one.file)
def test_the_plain_comparisons_agree_with_packaging_for_every_file(one):
    _, _, _, wheel_tags = parse_wheel_filename(one.file)
    for python in PYTHONS:
        system = "windows" if python.machine == "AMD64" else "linux"
        machine = replace(WINDOWS_313, python=python, system=system)
        codes = {reason.code for reason in wheel.reasons(one, machine)}
        fits = not codes & {"wheel-python", "wheel-platform"}
        assert fits == bool(wheel_tags & python_tags(machine)), (one.file, python)
    for version in TORCHES:
        codes = {reason.code for reason in wheel.reasons(one, with_torch(WINDOWS_313, f"{version}+cu130"))}
        assert ("wheel-torch" not in codes) == SpecifierSet(one.torch).contains(version), (one.file, version)


@pytest.mark.parametrize("one", wheel.wheels(), ids=lambda one: one.file)
def test_every_file_of_the_table_is_what_its_name_says(one):
    name, version, _, wheel_tags = parse_wheel_filename(one.file)
    assert (str(name), version) == (one.package, Version(one.version))
    assert {(tag.interpreter, tag.abi, tag.platform) for tag in wheel_tags} == {
        (one.python, one.abi, one.platform)
    }
    if one.url is not None:
        assert one.url.startswith(("https://github.com/", "https://huggingface.co/"))
        assert unquote(one.url).rpartition("/")[2] == one.file
    assert not one.sha256 or re.fullmatch("[0-9a-f]{64}", one.sha256)
    assert one.sha256 or not one.sha256_source
    assert one.source.startswith("https://") and one.capabilities
    assert set(one.capabilities) <= {"7.5", "8.0", "8.6", "8.7", "8.9", "9.0", "12.0"}


def test_every_row_of_the_other_tables_names_its_source():
    data = table("wheels")
    for part in (
        "triton_windows_python",
        "turing",
        "hub_kernel",
        "build",
        "gpu_names",
        "headers",
        "runtime",
        "registry",
        "index",
        "fa3",
    ):
        assert data[part]["source"], part
    for part in ("triton", "serves_as_well", "also_there"):
        assert all(row["source"] for row in data[part]), part


def test_triton_of_both_tables_is_the_same():
    known = {row["torch"]: row for row in tables()["torch_triton"]}
    for row in table("wheels")["triton"]:
        other = known[row["torch"]]
        assert {pin.rpartition(".")[0] for pin in row["linux"].values()} == {other["linux"]}
        if row["windows"] is None:
            assert other["windows"] is None
        else:
            assert SpecifierSet(row["windows"]).contains(row["windows_newest"])
            assert row["windows"].startswith(f">={other['windows']},")


def test_gpus_are_known_by_name_where_torch_was_not_asked():
    for name, capability in {
        "NVIDIA GeForce RTX 5060 Ti": (12, 0),
        "NVIDIA RTX PRO 6000 Blackwell Workstation Edition": (12, 0),
        "NVIDIA H100 80GB HBM3": (9, 0),
        "NVIDIA RTX 6000 Ada Generation": (8, 9),
        "NVIDIA GeForce RTX 3050 Laptop GPU": (8, 6),
        "NVIDIA A100-SXM4-40GB": (8, 0),
        "Tesla T4": (7, 5),
        "NVIDIA GeForce GTX 1660 SUPER": (7, 5),
        "Quadro RTX 5000": (7, 5),
        "Tesla P100-PCIE-16GB": (6, 0),
        "NVIDIA RTX PRO 500 Blackwell Generation Laptop GPU": (12, 0),
        "NVIDIA GB10": (12, 1),
        "NVIDIA Thor": (11, 0),
        "NVIDIA B300 SXM6 AC": (10, 3),
        "NVIDIA GB200": (10, 0),
        "NVIDIA GH200 480GB": (9, 0),
        "NVIDIA H20": (9, 0),
        "NVIDIA L40S": (8, 9),
        "NVIDIA L4": (8, 9),
        "NVIDIA RTX 4000 SFF Ada Generation": (8, 9),
        "Orin": (8, 7),
        "NVIDIA GeForce RTX 2050": (8, 6),
        "NVIDIA RTX A500 Laptop GPU": (8, 6),
        "NVIDIA RTX A4500": (8, 6),
        "NVIDIA A10G": (8, 6),
        "NVIDIA A16": (8, 6),
        "NVIDIA A30": (8, 0),
        "NVIDIA A800-SXM4-80GB": (8, 0),
        "NVIDIA T1000 8GB": (7, 5),
        "NVIDIA GeForce MX450": (7, 5),
        "NVIDIA GeForce GTX 1630": (7, 5),
        "Quadro GV100": (7, 0),
        "NVIDIA GeForce GT 1030": (6, 1),
        "NVIDIA GeForce MX150": (6, 1),
        "Quadro P2000": (6, 1),
        "Tesla P40": (6, 1),
        "NVIDIA TITAN X (Pascal)": (6, 1),
        "NVIDIA GeForce GTX TITAN X": (5, 2),
        "Tesla M40": (5, 2),
        "NVIDIA GeForce GTX 750 Ti": (5, 0),
        "Tesla K80": (3, 7),
    }.items():
        machine = replace(WINDOWS_313, gpus=(Gpu(0, name),))
        assert plan.capabilities(machine) == {capability}, name
    for name in ("AMD Radeon RX 7900 XTX", "NVIDIA Something New 9999"):
        assert plan.capabilities(replace(WINDOWS_313, gpus=(Gpu(0, name),))) == frozenset()


def test_two_gpus_one_without_code_is_told():
    machine = with_gpus(
        on_windows("3.12.10", "2.6.0+cu126"), GeForce_RTX_3090=(8, 6), GeForce_RTX_5090=(12, 0)
    )
    chosen = wheel.choose(machine, "sageattention").wheel
    assert chosen.version == "2.2.0+cu126torch2.6.0.post3"
    assert any(
        "It has none for NVIDIA GeForce RTX 5090 (12.0)" in line for line in wheel.why(chosen, machine)
    )


def test_the_same_minor_version_of_cuda_is_preferred_where_there_are_two():
    for full, built in (("2.13.0+cu130", "cu130"), ("2.13.0+cu132", "cu132"), ("2.12.1+cu132", "cu132")):
        machine = portable("3.13.14", full, GeForce_RTX_5090=(12, 0))
        assert built in wheel.choose(machine, "sageattn3").wheel.file
