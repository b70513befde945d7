"""The facts of one attention call, as plain values: what a backend decides by."""

from dataclasses import dataclass

NO_MASK = "none"
BOOL_MASK = "bool"
ADDITIVE_MASK = "additive"


@dataclass(frozen=True)
class Call:
    """One attention call, q (batch, heads, q_len, head_dim), k and v with kv_heads and kv_len.

    Attributes:
        batch: Size of the first dimension of q, k and v.
        heads: Heads of q.
        kv_heads: Heads of k and v; fewer than ``heads`` is grouped-query attention (GQA).
        q_len: Query rows, in tokens.
        kv_len: Key and value rows, in tokens.
        head_dim: Last dimension of q, k and v, in elements.
        dtype: torch's name of it, "float16", "bfloat16", "float32".
        device: torch's device type, "cuda", "cpu".
        capability: CUDA compute capability of the device that holds q, None off CUDA.
        gpu: The name of that device, as torch tells it; "" off CUDA.
        mask: "none", "bool" (True = attend) or "additive" (added to the scores).
        scale: Factor on q @ k.T before softmax; None is head_dim ** -0.5.
        needs_exact: The host, the node or the step asks for exact attention here.
        needs_grad: A gradient is wanted through this call.
        unit_stride: The last dimension of q, k and v is contiguous.
        max_offset: Largest element offset reached in q, k or v, from each one's first element.
    """

    batch: int
    heads: int
    kv_heads: int
    q_len: int
    kv_len: int
    head_dim: int
    dtype: str
    device: str = "cuda"
    capability: tuple[int, int] | None = None
    gpu: str = ""
    mask: str = NO_MASK
    scale: float | None = None
    needs_exact: bool = False
    needs_grad: bool = False
    unit_stride: bool = True
    max_offset: int = 0

    @property
    def has_default_scale(self) -> bool:
        """Whether the scale is the usual 1 / sqrt(head_dim), given or left out."""
        return self.scale is None or abs(self.scale * self.head_dim**0.5 - 1.0) < 1e-6

    def __str__(self) -> str:
        heads = str(self.heads) if self.heads == self.kv_heads else f"{self.heads}/{self.kv_heads}"
        mask = "" if self.mask == NO_MASK else f" {self.mask} mask"
        return f"{self.batch}x{heads}x{self.q_len}x{self.kv_len}x{self.head_dim} {self.dtype}{mask}"
