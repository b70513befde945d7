"""Versions that belong together: each rule, on a machine that breaks it and on one without that fact."""

import importlib.metadata
import json
import re
from dataclasses import fields, replace
from pathlib import Path

import pytest
from sagekit.doctor import rules
from sagekit.knowledge import tables
from sagekit.machine import (
    Driver,
    Environment,
    Gpu,
    Package,
    Python,
    Torch,
)
from support.environments import (
    A100,
    H100,
    KAGGLE_T4,
    LAPTOP,
    P100,
    ROCM,
    RTX_2080,
    RTX_3090,
    RTX_4090,
    RTX_5090,
    SAGE_1,
    UPSTREAM,
    V100,
    WELL_MATCHED,
    WINDOWS_312,
    WINDOWS_313,
    sage,
    with_gpus,
    with_packages,
    with_torch,
)

DATA = Path(tables.__file__).resolve().parent / "versions.json"


def codes(environment: Environment) -> list[str]:
    return sorted(mismatch.reason.code for mismatch in rules.mismatches(environment))


def untested(environment: Environment, driver: str = "581.29") -> Environment:
    """As read at a start: the driver names the GPUs, torch was not asked."""
    names = tuple(gpu.name for gpu in environment.gpus) or ("NVIDIA GeForce RTX 4090",)
    gpus = tuple(Gpu(index, name) for index, name in enumerate(names))
    return replace(environment, gpus=gpus, driver=Driver(driver, names))


def python(environment: Environment, **facts) -> Environment:
    return replace(environment, python=replace(environment.python, **facts))


def sage_build(environment: Environment, build: str, **facts) -> Environment:
    return with_packages(environment, sageattention=sage(build, **facts))


def triton(environment: Environment, version: str | None) -> Environment:
    name = "triton_windows" if environment.system == "windows" else "triton"
    return with_packages(environment, **{name: version and Package(version)})


def user_site(environment: Environment, *names: str) -> Environment:
    found = {name: replace(environment.packages[name], in_user_site=True) for name in names}
    return replace(environment, packages=environment.packages | found)


@pytest.mark.parametrize("environment", WELL_MATCHED.values(), ids=WELL_MATCHED)
def test_a_machine_that_is_well_put_together_has_no_mismatch(environment):
    assert rules.mismatches(environment) == []


