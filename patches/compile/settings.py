"""What the user asked for."""

from dataclasses import dataclass

BLOCKS = "blocks"
WHOLE = "whole model"
DYNAMIC = {"auto": None, "true": True, "false": False}
# Offered. Others of torch's are taken as named; no test has run those that record CUDA graphs.
BACKENDS = ("inductor", "eager")
MODES = ("default", "max-autotune-no-cudagraphs")


@dataclass(frozen=True)
class Settings:
    """The inputs of the node that change what is compiled; equal ones share compiled code.

    Attributes:
        compile: BLOCKS or WHOLE.
        dynamic: A key of DYNAMIC; one that is unknown counts as "auto".
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

    @property
    def uses_cuda_graphs(self) -> bool:
        """Whether a graph's output is memory that its next run writes into."""
        return self.backend == "cudagraphs" or (
            self.backend == "inductor" and self.mode in ("max-autotune", "reduce-overhead")
        )
