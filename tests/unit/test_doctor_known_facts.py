"""Facts that were mended: each stands in one table with source and date, and a plan or an answer obeys it.

Each case is carried out twice, with the fact and without it: what it changes is told only with it.
"""

import re
from copy import deepcopy
from dataclasses import dataclass, replace

import pytest
from sagekit.doctor import rules
from sagekit.doctor.causes import symptom
from sagekit.doctor.causes.answer import explain
from sagekit.doctor.plan import wheel
from sagekit.doctor.plan.plan import make_plan
from sagekit.doctor.text import plan_lines
from sagekit.knowledge import compiling, facts, prose, tables
from sagekit.machine import Driver, Package
from support.environments import (
    H100,
    PLAIN_WINDOWS,
    ROCM,
    RTX_3090,
    RTX_4090,
    sage,
    with_gpus,
    with_packages,
    with_torch,
)

CACHES = (prose.known, symptom.symptoms, wheel.wheels, compiling._rows)


@dataclass(frozen=True)
class Fact:
    """One fact.

    Attributes:
        file: "wheels", "versions" or "symptoms".
        at: Where in it the fact stands.
        without: What stands there where nobody knows it; None takes it out.
        told: What is said with it.
        says: What has to be found there with it alone.
        source: Where the source stands, where that is not beside it.
    """

    file: str
    at: tuple
    without: object
    told: object
    says: str
    source: tuple = ()


def plan_of(machine):
    return "\n".join(plan_lines(make_plan(machine)))


def limits_of(machine):
    return "\n".join(f"{one.reason} {one.do}" for one in rules.limits(machine))


def answer_to(text: str) -> str:
    return "\n".join(f"{one.cause} {one.fix}" for one in explain(text))


def row(name: str, **wanted) -> int:
    """Where a row stands in a list of versions.json."""
    rows = tables.tables()[name]
    return next(at for at, one in enumerate(rows) if wanted.items() <= one.items())


def row_of_symptom(code: str) -> int:
    return next(at for at, one in enumerate(facts.table("symptoms")["symptoms"]) if one["code"] == code)


A100 = with_gpus(H100, A100_SXM4_40GB=(8, 0))
OLDER = with_torch(with_packages(RTX_4090, sageattention=None), "2.9.1+cu130")
ARM = replace(OLDER, python=replace(OLDER.python, machine="aarch64"))
KITCHEN = with_packages(PLAIN_WINDOWS, comfy_kitchen=Package("0.2.40"))
FACTS = {
    "pixeloven's build for 9.0 returns memory that was never written": Fact(
        "versions",
        ("known_bad_builds", row("known_bad_builds", build="cu130.torch2.13.0.sm90")),
        {"package": "none", "version": "0", "what": "", "instead": "", "source": "x"},
        lambda: plan_of(with_packages(H100, sageattention=sage("cu130.torch2.13.0.sm90"))),
        "never written",
    ),
    "Astral's index has a file for torch 2.9 on x86_64": Fact(
        "wheels", ("index", "rows"), [], lambda: plan_of(OLDER), "wheels.astral.sh", ("index",)
    ),
    "and one for aarch64": Fact(
        "wheels", ("index", "rows"), [], lambda: plan_of(ARM), "and aarch64, built", ("index",)
    ),
    "an RTX 40 has no FP8 kernel in it": Fact(
        "wheels", ("index", "ada"), "", lambda: plan_of(OLDER), "no FP8 kernels for an RTX 40", ("index",)
    ),
    "fa3-fwd is the fastest on Hopper": Fact(
        "wheels", ("fa3", "capability"), "99.0", lambda: plan_of(H100), "fa3-fwd==", ("fa3",)
    ),
    "its kernels for 8.x are not proved": Fact(
        "wheels",
        ("fa3", "unproved"),
        "99.0",
        lambda: limits_of(with_packages(A100, fa3_fwd=Package("0.0.3"))),
        "not measured",
        ("fa3",),
    ),
    "Comfy Kitchen comes first on Windows": Fact(
        "wheels", ("serves_as_well", 1, "system"), "none", lambda: plan_of(KITCHEN), "to try first on Windows"
    ),
    "it names --use-ck-attention": Fact(
        "wheels", ("serves_as_well", 1, "what"), "", lambda: plan_of(KITCHEN), "--use-ck-attention"
    ),
    "Comfy Kitchen is what has those kernels": Fact(
        "wheels",
        ("kitchen", "package"),
        "another",
        lambda: plan_of(with_torch(KITCHEN, "2.9.1+cu128")),
        "kitchen-int8",
        ("kitchen",),
    ),
    "which is 580": Fact(
        "versions",
        ("driver_for_cuda", row("driver_for_cuda", cuda=13), "driver"),
        "999",
        lambda: plan_of(with_torch(KITCHEN, "2.9.1+cu128")),
        "kitchen-int8",
    ),
    "--use-ck-attention stops where Kitchen has no attention": Fact(
        "symptoms",
        ("symptoms", row_of_symptom("ck-attention"), "match"),
        "nothing",
        lambda: answer_to("Comfy Kitchen attention is unavailable. Install a Comfy Kitchen build"),
        "Leave --use-ck-attention away",
    ),
    "CUDA 11 builds no SageAttention 2": Fact(
        "wheels",
        ("build", "cuda_from"),
        "11.0",
        lambda: plan_of(with_torch(with_packages(RTX_4090, sageattention=None), "2.6.0+cu118")),
        "CUDA 12.0 or newer to build SageAttention 2",
        ("build",),
    ),
    "nor does a toolkit 11.8": Fact(
        "symptoms",
        ("symptoms", row_of_symptom("cuda-mismatch"), "causes", 0, "when", "match", "torch"),
        "never",
        lambda: answer_to(
            "RuntimeError: The detected CUDA version (12.0) mismatches the version that was used to compile "
            "PyTorch (11.8)."
        ),
        "11.8 to match this torch is a dead end",
        ("symptoms", row_of_symptom("cuda-mismatch")),
    ),
    "an RTX 30 has FP8 in Triton from torch 2.9 on": Fact(
        "versions",
        ("triton_gpus", "fp8_on_windows"),
        "3.8.0",
        lambda: answer_to("ValueError: type fp8e4nv not supported in this architecture"),
        "triton-windows of torch 2\\.9 and newer",
        ("triton_gpus",),
    ),
    "SageAttention 1 runs on ROCm": Fact(
        "wheels",
        ("amd", "sage_1", "not_on"),
        ".",
        lambda: plan_of(ROCM),
        "SageAttention 1.0.6 for",
        ("amd", "sage_1"),
    ),
    "an index had a source of 2.2.0 once": Fact(
        "wheels",
        ("registry", "remark"),
        "",
        lambda: answer_to(
            "ERROR: No matching distribution found for sageattention==2.2.0\n"
            "ERROR: Could not find a version that satisfies the requirement sageattention==2.2.0"
        ),
        "in October 2025 and was taken back",
        ("registry",),
    ),
}


