"""What can be tried on a GPU of the Turing generation, which SageAttention 2 and new Tritons left behind."""

from ...knowledge.facts import table
from ...knowledge.prose import known
from ...knowledge.tables import numbers, row_of_gpu
from ...machine import Environment
from ..commands.python import pip
from .step import Change, Step
from .undo import way_back


def experiment(environment: Environment) -> Step | None:
    """SageAttention 1 on the last Triton that serves Turing; None where going back would not be possible."""
    said, row = known(), row_of_gpu((7, 5)) or {}
    last, sage = said["turing_triton"], said["sage_1"]
    triton = "triton-windows" if environment.system == "windows" else "triton"
    packages = environment.packages
    wanted = f">={last},<{row['triton_below']}" if environment.system == "windows" else f"=={_newest()}"
    after = {triton: triton + wanted, "sageattention": f"sageattention=={sage}"}
    if triton in packages and packages[triton].release[:2] == numbers(last):
        del after[triton]
    back = {name: way_back(name, environment) for name in after}
    undo = [command for commands in back.values() for command in commands or ()]
    if None in back.values():
        return None
    torch = environment.torch
    clean = torch is not None and torch.release[:2] <= numbers(said["turing_torch"])
    return Step(
        "turing-sage-1",
        f"An experiment: SageAttention {sage} on Triton {last}, with models in float16",
        (
            f"SageAttention 2 has no kernels for this GPU, and from Triton {row['triton_below']} on neither "
            "has version 1.",
            f"Triton {last} belongs to torch {said['turing_torch']}."
            if clean
            else f"Triton {last} is older than torch {torch} expects: torch.compile will not work any more.",
            f"bfloat16 does not work on this GPU, and {sage} is wrong at key lengths that are no multiple of "
            "64, which the node keeps from it.",
        ),
        commands=tuple(pip(environment, "install", "--no-deps", one) for one in after.values()),
        undo=tuple(undo),
        changes=tuple(
            Change(name, packages[name].shown if name in packages else None, one)
            for name, one in after.items()
        ),
        sources=(row["source"],),
    )


def _newest() -> str:
    """The release of that Triton which torch itself asks for."""
    torch = known()["turing_torch"]
    return str(next(max(row["linux"].values()) for row in table("wheels")["triton"] if row["torch"] == torch))
