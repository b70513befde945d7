"""What can be tried on a GPU of the Turing generation, which SageAttention 2 and new Tritons left behind."""

from ...knowledge.facts import table
from ...machine import Environment
from ..commands.python import pip
from .step import Change, Step
from .undo import way_back


def experiment(environment: Environment) -> Step | None:
    """SageAttention 1 on the last Triton that serves Turing; None where going back would not be possible."""
    row = table("wheels")["turing"]
    triton = "triton-windows" if environment.system == "windows" else "triton"
    wanted = f"{triton}>=3.2,<3.3" if environment.system == "windows" else f"{triton}==3.2.0"
    packages = environment.packages
    after = {triton: wanted, "sageattention": f"sageattention=={row['sage']}"}
    if triton in packages and packages[triton].release[:2] == (3, 2):
        del after[triton]
    back = {name: way_back(name, environment) for name in after}
    if None in back.values():
        return None
    torch = environment.torch
    clean = torch is not None and torch.release[:2] <= (2, 6)
    return Step(
        "turing-sage-1",
        "An experiment: SageAttention 1.0.6 on Triton 3.2, with models in float16",
        (
            "SageAttention 2 has no kernels for this GPU, and from Triton 3.3 on neither has version 1.",
            "Triton 3.2 belongs to torch 2.6."
            if clean
            else f"Triton 3.2 is older than torch {torch} expects: torch.compile will not work any more.",
            "bfloat16 does not work on this GPU, and 1.0.6 is wrong at key lengths that are no multiple of "
            "64, which the node keeps from it.",
        ),
        commands=tuple(pip(environment, "install", "--no-deps", one) for one in after.values()),
        undo=tuple(command for name in after for command in back[name]),
        changes=tuple(
            Change(name, packages[name].shown if name in packages else None, one)
            for name, one in after.items()
        ),
        sources=(row["source"],),
    )
