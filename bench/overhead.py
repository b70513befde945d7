"""What choosing, guarding and counting cost a call: the patch over a kernel that does nothing, in us.

    python bench/overhead.py [--calls 20000] [--rounds 5]

Both sides run in one process, in turn: the bare kernel on the views that it needs, and the same through the
override, warm, as ComfyUI calls it. No GPU and no ComfyUI needed. Budget: 10 us over the bare kernel.
"""

import argparse
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))
from sampling_child import load_package

HEADS, HEAD_DIM, LENGTH = 24, 128, 64


def noop(q, k, v, *, mask=None, scale=None):
    return q


def sides(skip_reshape: bool) -> tuple[Callable[[], object], Callable[[], object]]:
    """The bare kernel with the views it needs, and the override, on the same tensors."""
    from sagekit.core.attention.guard import Forward
    from sagekit.core.attention.override import Override
    from sagekit.core.attention.patch import FORWARD_KEY, PATCH_KEY, Patch
    from sagekit.core.attention.settings import Settings
    from sagekit.core.session import Session
    from sagekit.kernels.backend import Backend, Kernel
    from sagekit.kernels.kinds import EXACT

    class AnyError(Settings):
        budget = float("inf")

    class AnyDevice(Backend):
        def reasons(self, call):
            return []

    # Exact, so that no call's error is sampled: what is measured is every call but those.
    backend = AnyDevice("noop", "does nothing", lambda: Kernel(noop), 0.0, kind=EXACT)
    patch = Patch(AnyError("noop"), Session({"noop": backend}))
    override = Override(patch)
    options = {PATCH_KEY: patch, FORWARD_KEY: Forward(), "optimized_attention_override": override}
    shape = (1, HEADS, LENGTH, HEAD_DIM) if skip_reshape else (1, LENGTH, HEADS * HEAD_DIM)
    q, k, v = (torch.randn(shape, dtype=torch.bfloat16) for _ in range(3))

    def bare():
        if skip_reshape:
            return noop(q, k, v, mask=None, scale=None).transpose(1, 2).reshape(1, LENGTH, -1)
        views = (tensor.view(1, LENGTH, HEADS, HEAD_DIM).transpose(1, 2) for tensor in (q, k, v))
        return noop(*views, mask=None, scale=None).transpose(1, 2).reshape(1, LENGTH, -1)

    def patched():
        return override(
            None,
            q,
            k,
            v,
            HEADS,
            skip_reshape=skip_reshape,
            transformer_options=options,
            _inside_attn_wrapper=True,
        )

    return bare, patched


def microseconds(call: Callable[[], object], calls: int) -> float:
    begin = time.perf_counter()
    for _ in range(calls):
        call()
    return 1e6 * (time.perf_counter() - begin) / calls


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    load_package()
    machine = platform.processor() or platform.machine()
    print(f"{machine}, Python {platform.python_version()}, torch {torch.__version__}")
    with torch.inference_mode():
        for skip_reshape in (False, True):
            bare, patched = sides(skip_reshape)
            readings = {"bare": [], "patched": []}
            for _ in range(options.rounds):
                readings["bare"].append(microseconds(bare, options.calls))
                readings["patched"].append(microseconds(patched, options.calls))
            low, high = (statistics.median(readings[side]) for side in ("bare", "patched"))
            name = f"skip_reshape={skip_reshape}"
            print(f"{name:20} bare {low:5.1f} us  patched {high:5.1f} us  over {high - low:5.1f} us")


if __name__ == "__main__":
    main()
