"""Starts of a real ComfyUI beside packages that fail as nobody foresaw, and files that anything wrote."""

import os

import pytest
from support import base_directory, host, kernel_packages, server
from support.kernel_packages import FAULTS

PACKAGES = ("sageattention", "sageattn3", "flash_attn", "xformers", "xformers.ops")
SETS_THE_END = "something at the end"
# Beyond what the check was written for.
UNFORESEEN = {
    "an error of its own": "class Odd(BaseException):\n    pass\n\n\nraise Odd('x')\n",
    "without an end": "def down():\n    down()\n\n\ndown()\n",
    "an error without words": "class E(Exception):\n    def __str__(self):\n        raise E\n\n\nraise E\n",
    "a module that answers anything": "def __getattr__(name):\n    raise RuntimeError(name)\n",
    SETS_THE_END: "import atexit, os\natexit.register(os._exit, 3)\n",
    "other settings": "import sys\nsys.setrecursionlimit(10**6)\nsys.stdout = None\nraise OSError\n",
    "a thread that ends all": "import os, threading\nthreading.Timer(0.2, os.abort).start()\n",
    "noise": (
        "print('\\x00\\x1b[2J{}' * 9)\nimport os\n"
        'os.write(1, b\'{"verdict": "ok"}\\n\' * 99)\nraise ValueError\n'
    ),
    "a fork": "import os\nif hasattr(os, 'fork') and os.fork() == 0:\n    os._exit(0)\nraise KeyError\n",
    "not Python": "\\x00\\xff",
}
FILES = ("verdicts.json", "routes.json", "places.json")
DAMAGE = (
    b"",
    b"{",
    b"[" * 100_000,
    b'{"format": 1, "fingerprint": 1e999, "verdicts": {"x": NaN}}',
    b'{"format": ' + b"9" * 5000 + b"}",
    b"null",
    bytes(range(256)),
)


@pytest.mark.parametrize("oldest", [False, True], ids=["newest", "oldest"])
def test_comfyui_starts_whatever_is_installed_beside_it(attack, tmp_path, oldest):
    if reason := host.reason_to_skip(oldest):
        pytest.skip(reason)
    folder, chance = (host.find_oldest() if oldest else host.find()).folder, attack.random
    foreseen = [fault for fault in FAULTS if fault != "hang"]
    for number in range(attack.times(1, 43)):
        base = base_directory.prepare(tmp_path / str(number))
        packages = base / "kernel_packages"
        chosen = chance.sample(PACKAGES, chance.randrange(1, 4))
        faults = {}
        for name in chosen:
            if chance.random() < 0.5:
                faults[name] = chance.choice(foreseen)
                kernel_packages.write_broken(packages, {name: faults[name]})
            else:
                faults[name] = chance.choice(sorted(UNFORESEEN))
                module, _, part = name.partition(".")
                target = packages / module / (f"{part}.py" if part else "__init__.py")
                target.parent.mkdir(parents=True, exist_ok=True)
                (target.parent / "__init__.py").touch()
                target.write_text(UNFORESEEN[faults[name]], encoding="utf-8")
        kept = base / "user" / "sagekit"
        kept.mkdir(parents=True, exist_ok=True)
        for file in chance.sample(FILES, chance.randrange(0, 3)):
            if os.name != "nt" and chance.random() < 0.2:
                os.mkfifo(kept / file)
            else:
                (kept / file).write_bytes(chance.choice(DAMAGE))
        flags = chance.choice([(), ("--use-sage-attention",), ("--use-flash-attention",)])
        environment = {"PYTHONPATH": str(packages), "SAGEKIT_IMPORT_LIMIT": "20"}
        code, log = server.start_and_end(folder, base, *flags, environment=environment)
        attack.tried("starts")
        where = f"start {number}: {faults} {flags}"
        # A sound package may have the process end as it likes, with us or without.
        ends = {0, 3} if SETS_THE_END in faults.values() else {0}
        assert code in ends, f"{where}: ended with code {code}\n{log[-3000:]}"
        assert "Import times for custom nodes" in log, f"{where}\n{log[-3000:]}"
        assert "IMPORT FAILED" not in log, f"{where}\n{log[-3000:]}"
