"""Follows what torch compiles during one model's runs: progress, cancel, limits and the sum at the end."""

import contextlib
import enum
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch

from ...host.options import KEY as OPTIONS_KEY
from ...host.process import raise_if_cancelled
from ...machine.message import Message, Value
from ..catalogue import COMPILE
from ..messages import Messages, Remark
from .sizes import Sizes

UNCOMPILED = "uncompiled"
_TICK = 1.0
_LIMIT_HIT = "torch._dynamo hit config."


class Watch:
    """What one node's model compiles; shared by its clones and the threads of its GPUs.

    Attributes:
        node_id: The node to show progress on.
        notes: What a user should know of this run, in order, with the code of its warning, "" for none.
    """

    def __init__(self, node_id: str | None, messages: Messages) -> None:
        self.node_id = node_id
        self._messages = messages
        self.notes: dict[Message, str] = {}
        # Threads in which something was compiled since they last looked for a cancel.
        self._compiled_in: set[int] = set()
        self.begin()

    def begin(self) -> None:
        """Starts a sampling run."""
        self.notes.clear()
        self._seconds = 0.0
        self._before = _counters()
        self._at: Message | None = None
        self._what: Message | None = None
        self._chosen: dict[object, Any] = {}

    def once(self, about: object, choose: Callable[[], Any]) -> Any:
        """What was chosen about a thing in this run; chosen at the first call."""
        if id(about) not in self._chosen:
            self._chosen[id(about)] = choose()
        return self._chosen[id(about)]

    def settle(self, about: object, choice: Any) -> None:
        """Has the choice about a thing stand until the run ends."""
        self._chosen[id(about)] = choice

    def forget(self, *_) -> None:
        """The next forward chooses anew."""
        self._chosen.clear()

    def compiles(self, what: Message) -> None:
        """Notes what runs compiled, for the summary."""
        self._what = what

    def around(self, function: Callable, sizes: Sizes, module, number: int, total: int) -> Callable:
        """The function for a module, which tells where compiling has come to and lets a cancel through.

        torch cannot be stopped in the middle of a graph; the next chance is when it is done.
        """
        at = COMPILE("block-of", number=number + 1, count=total) if total > 1 else COMPILE("whole-model")
        fitting = sizes.fitting

        def forward(*args, **kwargs):
            self._at = at
            options = kwargs.get(OPTIONS_KEY)
            numbered = options is not None and "block" in options
            if numbered:
                block, index = _fix_numbers(options)
            for name, value in kwargs.items():
                if isinstance(value, torch.Tensor):
                    kwargs[name] = fitting(value)
            out = function(module, *map(fitting, args), **kwargs)
            if numbered:
                options["block"], options["block_index"] = block, index
            if self._compiled_in and threading.get_ident() in self._compiled_in:
                self._compiled_in.discard(threading.get_ident())
                raise_if_cancelled()
            return out

        return forward

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Hears of every compilation in this thread until the block ends."""
        thread, ticker = threading.get_ident(), _Ticker(self)

        def began(*_) -> None:
            if threading.get_ident() == thread:
                ticker.start()

        def ended(*_) -> None:
            if threading.get_ident() == thread:
                self._seconds += ticker.stop()
                self._compiled_in.add(thread)

        limits = _LimitListener(self, thread)
        logger = logging.getLogger("torch._dynamo.convert_frame")
        handler = _callbacks()
        logger.addHandler(limits)
        if handler is not None:
            handler.register_start_callback(began)
            handler.register_end_callback(ended)
        try:
            yield
        finally:
            logger.removeHandler(limits)
            # torch._dynamo.reset(), which anybody may call, forgets them.
            if handler is not None and began in handler.start_callbacks:
                handler.remove_start_callback(began)
            if handler is not None and ended in handler.end_callbacks:
                handler.remove_end_callback(ended)
            self._compiled_in.discard(thread)
            ticker.stop()

    def note(self, text: Message, code: str = UNCOMPILED) -> None:
        self.notes[text] = code

    def warn(self, model: str) -> None:
        """One line in the log for what is new among the notes."""
        self._messages.warn_once(self.notes, about=model)

    def end(self) -> None:
        """Shows on the node what became of the run."""
        warnings = [Remark(code, text) for text, code in self.notes.items() if code]
        badge = COMPILE("badge-compiled") if self._what else ""
        lines = [self.summary(), *self.notes]
        self._messages.say(self.node_id, self.line(), lines, badge=badge, warnings=warnings)

    def tell(self, seconds: float) -> None:
        """Shows how far compiling is."""
        what = self._at or COMPILE("whole-model")
        line = COMPILE("compiling", what=what, seconds=seconds)
        self._messages.say(self.node_id, line, badge=COMPILE("badge-compiling"), busy=True)

    def graphs(self) -> int:
        """Graphs that were made in this run."""
        return max(0, _counters()[0] - self._before[0])

    def line(self) -> Message:
        """The run in a few words: "40 blocks compiled · 2 graphs, 38 s"."""
        if not self._what:
            return COMPILE("not-compiled")
        if not self.graphs():
            return COMPILE("compiled", what=self._what)
        return COMPILE("compiled-line", what=self._what, graphs=self._counted(), seconds=self._seconds)

    def summary(self) -> Message:
        """What ran compiled, and what that took, in one line."""
        if not self._what:
            return COMPILE("nothing-compiled")
        if not self.graphs():
            return COMPILE("compiled-nothing-new", what=self._what)
        facts: dict[str, Value] = {"what": self._what, "graphs": self._counted(), "seconds": self._seconds}
        if hits := max(0, _counters()[1] - self._before[1]):
            return COMPILE("compiled-in-from-cache", hits=hits, **facts)
        return COMPILE("compiled-in", **facts)

    def _counted(self) -> Message:
        graphs = self.graphs()
        return COMPILE("graph") if graphs == 1 else COMPILE("graphs", count=graphs)


class _Ticker:
    """Tells every second how long a compilation has been going on."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._began: float | None = None
        self._done = threading.Event()

    def start(self) -> None:
        self.stop()
        self._began, self._done = time.monotonic(), threading.Event()
        threading.Thread(target=self._tick, args=(self._began, self._done), daemon=True).start()

    def stop(self) -> float:
        """Ends it and returns the seconds since its start."""
        began, self._began = self._began, None
        self._done.set()
        return 0.0 if began is None else time.monotonic() - began

    def _tick(self, began: float, done: threading.Event) -> None:
        self._watch.tell(0)
        while not done.wait(_TICK):
            self._watch.tell(time.monotonic() - began)


