"""How long the first step takes in a process that starts with nothing compiled, and in the next one.

    python bench/second_start.py --comfyui DIR [--kjnodes DIR] [--models flux,wan] \\
        [--choices ours:auto+compile,core:compile,kj:compile+auto]

Each choice (see sampling.py) samples one step, then a few more, in a process with empty caches, and again in
a second process that finds what the first one left. "Overhead" is the first step less the median of the
later ones: compiling, measuring, loading. What the plain host takes to load is in it; "beyond plain" is the
ratio without that. The budget: the second process's compiling is under a third of the first's. torch needs
its bytecode on disk, as pip leaves it: else each process spends seconds on compiling torch's own source.
"""

import argparse
import importlib.util
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sampling_child import MARK, SEED, check_kernels, is_ours, patch, sample


def child(arguments: argparse.Namespace) -> None:
    """One process: builds and patches the model, prints the seconds of the first step and of a later one."""
    sys.path.insert(0, str(arguments.comfyui))
    from comfy.cli_args import args as host_flags

    host_flags.cpu = arguments.device == "cpu"
    import architectures
    import comfy.model_management
    import comfy.sample  # as a start of ComfyUI has done long before the first step
    import folder_paths
    import torch

    folder_paths.set_user_directory(str(arguments.folder))
    device = comfy.model_management.get_torch_device()
    architecture = architectures.ARCHITECTURES[arguments.model](arguments.tiny)
    model = patch(architectures.build(architecture, device, SEED), arguments.choice, arguments)
    if "sagekit" in sys.modules:
        read_times(arguments.folder)

    def seconds_of(steps: int) -> list[float]:
        readings = [time.perf_counter()]

        def on_step(*_) -> None:
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            readings.append(time.perf_counter())

        sample(architecture, model, steps, on_step)
        return [late - early for early, late in itertools.pairwise(readings)]

    (first,) = seconds_of(1)
    later = statistics.median(seconds_of(arguments.steps)[1:])
    print(MARK + json.dumps({"first": first, "later": later}), flush=True)


def read_times(folder: Path) -> None:
    """What the process before has measured, as a start of ComfyUI reads it."""
    from sagekit.core.attention import routes
    from sagekit.core.session import of_this_process
    from sagekit.machine import fingerprint

    file = folder / "sagekit" / routes.FILE_NAME
    file.parent.mkdir(parents=True, exist_ok=True)
    session = of_this_process()
    session.times.read(file, fingerprint(session.proofs.environment))


def run(arguments: argparse.Namespace, model: str, choice: str, folder: Path) -> dict[str, float]:
    """The readings of one process; what went wrong goes to the screen."""
    caches = {"TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor"), "TRITON_CACHE_DIR": str(folder / "triton")}
    # Ours keeps its own folder where nobody names another.
    caches = {} if is_ours(choice) else caches
    own = ["--child", "--model", model, "--choice", choice, "--folder", str(folder)]
    child = subprocess.run(
        [sys.executable, __file__, *sys.argv[1:], *own],
        env=os.environ | caches,
        capture_output=True,
        text=True,
        check=False,
    )
    for line in child.stdout.splitlines():
        if line.startswith(MARK):
            return json.loads(line.removeprefix(MARK))
    sys.exit(f"{model}, {choice}: the process ended with code {child.returncode}\n{child.stderr[-2000:]}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--comfyui", type=Path, default=os.environ.get("COMFYUI_DIR"))
    parser.add_argument("--kjnodes", type=Path, default=os.environ.get("KJNODES_DIR"))
    parser.add_argument("--models", default="flux,wan")
    parser.add_argument("--choices", default="ours:auto+compile,core:compile,kj:compile+auto")
    parser.add_argument("--quality", default="balanced")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument(
        "--tiny", action="store_true", help="small variants, to try the program without a GPU"
    )
    parser.add_argument("--verdicts", type=Path, help="the kernel check's file, where there is one already")
    for name in ("--model", "--choice"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.comfyui is None:
        parser.error("--comfyui is needed: the folder that holds ComfyUI's main.py")
    if arguments.child:
        arguments.reference = arguments.folder / "latent.pt"
        child(arguments)
        return
    bytecode = importlib.util.find_spec("torch").cached
    if bytecode is None or not Path(bytecode).exists():
        print("torch has no bytecode here: each process compiles its source", file=sys.stderr)
    print("| model | choice | step | overhead, first process | second | second / first | beyond plain |")
    print("|---|---|---|---|---|---|---|")
    for model in arguments.models.split(","):
        loading = 0.0
        for choice in ("plain", *(one for one in arguments.choices.split(",") if one != "plain")):
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                if arguments.device == "cuda" and is_ours(choice):
                    check_kernels(folder, arguments.verdicts)
                first, second = (run(arguments, model, choice, folder) for _ in range(2))
            over = [one["first"] - one["later"] for one in (first, second)]
            # The very first process reads its libraries from the disk; the next one is what to compare with.
            loading = loading or over[1]
            beyond = "-" if choice == "plain" else f"{(over[1] - loading) / (over[0] - loading):.2f}"
            step = f"{1000 * second['later']:.1f} ms"
            shares = f"{over[0]:.1f} s | {over[1]:.1f} s | {over[1] / over[0]:.2f} | {beyond}"
            print(f"| {model} | {choice} | {step} | {shares} |", flush=True)


if __name__ == "__main__":
    main()
