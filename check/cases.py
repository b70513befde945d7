"""The calls that a kernel is tried on: chosen so that each fault seen in the field shows in one of them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..kernels.call import ADDITIVE_MASK, BOOL_MASK, Call

NORMAL = "normal"
# k with a large part in common to all keys: what smoothing takes out, and what INT8 drowns in without it.
COMMON_KEY = "common-key"
# One channel of q and k twelve times as large: where per-block quantisation loses most.
OUTLIER = "outlier"
# v past float16's 65,504: bfloat16 models reach it, and a cast to float16 makes Inf of it.
LARGE_V = "large-v"

# By how much the error may exceed the declared tolerance on data made to be hard. Measured: 0.75 times the
# tolerance on a common key and on large v, 1.22 times on the outlier (SageAttention 2.2 on Triton, 0.0365).
# H200, torch 2.11.0+cu130, Triton 3.6.0, Kitchen 0.2.31, SageAttention 1.0.6 and 2.2, 2026-11-24. Kernels
# that no such card runs get some room.
_SLACK = {NORMAL: 1.0, COMMON_KEY: 1.5, OUTLIER: 2.0, LARGE_V: 1.5}

# Around the sizes of blocks and the end of the first ones, where padded rows are counted or not written.
_SHORT = (1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 33, 63, 64, 65, 77, 79, 96, 113, 127, 128, 129, 130)
_LONG = (255, 257, 511, 513, 1023, 1024, 1025, 2049)
_HEAD_DIMS = (8, 16, 32, 40, 48, 56, 72, 80, 88, 96, 104, 112, 120, 160, 192, 256)


@dataclass(frozen=True)
class Case:
    """One call to make.

    Attributes:
        call: Its facts; dtype and device are filled in by whoever runs it.
        layout: "HND" for contiguous (batch, heads, length, head_dim), "NHD" for a transposed view of
            (batch, length, heads, head_dim), "packed" for views of one (batch, length, 3, heads, head_dim).
        data: One of the kinds above.
        nan_behind: The buffers go on past the last row, filled with NaN that no kernel may read.
    """

    call: Call
    layout: str = "HND"
    data: str = NORMAL
    nan_behind: bool = False

    @property
    def slack(self) -> float:
        return _SLACK[self.data]

    def __str__(self) -> str:
        behind = " NaN behind" if self.nan_behind else ""
        data = "" if self.data == NORMAL else f" {self.data}"
        return f"{self.call} {self.layout}{data}{behind}"


def cases(device: str, capability: tuple[int, int] | None, thorough: bool = False) -> Iterator[Case]:
    """Every case for a device, bfloat16 and float16 in turn.

    Args:
        device: torch's device type.
        capability: CUDA compute capability of the device, None off CUDA.
        thorough: Every length from 1 to 130 rather than those around block sizes, in both dtypes.
    """
    call = Call(1, 2, 2, 128, 128, 64, "bfloat16", device, capability)
    dtypes = ("bfloat16", "float16")
    for number, case in enumerate(_forms(call, thorough)):
        for dtype in dtypes if thorough else (dtypes[number % 2],):
            if case.data == LARGE_V and dtype == "float16":
                dtype = "bfloat16"
            yield replace(case, call=replace(case.call, dtype=dtype))


def _forms(call: Call, thorough: bool) -> Iterator[Case]:
    lengths = range(1, 131) if thorough else _SHORT
    for head_dim in (64, 128):
        wide = replace(call, head_dim=head_dim)
        for length in (*lengths, *_LONG):
            yield Case(replace(wide, q_len=length, kv_len=length))
        for length in (*lengths, *_LONG):
            yield Case(replace(wide, q_len=200, kv_len=length), layout="NHD")
    for head_dim in _HEAD_DIMS:
        yield Case(replace(call, head_dim=head_dim, q_len=257, kv_len=320))
        yield Case(replace(call, head_dim=head_dim, q_len=100, kv_len=77), layout="NHD")
    yield from _arguments(replace(call, q_len=200, kv_len=320, heads=4, kv_heads=4))
    yield from _arguments(replace(call, q_len=130, kv_len=77, heads=4, kv_heads=4, head_dim=128))


def _arguments(call: Call) -> Iterator[Case]:
    """Everything but the lengths: masks, scale, GQA, batch, strides, and data that is hard to quantise."""
    yield Case(replace(call, kv_heads=2))
    yield Case(replace(call, kv_heads=1), layout="NHD")
    yield Case(replace(call, mask=BOOL_MASK))
    yield Case(replace(call, mask=ADDITIVE_MASK), layout="NHD")
    yield Case(replace(call, scale=0.05))
    yield Case(replace(call, scale=0.3), layout="NHD")
    yield Case(replace(call, batch=3))
    yield Case(replace(call, batch=300, heads=1, kv_heads=1, q_len=17, kv_len=64))
    yield Case(replace(call, kv_len=call.q_len), layout="packed")
    for data in (COMMON_KEY, OUTLIER, LARGE_V):
        yield Case(call, data=data)
        yield Case(replace(call, kv_len=1024), data=data, layout="NHD")
    yield Case(call, nan_behind=True)
    yield Case(replace(call, q_len=65, kv_len=65), layout="NHD", nan_behind=True)


# Name, call, as they come in real models: to time. Wan's heads are 12 of 40, which keeps it under 0.5 GB.
TYPICAL = (
    ("SDXL 1024 self", Call(2, 10, 10, 4096, 4096, 64, "float16")),
    ("SDXL 1024 cross", Call(2, 10, 10, 4096, 77, 64, "float16")),
    ("Flux 1024", Call(1, 24, 24, 4608, 4608, 128, "bfloat16")),
    ("Wan 480p, 12 of 40 heads", Call(1, 12, 12, 32760, 32760, 128, "bfloat16")),
)
