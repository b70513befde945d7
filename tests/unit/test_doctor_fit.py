"""What is installed fits, does not, or is not known to: and what tells where it is not known."""

from dataclasses import replace

import pytest
from sagekit.check.verdicts import (
    CRASHED,
    NOT_IMPORTABLE,
    OK,
    REFUSED,
    WRONG,
    Verdict,
)
from sagekit.doctor.plan import failures, outcome
from sagekit.doctor.plan.host_attention import given
from sagekit.doctor.plan.plan import make_plan
from sagekit.machine import Gpu, Package
from support.environments import (
    H100,
    KAGGLE_T4,
    LAPTOP,
    PLAIN_WINDOWS,
    ROCM,
    RTX_2080,
    RTX_4090,
    SAGE_1,
    UPSTREAM,
    WINDOWS_312,
    WINDOWS_313,
    sage,
    with_gpus,
    with_packages,
    with_torch,
)


def state(machine, **checked) -> str:
    (one,) = make_plan(machine, **checked).installed
    return one.state


@pytest.mark.parametrize(
    ("machine", "expected"),
    {
        "a known file": (WINDOWS_313, "fits"),
        "version 1 beside torch's own Triton": (with_packages(WINDOWS_313, sageattention=SAGE_1), "fits"),
        "version 1 on a Turing": (KAGGLE_T4, "fits"),
        "the same on Windows": (RTX_2080, "fits"),
        "version 1 where nobody ran it": (
            with_gpus(with_packages(RTX_4090, sageattention=SAGE_1), GB10=(12, 1)),
            "unknown",
        ),
        "one's own build": (RTX_4090, "unknown"),
        "one's own on Hopper": (H100, "unknown"),
        "a wheel of somebody": (
            with_packages(WINDOWS_313, sageattention=sage("cu130torch2.13.0", "2.2.0.post3")),
            "unknown",
        ),
        "one of no known version": (with_packages(RTX_4090, sageattention=Package("")), "unknown"),
        "a nightly torch": (with_torch(WINDOWS_313, "2.16.0.dev20261101+cu130"), "unknown"),
        "version 1 on AMD": (with_packages(ROCM, sageattention=SAGE_1), "unknown"),
        "a free-threaded Python": (
            replace(WINDOWS_313, python=replace(WINDOWS_313.python, free_threaded=True)),
            "unknown",
        ),
        "a build for another torch": (
            with_packages(WINDOWS_312, sageattention=sage("cu128torch2.7.1.post3")),
            "wrong",
        ),
        "a known bad one": (
            with_packages(WINDOWS_313, sageattention=sage("cu130torch2.10.0andhigher.post5")),
            "wrong",
        ),
        "one without a branch": (with_gpus(RTX_4090, Orin=(8, 7)), "wrong"),
    }.values(),
)
def test_a_package_is_known_to_fit_known_not_to_or_not_known(machine, expected):
    assert state(machine) == expected


def test_a_triton_of_no_known_version_leaves_the_rest_not_judged():
    machine = with_packages(WINDOWS_313, triton_windows=Package(""))
    assert [(one.name, one.state) for one in make_plan(machine).installed] == [
        ("sageattention", "fits"),
        ("triton-windows", "unknown"),
    ]


def test_the_check_settles_what_no_version_tells():
    assert state(RTX_4090, passed={"sageattention": True}) == "fits"
    assert make_plan(RTX_4090, passed={"sageattention": True}).outcome == outcome.WELL
    assert state(RTX_4090, failed={"sageattention": "sage2-int8-fp8: wrong"}) == "wrong"
    assert state(RTX_4090, broken={"sageattention": "undefined symbol"}) == "wrong"
    (one,) = make_plan(RTX_4090, passed={"sageattention": False}).installed
    assert one.state == "unknown" and "some of its kernels passed" in one.known


def test_a_check_that_passed_does_not_hide_what_the_rules_know():
    wrong = with_packages(WINDOWS_313, sageattention=sage("cu130torch2.10.0andhigher.post5"))
    assert make_plan(wrong, passed={"sageattention": True}).outcome == outcome.REPAIR


