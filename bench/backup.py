"""What a backup of 20,000 files costs: the first, and later ones with nothing changed.

    python bench/backup.py [--files 20000] [--size 100000] [--folder DIR]

Budget: the second takes at most a fifth of the first. The size is near that of real files: 58,000 of
120,000 bytes on average in an environment with torch for CUDA 13, Triton and ComfyUI's requirements.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PACK = Path(__file__).resolve().parent.parent


def make(folder: Path, files: int, size: int) -> None:
    """A venv with that many files in folders of a hundred."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    site = folder / "packages"
    for number in range(files):
        inside = site / f"package_{number // 100}"
        if number % 100 == 0:
            inside.mkdir(parents=True)
        (inside / f"module_{number}.py").write_bytes(os.urandom(size))


def timed(folder: Path, verb: str, *name: str) -> tuple[float, str]:
    line = [sys.executable, "-s", str(PACK / "kernels_check"), verb, *name, "--python", str(folder)]
    # Compiled modules are kept, as they are for a user, but not in the pack.
    variables = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    variables["PYTHONPYCACHEPREFIX"] = str(folder.parent / "compiled")
    begin = time.perf_counter()
    done = subprocess.run(line, check=True, capture_output=True, text=True, env=variables)
    return time.perf_counter() - begin, done.stdout.splitlines()[0]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--size", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="on the disk that is meant")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        environment = Path(folder) / "environment"
        make(environment, options.files, options.size)
        timed(environment, "backups")
        seconds = []
        for what, verb, *name in (
            ("first backup", "backup", "first"),
            ("second backup", "backup", "second"),
            ("third backup", "backup", "third"),
            ("fourth backup", "backup", "fourth"),
            ("verify", "verify", "fourth"),
            ("restore", "restore", "fourth"),
        ):
            taken, said = timed(environment, verb, *name)
            seconds.append(taken)
            print(f"{what}: {taken:.2f} s  ({re.sub(r' in /.*', '', said)})")
    times = seconds[0] / max(seconds[1:4])
    print(f"The slowest of the later backups is {times:.1f} times as fast as the first (budget: 5).")
    return 0 if times >= 5 else 1


if __name__ == "__main__":
    sys.exit(main())
