"""GPU generations: on which of them SageAttention works at all, and with what."""

from collections.abc import Iterator
from typing import Any

from ...knowledge.facts import table
from ...knowledge.gpus import other_maker
from ...knowledge.prose import known
from ...knowledge.tables import (
    computes_in_float32,
    dotted,
    in_float32_alone,
    names_of_gpus,
    numbers,
    oldest_for_sage,
    row_of_gpu,
    rows_of_gpus,
    sage_packages,
    tables,
)
from ...machine import (
    Build,
    Environment,
    Gpu,
    Package,
    fork,
    generation,
)
from ...machine.build import WOCT0RDHO
from .catalogue import DO, REASONS, WORDS
from .mismatch import Mismatch


def too_old_for_sage(environment: Environment) -> Iterator[Mismatch]:
    """SageAttention installed where no GPU has INT8 tensor cores."""
    rows = rows_of_gpus(environment)
    if not rows or any(row["sage"] for row in rows):
        return
    for name, package in sage_packages(environment):
        yield Mismatch(
            REASONS(
                "sage-gpu",
                oldest=known()["sage_gpu"],
                package=package.shown,
                gpus=names_of_gpus(environment),
            ),
            about=name,
            do=DO("remove-none-works", package=name),
            source=rows[-1]["source"],
        )


def of_no_use_without_nvidia(environment: Environment) -> Iterator[Mismatch]:
    """SageAttention where no tensor is ever on CUDA, which every version of it asks for.

    A build that names its CUDA is told in build.py; torch for ROCm calls its GPUs CUDA too.
    """
    torch, maker = environment.torch, other_maker(environment)
    if torch is None or torch.kind == "rocm" or environment.driver is not None:
        return
    if torch.kind == "cuda" and not maker:
        return
    where = WORDS("a-mac") if environment.system == "darwin" else WORDS("torch-here", torch=str(torch))
    if maker:
        gpus = tuple(dict.fromkeys(gpu.name for gpu in environment.gpus))
        where = WORDS("gpus-with-torch", gpus=gpus, torch=str(torch))
    for name, package in sage_packages(environment):
        if torch.kind == "cuda" or Build.of(package) is None:
            yield Mismatch(
                REASONS("sage-maker", package=package.shown, where=where),
                about=name,
                do=DO("remove-on-cuda-alone", package=name),
                source=tables()["sage_on_cuda"]["source"],
            )


def too_old_for_this_sage(environment: Environment) -> Iterator[Mismatch]:
    """SageAttention 2 where the newest GPU is a Turing: only 1.x and some builds know it."""
    rows, package = rows_of_gpus(environment), environment.packages.get("sageattention")
    first = rows[-1].get("sage2_from_post") if rows else None
    if package is None or first is None or generation(package) != 2 or _knows_turing(package, first):
        return
    if in_float32_alone(environment):
        return
    said = known()
    yield Mismatch(
        REASONS(
            "sage2-turing", version=said["sage_1"], gpus=names_of_gpus(environment), package=package.shown
        ),
        about="sageattention",
        do=DO("replace-by-sage-1", version=said["sage_1"], triton=said["turing_triton"]),
        source=rows[-1]["source"],
    )


def of_no_use_in_float32(environment: Environment) -> Iterator[Mismatch]:
    """SageAttention where ComfyUI computes in float32, which no version of it takes."""
    package = environment.packages.get("sageattention")
    if package is not None and in_float32_alone(environment):
        yield Mismatch(
            REASONS("sage-float32", gpus=names_of_gpus(environment)),
            about="sageattention",
            do=DO("remove-in-float32"),
            source=tables()["float32_gpus"]["source"],
        )


