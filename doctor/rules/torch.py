"""torch and what it stands on: the driver and the GPU."""

from collections.abc import Iterator

from ...knowledge.prose import known
from ...knowledge.tables import dotted, names_of_gpus, numbers, rows_of_gpus, tables
from ...machine import Environment
from ...machine.reason import Reason
from .mismatch import Mismatch


def without_cuda_beside_a_gpu(environment: Environment) -> Iterator[Mismatch]:
    """A CPU build of torch on a machine with an NVIDIA driver: everything runs, a hundred times slower."""
    torch, driver = environment.torch, environment.driver
    if torch is None or torch.kind != "cpu" or driver is None:
        return
    gpus = ", ".join(dict.fromkeys(driver.gpus)) or "an NVIDIA GPU"
    yield Mismatch(
        Reason("torch-without-cuda", f"torch with CUDA beside {gpus}", f"torch {torch}"),
        about="torch",
        do="Install the CUDA build of torch; a package installed lately may have replaced it.",
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
            needed = f"NVIDIA driver {row['driver']} or newer for torch {torch} with CUDA {torch.cuda}"
            yield Mismatch(
                Reason("driver-too-old", needed, driver.version),
                about="NVIDIA driver",
                do=f"Update the NVIDIA driver to {row['driver']} or newer, "
                "or install a torch built with an older CUDA.",
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
            needed = f"a GPU of capability {row['capability']} or newer for torch {torch}"
            yield Mismatch(
                Reason("torch-gpu", needed, names_of_gpus(environment)),
                about="torch",
                do=f"Install torch built with CUDA {known()['older_gpus_cuda']}, which still has code for "
                "this GPU.",
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
            needed = f"torch with CUDA {oldest} or newer for {row['name']}"
            yield Mismatch(
                Reason("torch-cuda-too-old-for-gpu", needed, dotted(torch.cuda_release)),
                about="torch",
                do=f"Install torch {known()['blackwell_torch']} or newer, built with CUDA {oldest} or newer, "
                "before anything else.",
                source=row["source"],
            )
            return
