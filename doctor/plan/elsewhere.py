"""Where no file fits: what serves instead, and the other ways to SageAttention, for a person to choose."""

from pathlib import PurePosixPath
from typing import Any

from ...knowledge.facts import table
from ...knowledge.gpus import capabilities, ptxas_needed
from ...knowledge.tables import dotted, driver_of, numbers
from ...machine import Environment, Python, Torch
from ...machine.reason import Reason
from ..commands.python import pip
from ..commands.quoting import Command
from .catalogue import INSTALLER, OTHER_WAYS, REASONS, sentences
from .step import Change, Step
from .undo import away_by_hand, back_by_hand, way_back


def serving(environment: Environment) -> list[dict[str, str]]:
    """The kernels that are here without any install and take one of these GPUs, in words with a source.

    "as_well" is "yes" where they are known to do as well as SageAttention would.
    """
    present = capabilities(environment)
    found: list[dict[str, str]] = []
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
    python, torch = environment.python, environment.torch
    if environment.system != "linux" or python is None or torch is None:
        return []
    if torch.cuda_release < numbers(table("wheels")["build"]["cuda_from"]):
        return []
    ways = [
        _in_an_index(environment, python, torch),
        _from_the_hub(environment),
        _from_source(environment, torch),
    ]
    return [way for way in ways if way is not None]


def too_old_to_build(environment: Environment) -> Reason | None:
    """Why nothing can be built with the CUDA of this torch: SageAttention 2 asks for CUDA 12."""
    torch, oldest = environment.torch, table("wheels")["build"]["cuda_from"]
    if environment.system != "linux" or torch is None or torch.cuda_release >= numbers(oldest):
        return None
    return REASONS("build-cuda-too-old", oldest=oldest, cuda=str(torch.cuda))


def flash_3(environment: Environment) -> Step | None:
    """FlashAttention 3 for Hopper, where its file fits and none is there."""
    row, python, torch = table("wheels")["fa3"], environment.python, environment.torch
    if torch is None or torch.is_nightly or {"flash-attn-3", row["package"]} & set(environment.packages):
        return None
    if environment.system != "linux" or python is None or python.machine != "x86_64" or python.free_threaded:
        return None
    if numbers(row["capability"]) not in capabilities(environment):
        return None
    if torch.cuda_release[:1] != (row["cuda"],) or torch.release < numbers(row["torch_from"]):
        return None
    wanted = f"{row['package']}=={row['version']}"
    return Step(
        "install-fa3",
        OTHER_WAYS("install-flash-3", requirement=wanted),
        (row["why"], INSTALLER("no-deps", installer="pip")),
        commands=(pip(environment, "install", "--no-deps", wanted),),
        undo=(pip(environment, "uninstall", "-y", row["package"]),),
        changes=(Change(row["package"], None, wanted),),
        sources=(row["source"],),
    )


def _from_source(environment: Environment, torch: Torch) -> Step | None:
    build, present = table("wheels")["build"], capabilities(environment)
    row = next(
        (
            one
            for one in build["rows"]
            if present & set(map(numbers, one["capabilities"]))
            and torch.release >= numbers(one["torch_from"])
        ),
        None,
    )
    if row is None:
        return None
    needed = [numbers(cuda) for capability, cuda in build["cuda"] if numbers(capability) in present]
    oldest = dotted(max([numbers(build["cuda_from"]), *needed]))
    major, here = torch.cuda_release[0], dotted(torch.cuda_release)
    # Upstream's versions say too little: pip would keep what is there as the same one.
    again = ("--force-reinstall",) if "sageattention" in environment.packages else ()
    return Step(
        "build-sage",
        OTHER_WAYS("build-from-source"),
        (
            OTHER_WAYS("newer-nvcc-needed", major=major, oldest=oldest, cuda=here)
            if numbers(oldest) > (major, 0)
            else OTHER_WAYS("nvcc-needed", major=major, cuda=here),
            OTHER_WAYS("source-is-of", whose=row["whose"]),
            INSTALLER("no-build-isolation", installer="pip"),
            *filter(None, [ptxas_needed(environment)]),
        ),
        commands=(pip(environment, "install", "--no-build-isolation", "--no-deps", *again, row["url"]),),
        undo=_undo(environment),
        by_hand=away_by_hand("sageattention", environment),
        undo_by_hand=back_by_hand("sageattention", environment),
        sources=(row["source"], build["source"]),
    )


