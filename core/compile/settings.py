"""What the user asked for."""

from dataclasses import dataclass, replace
from typing import Any

from ...machine.message import Message
from ..catalogue import COMPILE

BLOCKS = "blocks"
WHOLE = "whole model"
DYNAMIC = {"auto": None, "true": True, "false": False}
# Offered. Others of torch's are taken as named, without CUDA graphs.
BACKENDS = ("inductor", "eager")
MODES = ("default", "max-autotune-no-cudagraphs")
_WITHOUT_CUDA_GRAPHS = {"reduce-overhead": "default", "max-autotune": "max-autotune-no-cudagraphs"}


@dataclass(frozen=True)
class Settings:
    """The inputs of the node that change what is compiled; equal ones share compiled code.

    Attributes:
        compile: BLOCKS or WHOLE.
        dynamic: A key of DYNAMIC.
        backend: One of torch's.
        mode: One of inductor's; other backends have none.
        fullgraph: Where torch cannot take a block as one graph, the model runs uncompiled.
        cache: Compiled code is kept under ComfyUI's user folder.
    """

    compile: str = BLOCKS
    dynamic: str = "auto"
    backend: str = "inductor"
    mode: str = "default"
    fullgraph: bool = False
    cache: bool = True

    @property
    def is_whole(self) -> bool:
        return self.compile == WHOLE


def understood(asked: Settings) -> tuple[Settings, list[Message]]:
    """The settings that run for those asked for, and a sentence for each that is another.

    A workflow may come from another version, from KJNodes or from a program, with names that mean nothing
    here or that must not be done.
    """
    runs: dict[str, Any] = {
        "compile": asked.compile if asked.compile in (BLOCKS, WHOLE) else BLOCKS,
        "dynamic": asked.dynamic if asked.dynamic in DYNAMIC else "auto",
        "backend": asked.backend if _is_backend(asked.backend) else BACKENDS[0],
        "mode": asked.mode if _is_mode(asked.mode) else MODES[0],
    }
    without_cuda_graphs = set()
    # A backend that only records CUDA graphs is asked for to spare launches; inductor spares them by fusing.
    if asked.backend == "cudagraphs":
        runs["backend"] = "inductor"
        without_cuda_graphs.add("backend")
    if asked.mode in _WITHOUT_CUDA_GRAPHS:
        runs["mode"] = _WITHOUT_CUDA_GRAPHS[asked.mode]
        without_cuda_graphs.add("mode")
    others = {name: value for name, value in runs.items() if value != getattr(asked, name)}
    return replace(asked, **runs), [
        COMPILE("no-cuda-graphs", name=name, value=getattr(asked, name), runs=value)
        if name in without_cuda_graphs
        else COMPILE("unknown-setting", name=name, value=getattr(asked, name), runs=value)
        for name, value in others.items()
    ]


def _is_backend(name: str) -> bool:
    if name in BACKENDS:
        return True
    from torch._dynamo import list_backends

    return name in list_backends(())


def _is_mode(name: str) -> bool:
    if name in MODES:
        return True
    import torch._inductor

    return name in torch._inductor.list_mode_options()
