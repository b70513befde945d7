"""The demo by itself, for a Python that has torch: ``<python> dev/demo``."""

import os
import sys
import warnings
from pathlib import Path

# The pack's folder is on sys.path for this one import alone: its nodes/ could stand for another package.
sys.path[0] = str(Path(__file__).resolve().parents[2])
from dev import EXIT_SOMETHING_MISSING, EXIT_STOPPED, PACK, packages, say  # noqa: E402

del sys.path[0]


def main() -> int:
    # The demo has no use for it, and so none is installed.
    warnings.filterwarnings("ignore", message="Failed to initialize NumPy")
    # The tensors are small: on a busy machine, threads that wait for each other take six times as long.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        import torch
    except (ImportError, OSError) as error:
        say(
            f"Missing: a torch that imports: that of {sys.executable} does not ({error}); start again with "
            f"another Python, or delete that environment if it is the .venv of this folder"
        )
        return EXIT_SOMETHING_MISSING
    packages.load("sagekit", PACK)
    from sagekit.dev.demo.story import tell

    try:
        for line in tell():
            say(line)
    except torch.cuda.OutOfMemoryError:
        say(
            "Missing: memory of the GPU, of which something else has taken too much: end that, or set "
            "CUDA_VISIBLE_DEVICES to nothing for the CPU"
        )
        return EXIT_SOMETHING_MISSING
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(EXIT_STOPPED)
