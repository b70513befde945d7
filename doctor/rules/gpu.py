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
from ...machine.reason import Reason
from .mismatch import Mismatch


def too_old_for_sage(environment: Environment) -> Iterator[Mismatch]:
    """SageAttention installed where no GPU has INT8 tensor cores."""
    rows = rows_of_gpus(environment)
    if not rows or any(row["sage"] for row in rows):
        return
    for name, package in sage_packages(environment):
        yield Mismatch(
            Reason(
                "sage-gpu",
                f"a GPU of capability {known()['sage_gpu']} or newer for SageAttention",
                f"{package.shown} on {names_of_gpus(environment)}",
            ),
            about=name,
            do=f"Remove {name}: no version of it works on this GPU, PyTorch's attention does.",
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
    where = "a Mac" if environment.system == "darwin" else f"torch {torch}"
    if maker:
        where = f"{' and '.join(dict.fromkeys(gpu.name for gpu in environment.gpus))} with torch {torch}"
    for name, package in sage_packages(environment):
        if torch.kind == "cuda" or Build.of(package) is None:
            yield Mismatch(
                Reason("sage-maker", "an NVIDIA GPU for SageAttention", f"{package.shown} on {where}"),
                about=name,
                do=f"Remove {name}: it takes tensors on CUDA alone, and ComfyUI's own attention runs here.",
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
        Reason(
            "sage2-turing", f"sageattention {said['sage_1']} on {names_of_gpus(environment)}", package.shown
        ),
        about="sageattention",
        do=f"Replace sageattention by {said['sage_1']} with Triton {said['turing_triton']} and run models in "
        "float16, or remove it.",
        source=rows[-1]["source"],
    )


def of_no_use_in_float32(environment: Environment) -> Iterator[Mismatch]:
    """SageAttention where ComfyUI computes in float32, which no version of it takes."""
    package = environment.packages.get("sageattention")
    if package is not None and in_float32_alone(environment):
        yield Mismatch(
            Reason("sage-float32", "a GPU whose float16 works", names_of_gpus(environment)),
            about="sageattention",
            do="Remove sageattention: ComfyUI computes in float32 on this GPU, which it does not take.",
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
    came = f"{package.shown}, {row.get('remark') or 'which has none'}"
    do = next(
        (one["do"] for one in table["instead"] if numbers(one["capability"]) in present),
        "Remove sageattention: everything that would use it runs on PyTorch's attention.",
    )
    yield Mismatch(
        Reason("sage-branch", f"SageAttention with a branch for {names_of_gpus(environment)}", came),
        about="sageattention",
        do=do,
        source=table["source"],
    )


def without_sage(environment: Environment) -> Iterator[Mismatch]:
    """GPUs on which no SageAttention ever works."""
    for gpu, row in _known(environment):
        if not row["sage"]:
            yield Mismatch(
                Reason(
                    "sage-gpu", f"capability {known()['sage_gpu']} or newer for SageAttention", _told(gpu)
                ),
                about="sageattention",
                do="Nothing: PyTorch's attention runs on this GPU.",
                source=row["source"],
            )


def with_sage_in_half_precision(environment: Environment) -> Iterator[Mismatch]:
    """GPUs on which SageAttention works with an old Triton and float16 alone."""
    for gpu, row in _known(environment):
        if "triton_below" in row and not computes_in_float32(gpu.name):
            needed = f"float16 and Triton below {row['triton_below']} for SageAttention"
            yield Mismatch(
                Reason("sage-turing", needed, _told(gpu)),
                about="sageattention",
                do="Run models in float16 where SageAttention is wanted, or leave it out.",
                source=row["source"],
            )


def in_float32(environment: Environment) -> Iterator[Mismatch]:
    """GPUs on which ComfyUI computes in float32, which none of the faster kernels takes."""
    for gpu, row in _known(environment):
        if "triton_below" in row and computes_in_float32(gpu.name):
            yield Mismatch(
                Reason("gpu-float32", "a GPU whose float16 works, for any kernel but PyTorch's", _told(gpu)),
                about="every faster kernel",
                do="Nothing: ComfyUI computes in float32 on this GPU, on PyTorch's attention.",
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
                Reason("module-gpu", f"capability {' or '.join(codes)} for its _qattn_sm80", _told(gpu)),
                about="sage2-int8-fp16",
                do="Use the kernels with FP8 PV on this GPU.",
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
                Reason("fa3-gpu", f"capability {row['capability']} for {row['package']}", _told(gpu)),
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
