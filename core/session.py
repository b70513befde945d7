"""What the patched models of one ComfyUI share: made once, when it loads the pack, and handed down."""

from collections.abc import Callable, Mapping
from functools import lru_cache

from ..host.compiled_before import Graphs
from ..kernels.backend import Backend
from ..kernels.families import backends
from ..machine.reason import Reason
from . import fp16_accumulation
from .attention.dispatch import Kernels
from .attention.guard import Quarantines
from .attention.proofs import Proofs
from .attention.report import Runs
from .attention.routes import Times
from .clock import SYSTEM, Clock
from .compile.caches import Caches
from .compile.models import Compilations
from .messages import Messages


class Session:
    """Everything that outlives a model and a run, with one owner.

    Args:
        declared: Every kernel by name, as it is on this machine.
        clock: What time it is.
        unproven: Why a kernel may not run on a GPU, where not the proofs decide that.

    Attributes:
        proofs: The kernel check's verdicts.
        kernels: Those that are loaded, and those that were dropped.
        times: What attention takes, by class of calls.
        quarantines: What the guard found of each model.
        graphs: Which compiled graphs may be wrong for a model that is patched otherwise now.
        compilations: What is compiled of each model.
        compile_caches: Where compiled code is kept while a model runs.
        fp16_accumulation: torch's flag, which models take turns with.
        messages: What the nodes say.
        runs: What ran.
    """

    def __init__(
        self,
        declared: Mapping[str, Backend],
        clock: Clock = SYSTEM,
        unproven: Callable[[Backend, str], Reason | None] | None = None,
    ) -> None:
        self.clock = clock
        self.proofs = Proofs()
        self.kernels = Kernels(declared, unproven or self.proofs.unproven)
        self.times = Times(declared, clock)
        self.quarantines = Quarantines()
        self.graphs = Graphs()
        self.compilations = Compilations()
        self.compile_caches = Caches()
        self.fp16_accumulation = fp16_accumulation.switch()
        self.messages = Messages(clock)
        self.runs = Runs(self.messages, self.times, clock)


@lru_cache(maxsize=1)
def of_this_process() -> Session:
    """The one that ComfyUI's nodes go by. Nodes and ``app/extension.py`` ask for it, and nobody else."""
    return Session(backends())