ONLY_LINUX_WHEEL = "cu130.torch2.13.0.sm"
T4_BESIDE_3090 = with_gpus(RTX_3090, Tesla_T4=(7, 5), GeForce_RTX_3090=(8, 6))
TORCH_213 = triton(with_torch(RTX_4090, "2.13.0+cu130"), "3.7.1")
# The codes expected, a machine that has them, and the same with one fact changed, without.
CASES = {
    "an older Triton, windows": (
        ["triton-torch"],
        triton(WINDOWS_313, "3.6.0"),
        triton(WINDOWS_313, "3.7.0"),
    ),
    "a newer Triton, linux": (["triton-torch"], triton(H100, "3.7.0"), triton(H100, "3.6.1")),
    "a newer torch": (["triton-torch"], with_torch(H100, "2.12.0+cu130"), with_torch(H100, "2.10.0+cu130")),
    "Triton of torch 2.4 on linux": (
        ["triton-torch"],
        triton(with_torch(A100, "2.4.1+cu124"), "3.1.0"),
        triton(with_torch(A100, "2.4.1+cu124"), "3.0.0"),
    ),
    "sage 2 without Triton": (["triton-missing"], triton(RTX_4090, None), RTX_4090),
    "sage 1 without Triton": (["triton-missing"], triton(KAGGLE_T4, None), KAGGLE_T4),
    "sage without Triton, windows": (["triton-missing"], triton(WINDOWS_312, None), WINDOWS_312),
    "a build for an older torch": (
        ["build-torch"],
        sage_build(WINDOWS_312, "cu128torch2.7.1.post3"),
        sage_build(WINDOWS_312, "cu128torch2.8.0.post3"),
    ),
    "a build for a newer torch": (
        ["build-torch"],
        sage_build(RTX_3090, "cu128torch2.10.0andhigher.post6"),
        sage_build(RTX_3090, "cu128torch2.9.1.post6"),
    ),
    "a build for torch 2.9 alone beside a later one": (
        ["build-torch"],
        sage_build(WINDOWS_313, "cu130torch2.9.1.post6"),
        sage_build(WINDOWS_313, "cu130torch2.10.0andhigher.post6"),
    ),
    "sage 3 for another torch": (
        ["build-torch"],
        with_packages(RTX_5090, sageattn3=Package("1.0.0", "cu130torch291")),
        with_packages(RTX_5090, sageattn3=Package("1.0.0", "cu130torch2.10.0")),
    ),
    "a build for CUDA 12 beside 13": (
        ["build-cuda"],
        sage_build(RTX_5090, "cu128torch2.10.0andhigher.post6"),
        sage_build(RTX_5090, "cu130torch2.10.0andhigher.post6"),
    ),
    "a build for CUDA 13 beside 12": (
        ["build-cuda"],
        sage_build(RTX_3090, "cu130torch2.9.1.post6"),
        sage_build(RTX_3090, "cu128torch2.9.1.post6"),
    ),
    "a build that names its CUDA alone": (
        ["build-cuda"],
        sage_build(H100, "cu12"),
        sage_build(H100, "cu13"),
    ),
    "a CUDA build beside ROCm": (["build-cuda"], sage_build(ROCM, "cu12"), sage_build(ROCM, "")),
    "a build for another GPU": (
        ["build-gpu"],
        sage_build(TORCH_213, ONLY_LINUX_WHEEL + "120"),
        sage_build(TORCH_213, ONLY_LINUX_WHEEL + "89"),
    ),
    "a build for a later minor of the same GPUs": (
        ["build-gpu"],
        with_gpus(sage_build(TORCH_213, ONLY_LINUX_WHEEL + "86"), A100=(8, 0)),
        with_gpus(sage_build(TORCH_213, ONLY_LINUX_WHEEL + "86"), A40=(8, 6)),
    ),
    "a windows build on a data centre Blackwell": (
        ["build-gpu"],
        with_gpus(RTX_5090, B200=(10, 0)),
        with_gpus(RTX_5090, RTX_PRO_6000=(12, 0)),
    ),
    "a build for one GPU where another's says nothing of GPUs": (
        ["build-gpu"],
        with_gpus(sage_build(TORCH_213, ONLY_LINUX_WHEEL + "89"), GeForce_RTX_5080=(12, 0)),
        with_gpus(sage_build(TORCH_213, "cu13"), GeForce_RTX_5080=(12, 0)),
    ),
    "sage 3 before Blackwell": (
        ["build-gpu"],
        with_packages(with_gpus(RTX_5090, RTX_4090=(8, 9)), sageattn3=Package("1.0.0")),
        with_packages(RTX_5090, sageattn3=Package("1.0.0")),
    ),
    "sage on Pascal": (["sage-gpu"], with_packages(P100, sageattention=SAGE_1), P100),
    "sage on Volta": (
        ["sage-gpu"],
        with_packages(V100, sageattention=SAGE_1),
        with_gpus(with_packages(V100, sageattention=SAGE_1), A100=(8, 0)),
    ),
    "sage 3 on Volta": (
        ["sage-gpu"],
        with_packages(V100, sageattn3=Package("1.0.0")),
        with_packages(V100, xformers=Package("0.0.33")),
    ),
    "upstream's sage 2 on a T4": (
        ["sage2-turing"],
        with_packages(KAGGLE_T4, sageattention=UPSTREAM),
        KAGGLE_T4,
    ),
    "a fork build from before its Turing route": (
        ["sage2-turing"],
        sage_build(RTX_2080, "cu126torch2.6.0", version="2.1.1"),
        sage_build(RTX_2080, "cu126torch2.6.0.post1"),
    ),
    "a new Triton on a T4": (
        ["triton-too-new-for-gpu"],
        triton(with_torch(KAGGLE_T4, "2.7.1+cu126"), "3.3.1"),
        # The recipe that is left: the Triton of torch 2.6 beside a later torch.
        triton(with_torch(KAGGLE_T4, "2.7.1+cu126"), "3.2.0"),
    ),
    "a new Triton on a T4 with sage or without": (
        ["triton-too-new-for-gpu"],
        triton(with_torch(KAGGLE_T4, "2.10.0+cu128"), "3.6.0"),
        with_packages(triton(with_torch(KAGGLE_T4, "2.10.0+cu128"), "3.6.0"), sageattention=None),
    ),
    "an old Triton without sage to hold it back for": (
        ["triton-torch"],
        with_packages(with_torch(KAGGLE_T4, "2.7.1+cu126"), sageattention=None),
        with_torch(KAGGLE_T4, "2.7.1+cu126"),
    ),
    "a new Triton where a newer GPU stands beside the T4": (
        ["triton-too-new-for-gpu"],
        with_gpus(T4_BESIDE_3090, Tesla_T4=(7, 5)),
        T4_BESIDE_3090,
    ),
    "RTX 50 with CUDA 12.6": (
        ["torch-cuda-too-old-for-gpu"],
        with_gpus(with_torch(A100, "2.7.1+cu126"), GeForce_RTX_5080=(12, 0)),
        with_gpus(with_torch(A100, "2.7.1+cu128"), GeForce_RTX_5080=(12, 0)),
    ),
    "two kinds of Blackwell with CUDA 12.6 and Triton 3.2": (
        ["torch-cuda-too-old-for-gpu", "triton-too-old-for-gpu"],
        with_gpus(triton(with_torch(A100, "2.6.0+cu126"), "3.2.0"), B200=(10, 0), GeForce_RTX_5080=(12, 0)),
        with_gpus(triton(with_torch(A100, "2.6.0+cu126"), "3.2.0"), H200=(9, 0), GeForce_RTX_4080=(8, 9)),
    ),
    "the Triton of the other system": (
        ["triton-torch"],
        with_packages(WINDOWS_313, triton=Package("3.7.1"), triton_windows=Package("3.6.0.post26")),
        with_packages(WINDOWS_313, triton=Package("3.6.0"), triton_windows=Package("3.7.1.post27")),
    ),
    "RTX 50 with Triton 3.2": (
        ["triton-too-old-for-gpu"],
        with_gpus(triton(with_torch(A100, "2.6.0+cu128"), "3.2.0"), GeForce_RTX_5080=(12, 0)),
        with_gpus(triton(with_torch(A100, "2.6.0+cu128"), "3.2.0"), GeForce_RTX_4080=(8, 9)),
    ),
    "RTX 50 with everything of before it": (
        ["build-gpu", "torch-cuda-too-old-for-gpu", "triton-too-old-for-gpu"],
        with_gpus(sage_build(RTX_2080, "cu126torch2.6.0.post3"), GeForce_RTX_5090=(12, 0)),
        with_gpus(sage_build(RTX_2080, "cu126torch2.6.0.post3"), GeForce_RTX_4090=(8, 9)),
    ),
    "upstream's sage on an Orin": (
        ["sage-branch"],
        with_gpus(A100, Orin=(8, 7)),
        with_gpus(with_packages(A100, sageattention=sage("", head_dim_limit=256)), Orin=(8, 7)),
    ),
    "upstream's sage on a data centre Blackwell": (
        ["sage-branch"],
        with_gpus(TORCH_213, B200=(10, 0)),
        with_gpus(TORCH_213, GB10=(12, 1)),
    ),
    "sage 2.0 on an RTX 50": (
        ["sage-branch"],
        with_gpus(with_packages(TORCH_213, sageattention=sage("", "2.0.1")), GeForce_RTX_5090=(12, 0)),
        with_packages(TORCH_213, sageattention=sage("", "2.0.1")),
    ),
    "one's own sage 2.1 on an RTX 50": (
        ["sage-branch"],
        with_gpus(with_packages(TORCH_213, sageattention=sage("", "2.1.1")), GeForce_RTX_5090=(12, 0)),
        with_gpus(sage_build(WINDOWS_312, "cu128torch2.8.0", version="2.1.1"), GeForce_RTX_5090=(12, 0)),
    ),
    "upstream's sage where another GPU has a branch": (
        ["sage-branch"],
        with_gpus(TORCH_213, B200=(10, 0)),
        with_gpus(TORCH_213, B200=(10, 0), H100=(9, 0)),
    ),
    "a build of the tag whose kernel for Hopper is hidden": (
        ["known-bad-build"],
        with_gpus(sage_build(TORCH_213, ONLY_LINUX_WHEEL + "90"), H100=(9, 0)),
        with_gpus(sage_build(TORCH_213, ONLY_LINUX_WHEEL + "80"), A100=(8, 0)),
    ),
    "an index's build of the same tag": (
        ["known-bad-build"],
        with_gpus(sage_build(RTX_4090, "cu.13.0.torch.2.11"), H100=(9, 0)),
        sage_build(RTX_4090, "cu.13.0.torch.2.11"),
    ),
    "the same as its README spells it, for another torch": (
        ["build-torch"],
        sage_build(RTX_4090, "cu13.0torch2.10.0cxx11abiTRUE"),
        sage_build(RTX_4090, "cu13.0torch2.11.0cxx11abiTRUE"),
    ),
    "sage on a Mac": (
        ["sage-maker"],
        replace(with_packages(with_torch(LAPTOP, "2.9.1"), sageattention=SAGE_1), system="darwin"),
        replace(with_torch(LAPTOP, "2.9.1"), system="darwin"),
    ),
    "sage on an Intel GPU": (
        ["sage-maker"],
        with_packages(with_torch(LAPTOP, "2.9.1+xpu", xpu="2025.2"), sageattention=UPSTREAM),
        with_packages(with_torch(LAPTOP, "2.9.1+rocm6.4", rocm="6.4"), sageattention=SAGE_1),
    ),
    "sage where ComfyUI computes in float32": (
        ["sage-float32"],
        with_gpus(KAGGLE_T4, GeForce_GTX_1660_SUPER=(7, 5)),
        with_gpus(KAGGLE_T4, GeForce_GTX_1660_SUPER=(7, 5), T4=(7, 5)),
    ),
    "post5": (
        ["known-bad-build"],
        sage_build(RTX_3090, "cu128torch2.9.1.post5"),
        sage_build(RTX_3090, "cu128torch2.9.1.post6"),
    ),
    "post4 on a torch that suits it": (
        ["known-bad-build"],
        sage_build(RTX_3090, "cu128torch2.9.0andhigher.post4"),
        sage_build(RTX_3090, "cu128torch2.9.0.post3"),
    ),
    "post4 on torch 2.8": (
        ["build-torch", "known-bad-build"],
        sage_build(WINDOWS_312, "cu128torch2.9.0andhigher.post4"),
        WINDOWS_312,
    ),
    "post1 on RTX 50": (
        ["known-bad-build"],
        with_gpus(sage_build(WINDOWS_312, "cu128torch2.8.0.post1"), GeForce_RTX_5090=(12, 0)),
        sage_build(WINDOWS_312, "cu128torch2.8.0.post1"),
    ),
    "a wheel that does not load on one Python": (
        ["known-bad-build"],
        sage_build(RTX_5090, "cu130torch2.10.0", version="2.2.0.post3"),
        python(sage_build(RTX_5090, "cu130torch2.10.0", version="2.2.0.post3"), version="3.12.10"),
    ),
    "a CPU torch beside a GPU": (
        ["torch-without-cuda"],
        untested(with_torch(WINDOWS_313, "2.13.0+cpu")),
        replace(with_torch(LAPTOP, "2.13.0+cpu"), driver=None),
    ),
    "CUDA 13 on a driver of CUDA 12": (
        ["driver-too-old"],
        untested(WINDOWS_313, "579.99"),
        untested(WINDOWS_313, "580"),
    ),
    "CUDA 12 on a driver of CUDA 11": (
        ["driver-too-old"],
        untested(WINDOWS_312, "512.15"),
        untested(WINDOWS_312, "528.33"),
    ),
    "an old driver on which torch starts all the same": (
        ["driver-too-old"],
        untested(H100, "550.54.15"),
        replace(H100, driver=Driver("550.54.15", ("NVIDIA H100 80GB HBM3",))),
    ),
    "a torch without code for a P100": (
        ["torch-gpu"],
        with_torch(P100, "2.9.1+cu128"),
        with_torch(P100, "2.9.1+cu126"),
    ),
    "a torch without code for a V100": (
        ["torch-gpu"],
        with_torch(V100, "2.9.1+cu130"),
        with_torch(V100, "2.9.1+cu128"),
    ),
    "a later torch without code for a V100": (
        ["torch-gpu"],
        triton(with_torch(V100, "2.11.0+cu128"), "3.6.0"),
        triton(with_torch(V100, "2.11.0+cu126"), "3.6.0"),
    ),
    "a torch without code for a P100 by two rows of the table": (
        ["torch-gpu"],
        triton(with_torch(P100, "2.11.0+cu130"), "3.6.0"),
        triton(with_torch(P100, "2.11.0+cu126"), "3.6.0"),
    ),
    "the embeddable Python without headers": (
        ["python-headers"],
        python(WINDOWS_313, has_headers=False),
        python(WINDOWS_313, has_headers=True),
    ),
    "no headers where nothing compiles": (
        ["python-headers"],
        with_packages(python(WINDOWS_313, has_headers=False), sageattention=None),
        with_packages(python(WINDOWS_313, has_headers=False), sageattention=None, triton_windows=None),
    ),
    "a package of the user's other Python": (
        ["user-site"],
        user_site(RTX_4090, "triton"),
        user_site(RTX_4090, "torch", "triton", "sageattention"),
    ),
    "the same in an embeddable Python": (
        ["user-site"],
        user_site(WINDOWS_313, "torch", "triton-windows", "sageattention"),
        WINDOWS_313,
    ),
    "a user's copy in front of this Python's": (
        ["user-site"],
        user_site(with_packages(RTX_4090, torch=Package("2.11.0", copies=("2.9.1",))), *RTX_4090.packages),
        user_site(RTX_4090, *RTX_4090.packages),
    ),
    "sageattention installed twice": (
        ["two-copies"],
        with_packages(RTX_4090, sageattention=sage("", copies=("1.0.6",))),
        RTX_4090,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_one_fact_breaks_a_rule_and_no_other_and_without_it_all_is_well(case):
    expected, broken, well = CASES[case]
    assert codes(broken) == expected
    assert codes(well) == []


def test_every_rule_has_a_machine_that_breaks_it():
    broken = [environment for _, environment, _ in CASES.values()]
    silent = [rule for rule in rules.RULES if not any(list(rule(environment)) for environment in broken)]
    assert silent == []


def test_every_mismatch_says_both_sides_what_to_do_and_who_says_so():
    found = [one for _, environment, _ in CASES.values() for one in rules.mismatches(environment)]
    for one in found:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", one.reason.code)
        assert all((one.reason.needed, one.reason.came, one.about, one.source)), one
        assert re.fullmatch(r"[A-Z][^\n]*\.", one.do), one.do
        assert json.loads(json.dumps(one.as_data()))["reason"]["code"] == one.reason.code


def test_the_sentence_names_what_is_needed_what_came_and_what_to_do():
    (one,) = rules.mismatches(triton(WINDOWS_313, "3.6.0.post26"))
    assert str(one) == (
        "triton-windows: needs Triton 3.7 for torch 2.13.0+cu130, got 3.6.0.post26. "
        "Change triton-windows to a 3.7 release, the one that belongs to torch 2.13."
    )


@pytest.mark.parametrize(
    ("environment", "do"),
    [
        (WINDOWS_312, "Install the triton-windows that belongs to this torch, 3.4 for torch 2.8."),
        (RTX_4090, "Install the triton that belongs to this torch, 3.6 for torch 2.11."),
        (with_torch(RTX_4090, "9.9.0+cu130"), "Install the triton that belongs to this torch."),
    ],
)
def test_a_missing_triton_is_told_with_the_one_to_install(environment, do):
    (one,) = rules.mismatches(triton(environment, None))
    assert one.do == do


def test_the_limit_of_a_build_names_the_gpus_its_module_has_code_for():
    (limit,) = rules.limits(RTX_5090)
    needed = "capability 8.0 or 8.6 or 8.7 or 8.9 for its _qattn_sm80"
    assert str(limit.reason) == f"needs {needed}, got NVIDIA GeForce RTX 5090 (12.0)"


def test_the_table_agrees_with_the_torch_that_is_installed_here():
    try:
        requirements = importlib.metadata.requires("torch") or []
    except importlib.metadata.PackageNotFoundError:
        requirements = []
    asked = [match for one in requirements if (match := re.match(r"triton\s*[~=]=\s*(\d+\.\d+)", one))]
    if not asked:
        pytest.skip("needs a torch whose metadata ask for a Triton")
    minor = ".".join(importlib.metadata.version("torch").split(".")[:2])
    known = tables.minor_of_triton(tuple(map(int, minor.split("."))), "linux")
    assert known in (None, asked[0][1])


def test_versions_that_no_table_names_are_not_judged():
    assert codes(triton(with_torch(H100, "9.9.0+cu130"), "9.0.0")) == []
    assert codes(triton(with_torch(H100, "2.12.0.dev20260105+cu130"), "3.9.0")) == []
    assert codes(replace(H100, system="darwin")) == []


NONSENSE = {
    "python": [None, Python(""), Python("x", has_headers=False)],
    "system": ["", "windows", "plan9"],
    "torch": [None, Torch(""), Torch("x", "y", "z"), Torch("2", cuda="13"), Torch("2.9.1", rocm="6")],
    "driver": [None, Driver(), Driver("unknown"), Driver(None, ("NVIDIA",))],
    "gpus": [(), (Gpu(0, ""),), (Gpu(0, "x", (99, 9)),), (Gpu(0, "x", (0, 0)), Gpu(1, "y", (12, 0)))],
    "packages": [
        {},
        {name: Package("") for name in ("torch", "triton", "triton-windows", "sageattention", "sageattn3")},
        {"sageattention": Package("x", "cu99torch"), "triton": Package("dev")},
        {"sageattention": Package("2.2.0", "cu128torch2.post5"), "triton": Package("3")},
    ],
}


@pytest.mark.parametrize("machine", [Environment(), *WELL_MATCHED.values()])
def test_no_rule_raises_whatever_could_not_be_read(machine):
    assert set(NONSENSE) <= {field.name for field in fields(Environment)}
    for name, values in NONSENSE.items():
        for value in values:
            for rule in (*rules.RULES, *rules.LIMITS):
                list(rule(replace(machine, **{name: value})))


def limit_codes(environment: Environment) -> list[str]:
    return sorted(limit.reason.code for limit in rules.limits(environment))


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        (V100, ["sage-gpu"]),
        (P100, ["sage-gpu"]),
        (KAGGLE_T4, ["sage-turing"]),
        (with_gpus(KAGGLE_T4, GeForce_GTX_1660_SUPER=(7, 5)), ["gpu-float32"]),
        (with_gpus(KAGGLE_T4, T1000=(7, 5), T4=(7, 5)), ["gpu-float32", "sage-turing"]),
        (RTX_5090, ["module-gpu"]),
        (sage_build(RTX_5090, ""), []),
        (with_gpus(V100, V100=(7, 0), T4=(7, 5), A100=(8, 0)), ["sage-gpu", "sage-turing"]),
        (RTX_3090, []),
        (WINDOWS_313, []),
        (H100, []),
        (LAPTOP, []),
        (ROCM, []),
    ],
)
def test_what_a_gpu_can_not_do_is_told_apart_from_what_can_be_put_right(environment, expected):
    assert limit_codes(environment) == expected


