"""Builds of SageAttention: each is for some versions of torch, one major of CUDA, and some GPUs."""

import re
from collections.abc import Iterator
from typing import Any

from ...knowledge.prose import known
from ...knowledge.tables import (
    dotted,
    names_of_gpus,
    numbers,
    oldest_for_sage,
    rows_of_gpus,
    sage_packages,
    tables,
)
from ...machine import Build, Environment, Package, fork
from ...machine.build import WOCT0RDHO
from .catalogue import DO, REASONS, WORDS
from .mismatch import Mismatch


def for_another_torch(environment: Environment) -> Iterator[Mismatch]:
    """A build for another minor version of torch: its modules do not load, often without a word."""
    torch = environment.torch
    if torch is None or torch.is_nightly or not torch.release:
        return
    for name, package, build in _builds(environment):
        if not build.torch or _fits(build, torch.release):
            continue
        wanted, back = dotted(build.torch[:2]), dotted(torch.release[:2])
        yield Mismatch(
            REASONS(
                "build-torch-or-newer" if build.and_higher else "build-torch",
                wanted=wanted,
                build=package.build,
                torch=str(torch),
            ),
            about=name,
            do=DO("replace-by-build-or-torch", package=name, torch=back, other=wanted)
            if _is_a_way_back(build, environment)
            else DO("replace-by-build-for-torch", package=name, torch=back),
            source=tables()["build_tags"]["torch_source"],
        )


def for_another_cuda(environment: Environment) -> Iterator[Mismatch]:
    """A build for another major version of CUDA: its modules ask for a runtime that is not there."""
    torch = environment.torch
    # A CPU build of torch beside a GPU is the fault itself, and told as such.
    if torch is None or (torch.kind == "cpu" and environment.driver is not None):
        return
    for name, package, build in _builds(environment):
        if build.cuda[:1] == torch.cuda_release[:1]:
            continue
        came = (
            WORDS("cuda-here", cuda=torch.cuda)
            if torch.cuda
            else WORDS("torch-for-kind", torch=str(torch), kind=torch.kind)
        )
        do = (
            DO("replace-by-build-for-cuda", package=name, cuda=torch.cuda_release[0])
            if torch.cuda_release
            else DO("remove-without-nvidia", package=name)
        )
        yield Mismatch(
            REASONS("build-cuda", wanted=build.cuda[0], build=package.build, came=came),
            about=name,
            do=do,
            source=tables()["build_tags"]["cuda_source"],
        )


def for_another_gpu(environment: Environment) -> Iterator[Mismatch]:
    """A build with no code for any GPU here that it could have code for."""
    for name, package in sage_packages(environment):
        # What works below has no CUDA code, or is told in gpu.py.
        oldest = oldest_for_sage(1 if name == "sageattn3" else 2)
        present = {capability for capability in environment.capabilities if capability >= oldest}
        if not present:
            continue
        served, source = _served(name, package)
        if served is None or any(_runs(code, gpu) for code in served for gpu in present):
            continue
        yield Mismatch(
            REASONS(
                "build-gpu",
                capabilities=tuple(map(dotted, sorted(served))),
                package=package.shown,
                gpus=names_of_gpus(environment),
            ),
            about=name,
            do=DO("replace-by-build-for-gpu", package=name),
            source=source,
        )


def known_bad(environment: Environment) -> Iterator[Mismatch]:
    """A build with a fault that is known and put right in another."""
    for row in tables()["known_bad_builds"]:
        package = environment.packages.get(row["package"])
        if package is not None and _is_meant(row, package, environment):
            yield Mismatch(
                REASONS("known-bad-build", instead=row["instead"], package=package.shown, fault=row["what"]),
                about=row["package"],
                do=DO("replace-by-another", package=row["package"], instead=row["instead"]),
                source=row["source"],
            )


def _builds(environment: Environment) -> Iterator[tuple[str, Package, Build]]:
    for name, package in sage_packages(environment):
        if build := Build.of(package):
            yield name, package, build


def _is_a_way_back(build: Build, environment: Environment) -> bool:
    """Whether the torch of a build is older than the one here, and this GPU runs on it."""
    torch = environment.torch
    needed = (
        [known()["blackwell_torch"]] if any("cuda_from" in row for row in rows_of_gpus(environment)) else []
    )
    return (
        torch is not None
        and build.torch[:2] < torch.release[:2]
        and all(build.torch >= numbers(one) for one in needed)
    )


def _fits(build: Build, release: tuple[int, ...]) -> bool:
    return release >= build.torch if build.and_higher else release[:2] == build.torch[:2]


def _served(name: str, package: Package) -> tuple[set[tuple[int, ...]] | None, str]:
    """The capabilities that a build has code for, None where that is not known, and who says so."""
    if name == "sageattn3":
        row = tables()["sageattn3"]
        return set(map(numbers, row["capabilities"])), row["source"]
    build = Build.of(package)
    if build and build.capability:
        return {build.capability}, tables()["single_gpu_wheels"]["source"]
    if build and fork(package) == WOCT0RDHO:
        table = tables()["sageattention_modules"]
        rows = [row for row in table["modules"] if build.cuda >= numbers(row.get("cuda_from", "0"))]
        return {numbers(code) for row in rows for code in row["capabilities"]}, table["source"]
    return None, ""


def _runs(code: tuple[int, ...], gpu: tuple[int, int]) -> bool:
    """Whether machine code runs on a GPU: on its own major version, from its own minor on.

    https://docs.nvidia.com/cuda/cuda-c-programming-guide/, "Binary Compatibility".
    """
    return code[0] == gpu[0] and code[1] <= gpu[1]


def _is_meant(row: dict[str, Any], package: Package, environment: Environment) -> bool:
    """Whether a row is about this package, on this machine; what it does not name does not matter."""
    build = Build.of(package)
    python = environment.python
    return bool(
        package.version == row["version"]
        and ("build" not in row or package.build == row["build"])
        and ("build_like" not in row or re.fullmatch(row["build_like"], package.build, re.IGNORECASE))
        and (
            "post" not in row
            or (fork(package) == WOCT0RDHO and build is not None and build.post == row["post"])
        )
        and ("capability" not in row or numbers(row["capability"]) in environment.capabilities)
        and ("python" not in row or (python is not None and python.minor == numbers(row["python"])))
    )
