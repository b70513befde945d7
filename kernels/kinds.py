"""The kinds of kernels, by what their error depends on; what a kernel can be told belongs to its kind."""

from dataclasses import dataclass


class Exact:
    """Computes in the inputs' own precision: rounding is its only error."""

    def __str__(self) -> str:
        return "exact"


class Quantised:
    """Multiplies in fewer bits than the inputs have: its error is bounded on any data."""

    def __str__(self) -> str:
        return "quantised"


@dataclass(frozen=True)
class Sparse:
    """Attends to some keys and stands in for the rest: its error depends on the data.

    Small where attention has structure, it may be anything on data without one. Exactly one of ``tau`` and
    ``top_k`` says which blocks of keys are attended to. The parameters are those of Sol-Attn (arXiv
    2607.24027), as Comfy Kitchen's ``sol_attn`` takes them.

    Attributes:
        tau: Threshold on a block's estimated score, in standard deviations of its row; the greater, the fewer
            blocks. None for top_k.
        top_k: The part of all blocks of keys that each block of queries attends to, above 0 and below 1.
        token_aug: Further keys with the highest scores that each block of queries attends to, in tokens.
        sinks: The keys from the first of the two numbers to before the second, which every query attends to,
            in tokens.

    Raises:
        ValueError: A parameter is out of its range, or not exactly one of tau and top_k is given.
    """

    tau: float | None = None
    top_k: float | None = None
    token_aug: int = 0
    sinks: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        if (self.tau is None) == (self.top_k is None):
            raise ValueError(f"one of tau and top_k is needed, got tau={self.tau}, top_k={self.top_k}")
        if self.top_k is not None and not 0 < self.top_k < 1:
            raise ValueError(f"a top_k between 0 and 1 is needed, got {self.top_k}")
        if self.token_aug < 0:
            raise ValueError(f"a token_aug of 0 or more tokens is needed, got {self.token_aug}")
        if not 0 <= self.sinks[0] <= self.sinks[1]:
            raise ValueError(f"sinks from 0 on and in order are needed, got {self.sinks}")

    def __str__(self) -> str:
        told = [f"tau {self.tau:g}" if self.tau is not None else f"top {self.top_k:.0%}"]
        told += [f"token_aug {self.token_aug}"] * (self.token_aug > 0)
        told += ["sinks {} to {}".format(*self.sinks)] * (self.sinks[0] < self.sinks[1])
        return f"sparse ({', '.join(told)})"


Kind = Exact | Quantised | Sparse
EXACT = Exact()
QUANTISED = Quantised()
