"""The state of one patched model."""

from collections.abc import Hashable
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ...host.arguments import Arguments, facts
from ...machine.message import Message
from ...machine.reason import Reason
from ..catalogue import ATTENTION
from . import dispatch, graph
from .guard import Guard, Quarantine
from .plan import Decided, OnHost, Plan, Routed, Undecided
from .report import Report
from .run import NO_BLOCKS
from .settings import Settings

if TYPE_CHECKING:
    from ..session import Session
    from .override import Override

# Where the patch that has the model stands in its transformer_options.
PATCH_KEY = "sagekit_attention"
# Set in the transformer_options of a forward whose step the node keeps exact.
EXACT_STEP_KEY = "sagekit_exact_step"
# The guard's view of a forward, in its transformer_options.
FORWARD_KEY = "sagekit_forward"
MAX_PLANS = 4096


class Patch:
    """Settings, plans and report of one patched model; shared by its clones and its GPUs' threads.

    Args:
        settings: What the node asked for.
        session: What all models share.
        quarantine: What was found of this one before.

    Attributes:
        override: What ComfyUI calls; set when it is put on a model.
        samplings: How many wrappers of OUTER_SAMPLE are around it just now.
        block_lists: Names of the lists of numbered blocks that the model has.
        compiled_elsewhere: Another pack has put compiled modules into the model that may lack guards.
    """

    def __init__(self, settings: Settings, session: "Session", quarantine: Quarantine | None = None) -> None:
        self.settings = settings
        self.session = session
        self.report = Report(settings, session.runs)
        self.guard = Guard(
            self.report, settings.budget, Quarantine() if quarantine is None else quarantine, session.clock
        )
        self.override: Override | None = None
        self.samplings = 0
        self.block_lists: frozenset[str] = frozenset()
        self.compiled_elsewhere = False
        self._plans: dict[Hashable, Plan] = {}
        self._kernels = session.kernels
        self._changes = self._kernels.changes

    def __deepcopy__(self, memo: dict[int, Any]) -> "Patch":
        # Hosts up to 0.13 deep-copy model_options with every clone; the clone is the same patch.
        return self

    def plan(self, given: Arguments, options: dict[str, Any]) -> Plan:
        """What to do with a call; from the second of its class on, one look-up.

        Args:
            given: The arguments of the call.
            options: The model's transformer_options at this call.
        """
        if self._changes != self._kernels.changes:
            self._changes = self._kernels.changes
            self._plans = {}
        exact = given.exact or options.get(EXACT_STEP_KEY, False) or self._in_exact_block(options)
        plan = self._known_plan(given, exact)
        if self.guard.is_clear or not self._is_kept_out(plan, options):
            return plan
        plan = self._known_plan(given, exact=True, why="guard")
        return self.on_host(given) if self._is_kept_out(plan, options) else plan

    def _is_kept_out(self, plan: Plan, options: dict[str, Any]) -> bool:
        """Whether the guard keeps the plan's kernel out of the running block, or of the whole class."""
        if isinstance(plan, OnHost):
            return False
        if isinstance(plan, Undecided):
            return self.guard.keeps_all_out(quantised=not plan.exact)
        return self.guard.keeps_out(plan.name, plan.quantised, place(plan, options), group(plan))

    def on_host(self, given: Arguments) -> OnHost:
        """What to do with a call that the guard leaves to ComfyUI's own attention, exactly."""
        key = (given.key(True), "guard", OnHost)
        plan = self._plans.get(key)
        if not isinstance(plan, OnHost):
            call = facts(given, True)
            plan = OnHost(why="guard", call=None if isinstance(call, Reason) else call, exact=True, key=key)
            self._plans[key] = plan
        return plan

    def _known_plan(self, given: Arguments, exact: bool, why: str = "") -> Plan:
        key = (given.key(exact), why)
        plan = self._plans.get(key)
        if plan is None:
            if len(self._plans) >= MAX_PLANS:
                self._plans = {}
            new = self._new_plan(given, exact)
            plan = self._plans[key] = replace(new, why=why or new.why, key=key)
        return plan

    def settled(self, plan: Decided) -> None:
        """Keeps what the first call of a class has decided."""
        self._plans[plan.key] = plan

    def _new_plan(self, given: Arguments, exact: bool) -> OnHost | Undecided:
        call = facts(given, exact)
        if isinstance(call, Reason):
            passed_over = ((self.settings.kernel, (call,)),)
            return OnHost(why=call.code, passed_over=passed_over, exact=exact or self.settings.is_off)
        return dispatch.plan(call, self.settings, self._kernels)

    def _in_exact_block(self, options: dict[str, Any]) -> bool:
        """Whether the node keeps the running block exact.

        A model with two lists of blocks (Flux: double_blocks, then single_blocks) numbers each by
        itself, so its first blocks are in the one and its last in the other.
        """
        if not self.settings.limits_blocks:
            return False
        if graph.call_number(options):
            return True  # In a graph traced for a node without such a limit, which does not know the block.
        index, total = options.get("block_index"), options.get("total_blocks")
        if index is None or total is None:
            self.report.note(ATTENTION("no-numbered-blocks"), NO_BLOCKS)
            return False
        kind = options.get("block_type")
        begins = not (kind == "single" and "double_blocks" in self.block_lists)
        ends = not (kind == "double" and "single_blocks" in self.block_lists)
        first, last = self.settings.exact_first_blocks, self.settings.exact_last_blocks
        return (begins and index < first) or (ends and index >= total - last)


def place(plan: Routed, options: dict[str, Any]) -> Message:
    """Where in the model a call is: its block, what it looks like where blocks have no number, or its number
    in a compiled graph, which knows neither."""
    if number := graph.call_number(options):
        return _in_words("place-call", number=number)
    index, kind = options.get("block_index"), options.get("block_type")
    if index is None or options.get("total_blocks") is None:
        return group(plan)
    if kind:
        return _in_words("place-block-of-kind", kind=kind, number=index)
    return _in_words("place-block", number=index)


def group(plan: Routed) -> Message:
    """The class of calls, in words."""
    return _in_words("place-calls", call=str(plan.call))


# A call of a model out of which the guard keeps a kernel asks every time.
_in_words = lru_cache(maxsize=4096)(ATTENTION)