def test_what_the_check_found_is_read_by_package():
    ok, wrong = Verdict(OK, 0.02), Verdict(WRONG, 0.9)
    refused = Verdict(REFUSED, None, "needs capability 8.9")
    found = {"RTX 4090": {"sage2-int8-fp8": ok, "sage2-int8-fp8-sm90": refused, "sdpa-cudnn": ok}}
    assert failures.passed(found) == {"sageattention": True} and failures.failed(found) == {}
    found["RTX 4090"]["sage2-int8-fp16"] = wrong
    assert failures.passed(found) == {"sageattention": False} and failures.failed(found) == {}
    found = {"H100": {"sage2-int8-fp8-sm90": wrong, "sage3-fp4": Verdict(CRASHED, None, "signal 11")}}
    assert failures.passed(found) == {}
    assert failures.failed(found) == {
        "sageattention": "sage2-int8-fp8-sm90: wrong",
        "sageattn3": "sage3-fp4: crashed",
    }
    none = {"H100": {"sage2-int8-fp8": refused, "sage1-int8-fp16": Verdict(NOT_IMPORTABLE, None, "no")}}
    assert failures.passed(none) == failures.failed(none) == {}


def test_a_build_of_which_nobody_knows_is_not_replaced_by_a_step_but_what_fits_is_named():
    machine = with_packages(WINDOWS_313, sageattention=sage("cu130torch2.13.0", "2.2.0.post3"))
    made = make_plan(machine)
    assert made.outcome == outcome.NOT_JUDGED and made.steps == ()
    assert [step.code for step in made.options] == ["install-sage"]
    assert made.options[0].wheel.version.endswith("post6")


def test_no_way_back_is_another_outcome_than_nothing_that_fits():
    own = with_gpus(with_packages(WINDOWS_313, sageattention=sage("", "2.0.1")), GeForce_RTX_5090=(12, 0))
    assert make_plan(own).outcome == outcome.NO_WAY_BACK
    # The package registry still has version 1, so that one can be had again.
    old = with_packages(WINDOWS_313, sageattention=sage("", "1.0.5"))
    assert [step.undo[0][-1] for step in make_plan(old).steps] == ["sageattention==1.0.5"]
    unfit = with_torch(with_packages(PLAIN_WINDOWS, sageattention=None), "2.15.0+cu130")
    assert make_plan(unfit).outcome == outcome.NOTHING_FITS


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        (WINDOWS_313, "PyTorch's attention"),
        (with_packages(WINDOWS_313, xformers=Package("0.0.33")), "xformers' attention"),
        (replace(WINDOWS_313, flags=("use_split_cross_attention",)), "its own split attention"),
        (with_torch(LAPTOP, "2.9.1+xpu", xpu="2025.2"), "PyTorch's attention"),
        (LAPTOP, "its own sub-quadratic attention"),
        (replace(with_torch(LAPTOP, "2.9.1"), system="darwin"), "its own sub-quadratic attention"),
        (ROCM, "PyTorch's attention"),
        (replace(ROCM, gpus=(Gpu(0, "AMD Radeon RX 6800 XT"),)), "its own sub-quadratic attention"),
        (replace(ROCM, gpus=(Gpu(0, "AMD Radeon RX 9070 XT"),)), "its own sub-quadratic attention"),
        (
            with_torch(replace(ROCM, gpus=(Gpu(0, "AMD Radeon RX 9070 XT"),)), "2.10.0", rocm="7.2.1"),
            "PyTorch's attention",
        ),
        (with_torch(ROCM, "2.6.0+rocm6.2", rocm="6.2.4"), "its own sub-quadratic attention"),
        (
            replace(with_torch(ROCM, "2.6.0+rocm6.2", rocm="6.2.4"), flags=("use_pytorch_cross_attention",)),
            "PyTorch's attention",
        ),
    ],
)
def test_the_attention_that_comfyui_gives_is_named(machine, expected):
    assert given(machine) == expected