def test_nobody_is_told_to_run_float16_where_it_is_broken():
    """ComfyUI computes in float32 there, and no SageAttention takes that."""
    for installed in (SAGE_1, UPSTREAM):
        machine = triton(
            with_packages(with_torch(KAGGLE_T4, "2.7.1+cu126"), sageattention=installed), "3.3.1"
        )
        turing = [one.do for one in rules.mismatches(machine)]
        assert any("float16" in do for do in turing)
        (broken,) = rules.mismatches(with_gpus(machine, GeForce_GTX_1650=(7, 5)))
        assert broken.do.startswith("Remove sageattention: ComfyUI computes in float32")


def test_every_row_of_the_tables_names_its_source():
    def rows(value):
        if isinstance(value, list):
            for one in value:
                yield from rows(one)
        elif isinstance(value, dict):
            yield value
            for one in value.values():
                yield from rows(one)

    tables = json.loads(DATA.read_text(encoding="utf-8"))
    tables.pop("about")
    modules = tables["sageattention_modules"].pop("modules")
    assert {row["module"] for row in modules} == {"_qattn_sm80", "_qattn_sm89", "_qattn_sm90"}
    unsourced = [
        row
        for name, table in tables.items()
        for row in rows(table)
        if not any(len(text) > 10 for key, text in row.items() if key == "source" or key.endswith("_source"))
    ]
    assert unsourced == []