class _LimitListener(logging.Handler):
    """Hears torch say that it makes no more graphs of a function, which then runs uncompiled."""

    def __init__(self, watch: Watch, thread: int) -> None:
        super().__init__(logging.WARNING)
        self._watch, self._thread = watch, thread

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread and str(record.msg).startswith(_LIMIT_HIT):
            self._watch.note(COMPILE("limit-of-graphs"), "limits")


# torch takes a member of an enum for a constant, whose guard has the name of where it lies and can be left
# out. Of a plain number that differs from block to block it makes a variable, and a condition on that, which
# has no name, of every comparison: a graph for each block.
_Number = enum.IntEnum("_Number", {f"n{number}": number for number in range(1024)})  # type: ignore[misc]
_NUMBERS = tuple(_Number)


def _fix_numbers(options: dict) -> tuple:
    """Has the options give the numbers of a UNet's block as constants; returns what was there."""
    before = block, index = options["block"], options.get("block_index", 0)
    if block[1] < len(_NUMBERS) and index < len(_NUMBERS):
        options["block"], options["block_index"] = (block[0], _NUMBERS[block[1]]), _NUMBERS[index]
    return before


def _callbacks():
    """torch's list of whom to call when it compiles, None where this torch has none."""
    from torch._dynamo import callback

    return getattr(callback, "callback_handler", None)


def _counters() -> tuple[int, int]:
    """Graphs that torch has made in this process, and how many of them came from its cache on disk."""
    from torch._dynamo.utils import counters

    return counters["stats"]["unique_graphs"], counters["inductor"]["fxgraph_cache_hit"]
