"""torch and what it stands on: the driver and the GPU."""

from collections.abc import Iterator

from ...knowledge.prose import known
from ...knowledge.tables import dotted, names_of_gpus, numbers, rows_of_gpus, tables
from ...machine import Environment
from .catalogue import DO, REASONS, WORDS
from .mismatch import Mismatch


def without_cuda_beside_a_gpu(environment: Environment) -> Iterator[Mismatch]:
    """A CPU build of torch on a machine with an NVIDIA driver: everything runs, a hundred times slower."""
    torch, driver = environment.torch, environment.driver
    if torch is None or torch.kind != "cpu" or driver is None:
        return
    gpus = tuple(dict.fromkeys(driver.gpus)) or WORDS("an-nvidia-gpu")
    yield Mismatch(
        REASONS("torch-without-cuda", gpus=gpus, torch=str(torch)),
        about="torch",
        do=DO("install-torch-with-cuda"),
        source=tables()["torch_without_cuda"]["source"],
    )


def newer_than_the_driver(environment: Environment) -> Iterator[Mismatch]:
    """A driver older than torch's CUDA can start on."""
    torch, driver = environment.torch, environment.driver
    if torch is None or driver is None or not driver.version:
        return
    # Where torch has started on a GPU the driver does: data centre GPUs have a package for that.
    if environment.capabilities:
        return
    for row in tables()["driver_for_cuda"]:
        if torch.cuda_release[:1] == (row["cuda"],) and numbers(driver.version) < numbers(row["driver"]):
            yield Mismatch(
                REASONS(
                    "driver-too-old",
                    oldest=row["driver"],
                    torch=str(torch),
                    cuda=str(torch.cuda),
                    driver=driver.version,
                ),
                about=WORDS("nvidia-driver"),
                do=DO("update-driver", oldest=row["driver"]),
                source=row["source"],
            )


def without_code_for_the_gpu(environment: Environment) -> Iterator[Mismatch]:
    """A build of torch that has left these GPUs behind: no kernel at all runs on them."""
    torch = environment.torch
    if torch is None or not environment.capabilities:
        return
    for row in tables()["oldest_gpu_of_torch"]:
        if torch.cuda_release < numbers(row["cuda_from"]) or torch.release < numbers(row["torch_from"]):
            continue
        if max(environment.capabilities) < numbers(row["capability"]):
            yield Mismatch(
                REASONS(
                    "torch-gpu", oldest=row["capability"], torch=str(torch), gpus=names_of_gpus(environment)
                ),
                about="torch",
                do=DO("install-torch-of-older-cuda", cuda=known()["older_gpus_cuda"]),
                source=row["source"],
            )
        return


def cuda_too_old_for_the_gpu(environment: Environment) -> Iterator[Mismatch]:
    """A build of torch made before this GPU was."""
    torch = environment.torch
    if torch is None or not torch.cuda_release:
        return
    for row in rows_of_gpus(environment):
        oldest = row.get("cuda_from")
        if oldest and torch.cuda_release < numbers(oldest):
            yield Mismatch(
                REASONS(
                    "torch-cuda-too-old-for-gpu",
                    oldest=oldest,
                    generation=row["name"],
                    cuda=dotted(torch.cuda_release),
                ),
                about="torch",
                do=DO("install-torch-of-newer-cuda", torch=known()["blackwell_torch"], cuda=oldest),
                source=row["source"],
            )
            return