def without_a_branch(environment: Environment) -> Iterator[Mismatch]:
    """SageAttention 2 whose own choice of a kernel knows none of the GPUs here: every call of it raises."""
    package, table = environment.packages.get("sageattention"), tables()["sage_branches"]
    present = {one for one in environment.capabilities if one >= oldest_for_sage(2)}
    if package is None or not present or fork(package) == WOCT0RDHO or _is_later_code(package):
        return
    row = next(
        (one for one in table["rows"] if numbers(one["from"]) <= package.release[:2] < numbers(one["below"])),
        None,
    )
    if row is None or present & set(map(numbers, (*row["capabilities"], *row.get("later", ())))):
        return
    gpus, remark = names_of_gpus(environment), row.get("remark")
    do = next(
        (one["do"] for one in table["instead"] if numbers(one["capability"]) in present),
        DO("remove-without-a-branch"),
    )
    yield Mismatch(
        REASONS("sage-branch-remark", gpus=gpus, package=package.shown, remark=remark)
        if remark
        else REASONS("sage-branch", gpus=gpus, package=package.shown),
        about="sageattention",
        do=do,
        source=table["source"],
    )


def without_sage(environment: Environment) -> Iterator[Mismatch]:
    """GPUs on which no SageAttention ever works."""
    for gpu, row in _known(environment):
        if not row["sage"]:
            yield Mismatch(
                REASONS("sage-gpu-limit", oldest=known()["sage_gpu"], gpu=_told(gpu)),
                about="sageattention",
                do=DO("nothing-on-pytorch"),
                source=row["source"],
            )


def with_sage_in_half_precision(environment: Environment) -> Iterator[Mismatch]:
    """GPUs on which SageAttention works with an old Triton and float16 alone."""
    for gpu, row in _known(environment):
        if "triton_below" in row and not computes_in_float32(gpu.name):
            yield Mismatch(
                REASONS("sage-turing", limit=row["triton_below"], gpu=_told(gpu)),
                about="sageattention",
                do=DO("run-in-float16"),
                source=row["source"],
            )


def in_float32(environment: Environment) -> Iterator[Mismatch]:
    """GPUs on which ComfyUI computes in float32, which none of the faster kernels takes."""
    for gpu, row in _known(environment):
        if "triton_below" in row and computes_in_float32(gpu.name):
            yield Mismatch(
                REASONS("gpu-float32-limit", gpu=_told(gpu)),
                about=WORDS("every-faster-kernel"),
                do=DO("nothing-in-float32"),
                source=tables()["float32_gpus"]["source"],
            )


def without_the_fp16_cuda_kernel(environment: Environment) -> Iterator[Mismatch]:
    """GPUs on which the woct0rdho builds' kernel with FP16 PV ends the process: its module has no code."""
    package, table = environment.packages.get("sageattention"), tables()["sageattention_modules"]
    if package is None or fork(package) != WOCT0RDHO:
        return
    codes = [
        code for row in table["modules"] if row["module"] == "_qattn_sm80" for code in row["capabilities"]
    ]
    for gpu, row in _known(environment):
        if row["name"] == "Blackwell":
            yield Mismatch(
                REASONS("module-gpu", capabilities=tuple(codes), gpu=_told(gpu)),
                about="sage2-int8-fp16",
                do=DO("use-fp8-pv"),
                source=table["source"],
            )


def _knows_turing(package: Package, first_post: int) -> bool:
    build = Build.of(package)
    if fork(package) == WOCT0RDHO:
        return build is not None and build.post >= first_post
    return _is_later_code(package)


def _is_later_code(package: Package) -> bool:
    """A build of one's own from woct0rdho's fork, by what only its later code does."""
    return (package.head_dim_limit or 0) > 128


def without_flash_3(environment: Environment) -> Iterator[Mismatch]:
    """GPUs for which an installed FlashAttention 3 has kernels that this pack does not take."""
    row = table("wheels")["fa3"]
    if row["package"] not in environment.packages:
        return
    for gpu, _ in _known(environment):
        if gpu.capability and gpu.capability[0] == numbers(row["unproved"])[0]:
            yield Mismatch(
                REASONS("fa3-gpu", capability=row["capability"], package=row["package"], gpu=_told(gpu)),
                about=row["package"],
                do=row["ampere"],
                source=row["source"],
            )


def _known(environment: Environment) -> list[tuple[Gpu, dict[str, Any]]]:
    """Each GPU of known capability, once per name, with its row of the table."""
    gpus = {gpu.name: gpu for gpu in environment.gpus}
    return [(gpu, row) for gpu in gpus.values() if gpu.capability and (row := row_of_gpu(gpu.capability))]


def _told(gpu: Gpu) -> str:
    return f"{gpu.name} ({dotted(gpu.capability or ())})"
