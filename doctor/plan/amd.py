"""What can be tried on an AMD GPU beside what ComfyUI gives it: ways for a person to choose, none checked."""

import re
from collections.abc import Iterator

from ...knowledge.facts import table
from ...machine import Environment
from ..commands.python import pip
from ..commands.quoting import Command
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
            "Start ComfyUI with --use-ck-attention",
            ("Comfy Kitchen, which ComfyUI brings, has INT8 attention for RDNA3 and newer.",),
            by_hand="Add the flag to how ComfyUI is started. Where this Kitchen has no attention for the "
            "GPU, ComfyUI stops at its start and says so: then leave the flag out, or update comfy-kitchen.",
            undo_by_hand="Leave the flag out.",
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
    brings = (
        ""
        if "triton" in packages or environment.system == "windows"
        else " torch for ROCm brings its own Triton."
    )
    back = {name: way_back(name, environment) for name in after}
    yield Step(
        "amd-sage-1",
        f"An experiment: SageAttention {row['version']} for ComfyUI's own --use-sage-attention",
        (
            "Version 1 is Triton alone and runs on some AMD GPUs; version 2 is CUDA code." + brings,
            "It is wrong by up to 28 % at key lengths that are no multiple of 64: compare a picture with the "
            "flag and one without. This node does not use it on AMD.",
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
        "Build flash-attn with its Triton kernels for AMD, for ComfyUI's --use-flash-attention",
        (row["gain"],),
        by_hand=f"Build it from its source with {row['variable']}=TRUE, and start ComfyUI with the same "
        "variable and --use-flash-attention.",
        undo_by_hand="Leave the flag out, and uninstall flash-attn.",
        sources=(row["source"],),
    )
