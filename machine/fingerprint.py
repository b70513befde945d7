"""One short name for everything that can change a verdict."""

import hashlib
import json

from .environment import Environment


def fingerprint(environment: Environment) -> str:
    """The same as long as every verdict found here still holds.

    It is made of what a start reads without torch, so that a value that torch has filled in
    (``with_gpus_from_torch``) has the same one. The host and its options are not in it: a kernel is
    checked without them. Nor is which of the GPUs are visible, or in what order: what was found is kept by
    the GPU that it was found on, for all servers of this machine.
    """
    python, torch, driver = environment.python, environment.torch, environment.driver
    facts = {
        "pack": [environment.pack.version, environment.pack.code],
        # Triton compiles with the headers; compiled modules are made for one Python.
        "python": python and [python.tag, python.machine, python.has_headers],
        "system": [environment.system, environment.wsl],
        "torch": torch and [torch.version, torch.build, torch.cuda, torch.rocm, torch.xpu, torch.commit],
        "driver": driver and [driver.version, sorted(driver.gpus), driver.store],
        "packages": {
            name: [package.full_version, package.copies, package.files]
            for name, package in environment.packages.items()
            if name != "torch"
        },
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:20]