def test_kitchen_is_named_only_where_its_files_have_code_and_a_driver_for_it():
    kitchen = {"comfy-kitchen": Package("0.2.40")}

    def served(machine):
        return "kitchen-int8" in [one["kernel"] for one in make_plan(machine).serving]

    old = replace(WINDOWS_312.driver, version="566.36")
    assert served(with_packages(WINDOWS_313, **kitchen))
    assert served(with_packages(WINDOWS_312, **kitchen))
    assert not served(replace(with_packages(WINDOWS_312, **kitchen), driver=old))
    assert not served(replace(with_packages(WINDOWS_312, **kitchen), driver=None))
    arm = replace(RTX_4090, python=replace(RTX_4090.python, machine="aarch64"))
    assert served(with_packages(RTX_4090, **kitchen)) and not served(with_packages(arm, **kitchen))


def test_sage_beside_a_gpu_of_another_maker_is_wrong_also_where_torch_is_for_cuda():
    radeon = (Gpu(0, "AMD Radeon RX 7900 XTX"),)
    for installed in (UPSTREAM, sage("cu130torch2.9.1.post6")):
        machine = with_torch(with_packages(PLAIN_WINDOWS, sageattention=installed), "2.9.1+cu130")
        machine = replace(machine, gpus=radeon, driver=None)
        plan = make_plan(machine)
        assert [one.state for one in plan.installed] == ["wrong"] and plan.outcome == outcome.REPAIR
        assert not any("triton" in str(one) for one in plan.mismatches)


def test_version_1_is_told_what_it_gets_wrong():
    said = make_plan(with_packages(RTX_4090, sageattention=SAGE_1, triton=Package("3.6.0"))).summary
    assert "no multiple of 64" in said and "--use-sage-attention does not" in said


def test_kitchen_comes_first_on_windows_alone():
    kitchen = {"comfy-kitchen": Package("0.2.40")}
    bare = with_packages(PLAIN_WINDOWS, **kitchen)
    assert make_plan(bare).outcome == outcome.NOT_NEEDED
    assert "where it passes the kernel check" in make_plan(bare).summary
    linux = with_packages(with_torch(RTX_4090, "2.13.0+cu130"), sageattention=None, **kitchen)
    assert make_plan(with_packages(linux, triton=Package("3.7.1"))).outcome == outcome.INSTALL


def test_flash_attention_3_is_for_hopper_with_cuda_13_on_linux():
    def named(machine):
        return "install-fa3" in [step.code for step in make_plan(machine).options]

    assert named(H100) and named(with_packages(H100, sageattention=None))
    assert not named(with_packages(H100, **{"fa3-fwd": Package("0.0.3")}))
    assert not named(with_torch(H100, "2.11.0+cu128")) and not named(with_torch(H100, "2.9.1+cu130"))
    assert not named(RTX_4090)
    assert not named(replace(H100, python=replace(H100.python, machine="aarch64")))


def test_what_cannot_be_built_is_not_told_to_be_built():
    machine = with_packages(RTX_4090, sageattention=None)

    def building(one):
        return [
            part
            for step in make_plan(one).options
            if step.code == "build-sage"
            for part in step.commands[0][-1:]
        ]

    assert building(machine) == ["git+https://github.com/thu-ml/SageAttention"]
    old = with_torch(with_packages(machine, triton=Package("3.2.0")), "2.6.0+cu118")
    assert building(old) == []
    assert "build-cuda-too-old" in [one.code for one in make_plan(old).unfit]
    assert building(with_gpus(machine, Orin=(8, 7))) == [
        "git+https://github.com/woct0rdho/SageAttention@abi3_stable"
    ]
    assert building(with_gpus(machine, Thor=(11, 0))) == []


def test_a_build_over_an_installed_one_is_forced():
    """Upstream calls every build 2.2.0, and pip keeps what has the version that is asked for."""
    machine = with_gpus(with_packages(RTX_4090, sageattention=UPSTREAM), Orin=(8, 7))
    (build,) = [step for step in make_plan(machine).options if step.code == "build-sage"]
    assert "--force-reinstall" in build.commands[0] and "No way back is known" in build.undo_by_hand
