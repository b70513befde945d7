"""What can be tried on an AMD GPU beside what ComfyUI gives it: ways for a person to choose, none checked."""

import re
from collections.abc import Iterator

from ...knowledge.facts import table
from ...machine import Environment
from ..commands.python import pip
from ..commands.quoting import Command
from .catalogue import OTHER_WAYS, sentences
from .step import Change, Step
from .triton import Triton, triton_for
from .undo import way_back


def ways(environment: Environment) -> list[Step]:
    """Ways to a faster attention with torch for ROCm, easiest first; none where torch is built otherwise."""
    if environment.torch is None or environment.torch.kind != "rocm":
        return []
    return [*_kitchen(environment), *_sage_1(environment), _flash(environment)]


def _kitchen(environment: Environment) -> Iterator[Step]:
    row = table("wheels")["amd"]["kitchen"]
    if any(re.search(row["match"], gpu.name) for gpu in environment.gpus):
        yield Step(
            "kitchen-on-amd",
            OTHER_WAYS("start-with-kitchen"),
            (OTHER_WAYS("kitchen-on-rdna3"),),
            by_hand=OTHER_WAYS("add-kitchens-flag"),
            undo_by_hand=OTHER_WAYS("leave-the-flag-out"),
            sources=(row["source"],),
        )


def _sage_1(environment: Environment) -> Iterator[Step]:
    row, packages = table("wheels")["amd"]["sage_1"], environment.packages
    if "sageattention" in packages or any(re.search(row["not_on"], gpu.name) for gpu in environment.gpus):
        return
    after = {"sageattention": f"sageattention=={row['version']}"}
    if environment.system == "windows" and "triton-windows" not in packages:
        wanted = triton_for(environment)
        if not isinstance(wanted, Triton):
            return
        after = {wanted.name: wanted.requirement} | after
    brings = "triton" not in packages and environment.system != "windows"
    back = {name: way_back(name, environment) for name in after}
    yield Step(
        "amd-sage-1",
        OTHER_WAYS("sage-1-for-comfyui", version=row["version"]),
        (
            sentences(OTHER_WAYS("version-1-on-amd"), OTHER_WAYS("rocm-brings-triton") if brings else ""),
            OTHER_WAYS("version-1-wrong-on-amd"),
        ),
        commands=tuple(pip(environment, "install", "--no-deps", one) for one in after.values()),
        undo=tuple(_commands(back, after)),
        changes=tuple(Change(name, None, one) for name, one in after.items()),
        sources=(row["source"],),
    )


def _commands(back: dict[str, tuple[Command, ...] | None], names: dict[str, str]) -> Iterator[Command]:
    for name in names:
        yield from back[name] or ()


def _flash(environment: Environment) -> Step:
    row = table("wheels")["amd"]["flash"]
    return Step(
        "amd-flash",
        OTHER_WAYS("build-flash-attn"),
        (row["gain"],),
        by_hand=OTHER_WAYS("build-flash-attn-by-hand", variable=row["variable"]),
        undo_by_hand=OTHER_WAYS("leave-flash-out"),
        sources=(row["source"],),
    )
