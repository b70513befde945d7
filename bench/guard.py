"""What the guard costs a sampling step. Needs an NVIDIA GPU.

    python bench/guard.py --comfyui DIR [--models wan,flux,sdxl] [--kernel kitchen-int8] [--rounds 6]

The same patched model, every call on the kernel named, samples through ComfyUI's own sampler with the guard
as it is, with the guard but no sampling of errors, and with neither, in turn; the medians of the steps after
the first are compared. Where steps spread by more than there is to measure, the last two columns tell: the
time that looking at the output and sampling errors take themselves, the GPU idle before and waited for after
each, as a share of the step. What overlaps counts in full there, so they are upper bounds.
Budgets: 0.5 % of a step for the guard, 0.2 % for sampling.
"""

import argparse
import itertools
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import torch
from sampling_child import SEED, VERDICTS, check_kernels, load_pack, patch, sample

SIDES = ("neither", "watching", "watching and sampling")


def steps_of(architecture, model, count: int) -> list[float]:
    """Milliseconds of each step after the first."""
    readings: list[float] = []

    def on_step(*_) -> None:
        torch.cuda.synchronize()
        readings.append(time.perf_counter())

    sample(architecture, model, count, on_step)
    return [1000 * (late - early) for early, late in itertools.pairwise(readings)]


def set_side(guard, side: str) -> None:
    """Makes the guard of a patched model do as much as one side does."""
    from sagekit.core.attention.guard import Forward, Guard

    guard.begin = {
        "watching and sampling": lambda: Guard.begin(guard),
        "watching": Forward,
        "neither": lambda: SimpleNamespace(
            quantised=False,
            recheck=False,
            is_settled=False,
            calls=0,
            readings=[],
            is_due=False,
            next_is_sampled=lambda: False,
        ),
    }[side]
    guard.look = (
        (lambda forward, out: True) if side == "neither" else lambda *given: Guard.look(guard, *given)
    )


def measure(name: str, arguments: argparse.Namespace) -> tuple[dict[str, list[float]], tuple[float, float]]:
    """Steps in milliseconds by side, and what looking and sampling take by themselves in one."""
    import architectures
    import comfy.model_management

    device = comfy.model_management.get_torch_device()
    architecture = architectures.ARCHITECTURES[name](False)
    model = patch(architectures.build(architecture, device, SEED), arguments.kernel, arguments)
    guard = model.model_options["transformer_options"]["sagekit_attention"].guard
    found: dict[str, list[float]] = {side: [] for side in SIDES}
    sample(architecture, model, 2)
    for number in range(arguments.rounds):
        for side in SIDES[number % 3 :] + SIDES[: number % 3]:
            set_side(guard, side)
            found[side] += steps_of(architecture, model, arguments.steps)
    print(f"{name}: sampled one call in {one_call_in(guard)}", file=sys.stderr)
    return found, by_itself(model, architecture, 6 * arguments.steps)


def by_itself(model, architecture, steps: int) -> tuple[float, float]:
    """Milliseconds a step that looking and sampling take by themselves, one after the other."""
    from sagekit.core.attention import accuracy
    from sagekit.core.attention.guard import Guard

    guard = model.model_options["transformer_options"]["sagekit_attention"].guard
    spent = {"look": [0.0], "sample": [0.0]}
    real_sample = accuracy.sample

    def timed(kind, function, *given):
        torch.cuda.synchronize()
        begin = time.perf_counter()
        out = function(*given)
        torch.cuda.synchronize()
        spent[kind][-1] += 1000 * (time.perf_counter() - begin)
        return out

    def look(forward, out):
        found = timed("look", Guard.look, guard, forward, out)
        for kind in spent:
            spent[kind].append(0.0)
        return found

    set_side(guard, SIDES[-1])
    guard.look = look
    accuracy.sample = lambda *given: timed("sample", real_sample, *given)
    try:
        steps_of(architecture, model, steps)
    finally:
        accuracy.sample = real_sample
        guard.look = lambda *given: Guard.look(guard, *given)
    # The first forward of a model samples every call; of the others, samples are spread over several.
    looks, samples = (readings[2:-1] for readings in spent.values())
    return statistics.median(looks), statistics.mean(samples)


def one_call_in(guard) -> int:
    from sagekit.core.attention.guard import Guard

    return Guard.begin(guard).every


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--comfyui", type=Path, default=os.environ.get("COMFYUI_DIR"))
    parser.add_argument("--models", default="wan,flux,sdxl")
    parser.add_argument("--kernel", default="kitchen-int8")
    parser.add_argument("--quality", default="fast")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--verdicts", type=Path, help="the kernel check's file, where there is one already")
    arguments = parser.parse_args()
    if arguments.comfyui is None or not torch.cuda.is_available():
        parser.error("an NVIDIA GPU and --comfyui are needed")
    sys.path.insert(0, str(arguments.comfyui))
    with tempfile.TemporaryDirectory() as folder:
        arguments.reference = Path(folder) / "latent.pt"
        check_kernels(Path(folder), arguments.verdicts)
        load_pack(Path(folder) / VERDICTS)
        print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, kernel {arguments.kernel}")
        print(
            "| model | neither | watching | watching and sampling | guard | sampling | looking itself "
            "| sampling itself |"
        )
        print("|---|---|---|---|---|---|---|---|")
        for name in arguments.models.split(","):
            found, (looking, sampling) = measure(name, arguments)
            neither, watching, both = (statistics.median(one) for one in found.values())
            shares = f"{watching / neither - 1:+.2%} | {(both - watching) / neither:+.2%}"
            own = f"{looking / neither:.2%} | {sampling / neither:.2%}"
            times = f"{neither:.2f} ms | {watching:.2f} ms | {both:.2f} ms"
            print(f"| {name} | {times} | {shares} | {own} |", flush=True)


if __name__ == "__main__":
    main()
