"""Where no file fits: what serves instead, and the other ways to SageAttention, for a person to choose."""

from pathlib import PurePosixPath

from ..environment import Environment
from ..rules.tables import dotted, numbers
from .facts import table
from .gpus import capabilities
from .step import Step, pip


def serving(environment: Environment) -> list[dict[str, str]]:
    """The kernels that are here without any install and take one of these GPUs, in words with a source.

    "as_well" is "yes" where they are known to do as well as SageAttention would.
    """
    present, found = capabilities(environment), []
    if environment.torch is None or environment.torch.kind != "cuda":
        return found
    better = {
        row["kernel"]: row
        for row in table("wheels")["serves_as_well"]
        if present and present <= set(map(numbers, row["capabilities"])) and _there(row, environment)
    }
    for row in table("wheels")["also_there"]:
        if any(capability >= numbers(row["capability_from"]) for capability in present) and _there(
            row, environment
        ):
            as_well = better.get(row["kernel"])
            found.append(
                {
                    "kernel": row["kernel"],
                    "what": as_well["what"] if as_well else row["what"],
                    "as_well": "yes" if as_well else "not known",
                    "source": (as_well or row)["source"],
                }
            )
    return found


def other_ways(environment: Environment) -> list[Step]:
    """Ways to SageAttention on Linux without a fitting file, easiest first; none on other systems."""
    if environment.system != "linux" or environment.python is None or environment.torch is None:
        return []
    hub, build = table("wheels")["hub_kernel"], table("wheels")["build"]
    cuda = dotted(environment.torch.cuda_release)
    return [
        Step(
            "hub-kernel",
            f"See whether the Hugging Face Hub has {hub['name']} built for this torch and CUDA",
            (
                "Its builds are made per torch and CUDA, without a compiler; pip may update huggingface_hub.",
                "The second command lists them and marks those that fit this machine.",
                "This pack does not load such a kernel by itself; other nodes and diffusers do.",
            ),
            commands=(
                pip(environment, "install", hub["package"]),
                (str(PurePosixPath(pip(environment)[0]).parent / "kernels"), "versions", hub["name"]),
            ),
            undo=(pip(environment, "uninstall", "-y", hub["package"]),),
            sources=(hub["source"],),
        ),
        Step(
            "build-sage",
            "Build SageAttention 2 from source",
            (
                f"It needs nvcc of CUDA {environment.torch.cuda_release[0]} (torch here has {cuda}), "
                "a C++ compiler, and time.",
                "--no-build-isolation lets it see this torch, --no-deps keeps pip from changing it.",
            ),
            commands=(pip(environment, "install", "--no-build-isolation", "--no-deps", build["url"]),),
            undo=(pip(environment, "uninstall", "-y", "sageattention"),),
            sources=(build["source"],),
        ),
    ]


def _there(row: dict, environment: Environment) -> bool:
    return "needs" not in row or row["needs"] in environment.packages
