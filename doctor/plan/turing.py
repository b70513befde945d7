"""What can be tried on a GPU of the Turing generation, which SageAttention 2 and new Tritons left behind."""

from ...knowledge.facts import table
from ...knowledge.prose import known
from ...knowledge.tables import numbers, row_of_gpu
from ...machine import Environment
from ..commands.python import pip
from .catalogue import OTHER_WAYS
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
        OTHER_WAYS("sage-1-on-turing", version=sage, triton=last),
        (
            OTHER_WAYS("left-behind-on-turing", triton=row["triton_below"]),
            OTHER_WAYS("old-triton-of-torch", triton=last, torch=said["turing_torch"])
            if clean
            else OTHER_WAYS("old-triton-is-older", triton=last, torch=str(torch)),
            OTHER_WAYS("no-bfloat16-on-turing", version=sage),
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
