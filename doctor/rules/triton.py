"""Triton and what it must fit: torch, the GPU, and the kernels that are written in it."""

from collections.abc import Iterator

from ...knowledge.gpus import other_maker
from ...knowledge.prose import known
from ...knowledge.tables import (
    dotted,
    in_float32_alone,
    minor_of_triton,
    names_of_gpus,
    numbers,
    rows_of_gpus,
    sage_packages,
    source_of_triton,
    tables,
    triton_of,
)
from ...machine import Environment
from ...machine.message import Message
from .catalogue import DO, REASONS
from .mismatch import Mismatch


def of_another_torch(environment: Environment) -> Iterator[Mismatch]:
    """torch takes exactly one minor version of Triton: with another, torch.compile fails or worse."""
    torch, found = environment.torch, triton_of(environment)
    if torch is None or torch.is_nightly or found is None or _is_held_back_for_turing(environment):
        return
    name, package = found
    needed = minor_of_triton(torch.release, environment.system)
    if needed and package.release and package.release[:2] != numbers(needed):
        yield Mismatch(
            REASONS("triton-torch", wanted=needed, torch=str(torch), triton=package.version),
            about=name,
            do=DO("change-triton", package=name, wanted=needed, torch=dotted(torch.release[:2])),
            source=source_of_triton(torch.release),
        )


def missing_for_sage(environment: Environment) -> Iterator[Mismatch]:
    """SageAttention without Triton, which every version of it imports."""
    sage = [name for name, _ in sage_packages(environment)]
    if not sage or triton_of(environment) or _is_of_another_maker(environment):
        return
    name = "triton-windows" if environment.system == "windows" else "triton"
    yield Mismatch(
        REASONS("triton-missing", packages=tuple(sage)),
        about=name,
        do=_install(name, environment),
        source=tables()["triton_needed"]["source"],
    )


def too_old_for_the_gpu(environment: Environment) -> Iterator[Mismatch]:
    """A Triton that cannot compile for a GPU of this machine."""
    found = triton_of(environment)
    if found is None or not found[1].release:
        return
    name, package = found
    said = known()
    for row in rows_of_gpus(environment):
        oldest = row.get("triton_from")
        if oldest and package.release < numbers(oldest):
            yield Mismatch(
                REASONS(
                    "triton-too-old-for-gpu", oldest=oldest, generation=row["name"], triton=package.version
                ),
                about=name,
                do=DO(
                    "install-torch-and-triton",
                    torch=said["blackwell_torch"],
                    cuda=said["blackwell_cuda"],
                    package=name,
                ),
                source=row["source"],
            )
            return


def too_new_for_the_gpu(environment: Environment) -> Iterator[Mismatch]:
    """A Triton that has left this GPU's INT8 tensor cores behind, which SageAttention computes with.

    Only where SageAttention is installed: everything else in Triton still works there.
    """
    found, newest = triton_of(environment), _newest_for_sage(environment)
    if found is None or newest is None or "sageattention" not in environment.packages:
        return
    if in_float32_alone(environment):
        return
    name, package = found
    said = known()
    if package.release and package.release >= numbers(newest):
        yield Mismatch(
            REASONS(
                "triton-too-new-for-gpu",
                limit=newest,
                gpus=names_of_gpus(environment),
                triton=package.version,
            ),
            about=name,
            do=DO(
                "remove-sage-or-take-old-triton",
                package=name,
                triton=said["turing_triton"],
                version=said["sage_1"],
                torch=said["after_turing_torch"],
            ),
            source=rows_of_gpus(environment)[-1]["source"],
        )


def _is_of_another_maker(environment: Environment) -> bool:
    """Builds for other makers' GPUs bring a Triton of their own, or there is none, as on a Mac."""
    torch = environment.torch
    if torch is None or environment.driver is not None:
        return False
    return torch.kind != "cuda" or bool(other_maker(environment))


def _newest_for_sage(environment: Environment) -> str | None:
    """The Triton from which SageAttention works on none of the GPUs here, None where it works on one."""
    rows = rows_of_gpus(environment)
    return rows[-1].get("triton_below") if rows else None


def _is_held_back_for_turing(environment: Environment) -> bool:
    """Whether an old Triton is here for SageAttention's sake, on GPUs that no newer one serves."""
    found, newest = triton_of(environment), _newest_for_sage(environment)
    if found is None or newest is None or "sageattention" not in environment.packages:
        return False
    return bool(found[1].release) and found[1].release < numbers(newest)


def _install(name: str, environment: Environment) -> Message:
    """With the version, where the table knows it."""
    torch = environment.torch
    needed = minor_of_triton(torch.release, environment.system) if torch else None
    if torch is None or not needed:
        return DO("install-triton-of-torch", package=name)
    minor = dotted(torch.release[:2])
    return DO("install-known-triton-of-torch", package=name, wanted=needed, torch=minor)
