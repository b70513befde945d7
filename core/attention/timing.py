"""How long a call takes: the larger of what it costs the GPU and what it costs Python."""

import statistics
import time
from collections.abc import Callable

import torch

RUNS = 5
# Long enough for Python to hand over one call while the GPU still waits, so that the GPU's own time is seen
# without the gaps between launches: 1e6 cycles are 0.5 to 1 ms on every card since Turing, and the slowest
# kernel took Python 0.3 ms (SageAttention 2's five launches, H200).
_WAITING_CYCLES = 1_000_000
# A kernel that is this much slower than the fastest so far needs no second reading.
HOPELESS = 1.5


def milliseconds(run: Callable[[], object], device: torch.device, best: float = float("inf")) -> float:
    """The median of a few runs.

    Args:
        run: Makes the call, on the current stream of the current device; it has run before.
        device: Where it runs.
        best: The fastest so far, in milliseconds.
    """
    once = _once_on_cuda if device.type == "cuda" else _once
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    readings = [once(run)]
    while len(readings) < RUNS and min(readings) < HOPELESS * best:
        readings.append(once(run))
    return statistics.median(readings)


def _once(run: Callable[[], object]) -> float:
    begin = time.perf_counter()
    run()
    return 1000 * (time.perf_counter() - begin)


def _once_on_cuda(run: Callable[[], object]) -> float:
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda._sleep(_WAITING_CYCLES)
    begin.record()
    handed_over = _once(run)
    end.record()
    end.synchronize()
    return max(float(begin.elapsed_time(end)), handed_over)
