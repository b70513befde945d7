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
    build = table("wheels")["build"]
    cuda = dotted(environment.torch.cuda_release)
    return [
        _from_the_hub(environment),
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


def _from_the_hub(environment: Environment) -> Step:
    hub = table("wheels")["hub_kernel"]
    name, version = hub["name"], hub["version"]
    python, *_ = pip(environment)
    return Step(
        "hub-kernel",
        f"Download {name}, where the Hugging Face Hub has it built for this torch and CUDA",
        (
            "Its builds are made per torch and CUDA, without a compiler; pip may update huggingface_hub.",
            "The second command lists them and marks those that fit this machine. The third downloads "
            f"version {version}, the one that is known here, and stops where no build fits.",
            "This pack downloads nothing. It loads it from the cache once it is there, from the next start "
            "on, and checks it like any other.",
        ),
        commands=(
            pip(environment, "install", hub["package"]),
            (_beside(python, "kernels"), "versions", name),
            (python, "-c", f'from kernels import get_kernel; get_kernel("{name}", version={version})'),
        ),
        undo=(
            (_beside(python, "hf"), "cache", "rm", "--yes", f"kernel/{name}"),
            pip(environment, "uninstall", "-y", hub["package"]),
        ),
        undo_by_hand="hf looks into HF_HUB_CACHE, else into ~/.cache/huggingface/hub. Where KERNELS_CACHE is "
        f"set, delete the folder kernels--{name.replace('/', '--')} in it.",
        sources=(hub["source"],),
    )


def _beside(python: str, program: str) -> str:
    """A program that a package put beside this Python."""
    return str(PurePosixPath(python).parent / program)


def _there(row: dict, environment: Environment) -> bool:
    return "needs" not in row or row["needs"] in environment.packages
