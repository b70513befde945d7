"""What torch has learnt of the sizes that compiled functions are called with.

torch compiles a function for the sizes and strides of its first call, and once it has seen another, for any:
its next graph of that function is a general one, which may round differently. It keeps that knowledge by the
function alone, so that what a patched model's forward has taught it would change the graphs of a model that
has no patch.
"""

import sys
from typing import Any


class SizesSeen:
    """Keeps that knowledge of patched forwards apart from all other; not safe among threads by itself.

    Of torch's own things it is none that is promised: where they are others (before torch 2.6), or where the
    knowledge is kept on disk for a job that was named, all stays in one.
    """

    def __init__(self) -> None:
        self._own: Any = None
        self._others: Any = None
        self._apart = False

    def take_own(self) -> None:
        """What is compiled from here on learns from patched forwards, and teaches them alone."""
        pgo: Any = sys.modules.get("torch._dynamo.pgo")
        try:
            if pgo is None or pgo.get_cache_key() is not None:
                return
            others = pgo.get_code_state()
            if others is not self._others:
                # torch._dynamo.reset() came between: all of it is to be forgotten.
                self._own = type(others)(others.default_factory)
        except Exception:  # None of it is promised, and a run goes on without.
            return
        pgo._CODE_STATE, self._others, self._apart = self._own, others, True

    def give_back(self) -> None:
        """The end of what ``take_own`` began."""
        if not self._apart:
            return
        self._apart = False
        pgo: Any = sys.modules["torch._dynamo.pgo"]
        if pgo._CODE_STATE is self._own:
            pgo._CODE_STATE = self._others
        else:
            # torch._dynamo.reset() came in the middle.
            self._own = self._others = pgo._CODE_STATE = None
