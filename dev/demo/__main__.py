"""The demo by itself, for a Python that has torch: ``<python> dev/demo``."""

import os
import sys
import warnings
from pathlib import Path

# The pack's folder is on sys.path for this one import alone: its nodes/ could stand for another package.
sys.path[0] = str(Path(__file__).resolve().parents[2])
from dev import PACK, packages, say  # noqa: E402

del sys.path[0]


def main() -> int:
    # The demo has no use for it, and so none is installed.
    warnings.filterwarnings("ignore", message="Failed to initialize NumPy")
    # The tensors are small: on a busy machine, threads that wait for each other take six times as long.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    packages.load("sagekit", PACK)
    from sagekit.dev.demo.story import tell

    for line in tell():
        say(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