def _undo(environment: Environment) -> tuple[Command, ...]:
    return way_back("sageattention", environment) or ()


def _in_an_index(environment: Environment, python: Python, torch: Torch) -> Step | None:
    """Where built files are that are known by their index alone: told, and never fetched."""
    index = table("wheels")["index"]
    row = next((one for one in index["rows"] if numbers(one["torch"]) == torch.release[:2]), None)
    if row is None or torch.is_nightly or python.free_threaded:
        return None
    if not numbers(row["python"][0]) <= python.minor <= numbers(row["python"][1]):
        return None
    built = [numbers(one) for one in row.get(python.machine, ()) if numbers(one)[0] == torch.cuda_release[0]]
    cuda = torch.cuda_release if torch.cuda_release in built else max(built, default=None)
    if cuda is None:
        return None
    served = {numbers(one) for one, oldest in index["capabilities"] if cuda >= numbers(oldest)}
    if not served & capabilities(environment):
        return None
    address = index["address"].format(index=f"cu{''.join(map(str, cuda))}")
    tag, away = f"cp{''.join(map(str, python.minor))}", away_by_hand("sageattention", environment)
    return Step(
        "sage-in-an-index",
        OTHER_WAYS("look-into-the-index", version=index["version"]),
        (
            OTHER_WAYS(
                "index-names-files",
                torch=row["torch"],
                python=dotted(python.minor),
                cuda=dotted(cuda),
                machine=python.machine,
                version=index["version"],
            ),
            *([index["ada"]] if (8, 9) in capabilities(environment) else ()),
        ),
        by_hand=sentences(
            INSTALLER("open-the-index", address=address, torch=row["torch"], tag=tag, installer="pip"), away
        ),
        undo_by_hand=back_by_hand("sageattention", environment) or OTHER_WAYS("uninstall-sage"),
        sources=(index["source"],),
    )


def _from_the_hub(environment: Environment) -> Step | None:
    hub = table("wheels")["hub_kernel"]
    if not capabilities(environment) & set(map(numbers, hub["capabilities"])):
        return None
    name, version = hub["name"], hub["version"]
    python, *_ = pip(environment)
    return Step(
        "hub-kernel",
        OTHER_WAYS("download-from-the-hub", kernel=name),
        (
            INSTALLER("hub-builds", installer="pip"),
            OTHER_WAYS("hub-commands", version=version),
            OTHER_WAYS("hub-cache-is-read"),
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
        undo_by_hand=OTHER_WAYS("delete-from-the-hub-cache", kernel=name.replace("/", "--")),
        sources=(hub["source"],),
    )


def _beside(python: str, program: str) -> str:
    """A program that a package put beside this Python."""
    return str(PurePosixPath(python).parent / program)


def _there(row: dict[str, Any], environment: Environment) -> bool:
    python = environment.python
    if environment.system != row.get("system", environment.system):
        return False
    if "machines" in row and (python is None or python.machine not in row["machines"]):
        return False
    return row["kernel"] != "kitchen-int8" or _has_kitchen(environment)


def _has_kitchen(environment: Environment) -> bool:
    """Whether Comfy Kitchen is here, and its kernels for NVIDIA GPUs can start."""
    row, python = table("wheels")["kitchen"], environment.python
    driver, torch = environment.driver, environment.torch
    if row["package"] not in environment.packages or python is None or python.machine not in row["machines"]:
        return False
    if torch is not None and torch.cuda_release[:1] >= (row["cuda"],):
        return True
    return driver is not None and numbers(driver.version or "") >= numbers(driver_of(row["cuda"]))
