"""The types of the pack, room by room:  python -m dev.typecheck [ROOM ...]

A room in STRICT passes `mypy --strict`, one in CHECKED plain mypy. Each is looked at as on Windows, Linux and
macOS, since what one of them lacks (killpg, flock) is found by no test on another. With rooms named, those
alone are looked at, strictly, whether they are listed or not: what is left to do before one can be listed.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    __package__ = "dev"

from . import PACK, say

STRICT: tuple[str, ...] = (
    "backup",
    "check",
    "core.attention",
    "core.session",
    "doctor",
    "host",
    "kernels",
    "knowledge",
    "machine",
)
CHECKED: tuple[str, ...] = ("app", "core", "kernels_check", "nodes")
PLATFORMS = ("linux", "win32", "darwin")
NAME = "sagekit"  # The checkout's own folder need not be a Python name.


def complaints(rooms: Sequence[str], platform: str, *, strict: bool) -> list[str]:
    """What mypy has to say of these rooms, a line each; nothing where all is well."""
    with tempfile.TemporaryDirectory() as folder:
        _named(Path(folder) / NAME)
        command = [sys.executable, "-m", "mypy", "--platform", platform, "--no-error-summary", "--no-pretty"]
        command += ["--config-file", str(PACK / "pyproject.toml"), "--cache-dir", str(PACK / ".mypy_cache")]
        # torch tells more of its own types in one version than in another.
        command += ["--strict", "--no-warn-unused-ignores"] * strict
        command += [argument for room in rooms for argument in ("-p", f"{NAME}.{room.replace('/', '.')}")]
        child = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    lines = (child.stdout + child.stderr).splitlines()
    if child.returncode not in (0, 1):
        raise RuntimeError(f"mypy ended with code {child.returncode}: {' '.join(lines[-3:])}")
    return [line.removeprefix(f"{NAME}/") for line in lines if line.strip()]


def _named(pack: Path) -> None:
    """The pack under a name that can be imported: a link, or a copy where the system refuses links."""
    try:
        pack.symlink_to(PACK, target_is_directory=True)
    except OSError:
        shutil.copytree(PACK, pack, ignore=shutil.ignore_patterns(".*", "tests", "web", "node_modules"))


def main(rooms: Sequence[str]) -> int:
    """0 where every room keeps its promise."""
    asked = [(rooms, True)] if rooms else [(STRICT, True), (CHECKED, False)]
    found = {
        line: platform
        for some, strict in asked
        if some
        for platform in reversed(PLATFORMS)
        for line in complaints(some, platform, strict=strict)
    }
    for line, platform in found.items():
        say(line if platform == PLATFORMS[0] else f"{line}  [as on {platform}]")
    say(f"mypy: {len(found)} complaints" if found else "mypy: all well")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
