"""What the pack costs a start of ComfyUI: the startup hook with stored verdicts, and the pack's import.

    python bench/startup.py [--comfyui DIR] [--starts 10]

Each reading is a process of its own. The hook is timed as ComfyUI runs it, after folder_paths and the
command line are loaded and before torch; the import after the host's own nodes are loaded, as ComfyUI's
"import times" line has it; both with their bytecode kept, as Python does by itself. Budgets: 50 ms and
300 ms, with no kernel package loaded by either.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

PACK = Path(__file__).resolve().parent.parent

_HOOK = """
import json, os, runpy, sys, time
sys.argv = ["main.py", "--cpu", "--use-sage-attention", "--base-directory", sys.argv[1]]
import comfy.options
comfy.options.enable_args_parsing()
import folder_paths, comfy.cli_args
for _ in range(2):
    for name in [name for name in sys.modules if name.startswith("sagekit")]:
        del sys.modules[name]
    begin = time.perf_counter()
    runpy.run_path(os.environ["SAGEKIT_HOOK"])
    taken = 1000 * (time.perf_counter() - begin)
print(json.dumps({"ms": taken, "torch": "torch" in sys.modules}))
"""
_FIRST = _HOOK.replace("range(2)", "range(1)")

_IMPORT = """
import asyncio, importlib.util, json, os, sys, time
sys.argv = ["main.py", "--cpu", "--base-directory", sys.argv[1]]
import comfy.options
comfy.options.enable_args_parsing()
import nodes, comfy_api.latest, server
before = set(sys.modules)
begin = time.perf_counter()
folder = os.environ["SAGEKIT_PACK"]
spec = importlib.util.spec_from_file_location("sagekit", folder + "/__init__.py",
                                              submodule_search_locations=[folder])
module = importlib.util.module_from_spec(spec)
sys.modules["sagekit"] = module
spec.loader.exec_module(module)
async def load():
    extension = await module.comfy_entrypoint()
    return await extension.get_node_list()
loaded = asyncio.run(load())
ms, new = 1000 * (time.perf_counter() - begin), set(sys.modules) - before
from sagekit.kernels.families import sought
kernels = {one.module.name for one in sought().distributions}
print(json.dumps({"ms": ms, "nodes": len(loaded), "kernels": sorted(kernels & new)}))
"""


def reading(code: str, comfyui: Path, base: Path) -> dict:
    """One process; its last line is the reading."""
    environment = os.environ | {
        "PYTHONPATH": str(comfyui),
        "SAGEKIT_HOOK": str(PACK / "prestartup_script.py"),
        "SAGEKIT_PACK": str(PACK),
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    child = subprocess.run(
        [sys.executable, "-c", code, str(base)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        cwd=comfyui,
    )
    if child.returncode:
        raise SystemExit(child.stderr[-2000:])
    return json.loads(child.stdout.strip().splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--comfyui", type=Path, default=os.environ.get("COMFYUI_DIR"))
    parser.add_argument("--starts", type=int, default=10)
    options = parser.parse_args()
    comfyui = (options.comfyui or Path.home() / "comfy" / "ComfyUI").resolve()
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        (base / "user").mkdir()
        first = reading(_FIRST, comfyui, base)
        hooks = [reading(_FIRST, comfyui, base) for _ in range(options.starts)]
        again = [reading(_HOOK, comfyui, base) for _ in range(3)]
        imports = [reading(_IMPORT, comfyui, base) for _ in range(options.starts)]
    rows = {
        "hook, first start of all": [first["ms"]],
        "hook, stored verdicts": [one["ms"] for one in hooks],
        "hook, a second time in one process": [one["ms"] for one in again],
        "import of the pack": [one["ms"] for one in imports],
    }
    for name, times in rows.items():
        print(f"{name:40} median {statistics.median(times):7.1f} ms   max {max(times):7.1f} ms")
    print(f"torch loaded by the hook: {any(one['torch'] for one in hooks)}")
    print(f"kernel packages loaded by the import: {sorted({k for one in imports for k in one['kernels']})}")


if __name__ == "__main__":
    main()
