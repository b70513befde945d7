"""Writers that are killed at any moment: what was kept before is whole, and the next one writes on."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sagekit.check import verdicts
from sagekit.core.attention.routes import FILE_NAME, Times

ROOT = Path(__file__).resolve().parents[2]
# Writes for ever, as a server does that checks kernels and measures calls; says so once it does.
WRITER = """
import importlib.util, itertools, pathlib, sys
root, folder, name = sys.argv[1:]
spec = importlib.util.spec_from_file_location(
    "sagekit", root + "/__init__.py", submodule_search_locations=[root]
)
sys.modules["sagekit"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["sagekit"])
from sagekit.check import verdicts
from sagekit.core.attention.routes import FILE_NAME, Times
folder = pathlib.Path(folder)
times = Times()
times.read(folder / FILE_NAME, "machine")
for number in itertools.count():
    verdict = verdicts.Verdict(verdicts.OK, 0.01, "x" * 1900)
    stored = verdicts.Stored("machine").with_verdicts("GPU", {f"{name} {number % 3}": verdict})
    assert verdicts.write(folder / "verdicts.json", stored) == ""
    times.add("GPU", f"{name} {number % 3}", {"sdpa": 1.0 + number})
    times.save()
    if number == 1:
        print("writes", flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows knows no SIGKILL; its kill is tried by hand")
def test_whatever_is_killed_nothing_kept_is_lost_or_damaged(attack, tmp_path):
    chance, folder = attack.random, tmp_path / "sagekit"
    seen: set[str] = set()
    for number in range(attack.times(4, 254)):
        command = [sys.executable, "-c", WRITER, str(ROOT), str(folder), f"writer-{number}"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "writes\n"
        time.sleep(chance.random() * 0.2)
        process.kill()
        process.wait()
        process.stdout.close()
        attack.tried("kills")
        stored, remark = verdicts.read(folder / "verdicts.json")
        assert remark == "" and stored is not None, f"kill {number}: {remark}"
        now = set(stored.of("GPU"))
        assert now >= seen, f"kill {number}: verdicts of an earlier writer are gone"
        seen = now
        times = Times()
        times.read(folder / FILE_NAME, "machine")
        assert times.remarks == [] and times.of("GPU", f"writer-{number} 0"), (
            f"kill {number}: {times.remarks}"
        )
    # What the killed left half written is no more than one file each, and goes when it is old.
    left = [file for file in folder.iterdir() if file.name not in ("verdicts.json", FILE_NAME, "lock")]
    assert len(left) <= 2 * attack.times(4, 254)