def data_of(fact: Fact):
    return tables.tables() if fact.file == "versions" else facts.table(fact.file)


def at(data, path: tuple):
    for key in path:
        data = data[key]
    return data


@pytest.fixture
def forget(monkeypatch):
    """Puts something else in the place of a fact, and back again."""
    kept = []

    def change(fact: Fact) -> None:
        place = at(data_of(fact), fact.at[:-1])
        kept.append((place, fact.at[-1], deepcopy(place[fact.at[-1]])))
        place[fact.at[-1]] = fact.without
        for one in CACHES:
            one.cache_clear()

    yield change
    for place, key, value in kept:
        place[key] = value
    for one in CACHES:
        one.cache_clear()


@pytest.mark.parametrize("name", FACTS)
def test_a_fact_is_obeyed_and_without_it_nothing_is_told(name, forget):
    fact = FACTS[name]
    assert re.search(fact.says, fact.told())
    forget(fact)
    assert not re.search(fact.says, fact.told())


@pytest.mark.parametrize("name", FACTS)
def test_a_fact_has_its_source(name):
    fact = FACTS[name]
    place = at(data_of(fact), fact.source or fact.at[:2])
    assert place.get("source") or place.get("sources")


def test_a_driver_that_is_too_old_for_kitchen_keeps_it_from_being_named():
    older = with_torch(replace(KITCHEN, driver=Driver("576.02", KITCHEN.driver.gpus)), "2.9.1+cu128")
    assert "kitchen-int8" not in plan_of(older) and "kitchen-int8" in plan_of(
        with_torch(KITCHEN, "2.9.1+cu128")
    )


def test_the_bad_build_for_hopper_is_there_to_go_back_to_alone():
    assert [one["superseded"] for one in facts.table("wheels")["files"] if "sm90" in one["file"]] == [True]


def test_on_another_gpu_the_installed_flash_attention_3_is_no_limit():
    assert "fa3" not in limits_of(with_packages(RTX_3090, fa3_fwd=None))
    assert "not measured" not in limits_of(with_packages(H100, fa3_fwd=Package("0.0.3")))
