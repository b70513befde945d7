"""The child process of sampling.py: one model, the asked choices, one line of JSON for each.

ComfyUI and torch are imported inside the functions: only run_child knows where the host is.
"""

import argparse
import dataclasses
import importlib
import importlib.util
import itertools
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

PACK = Path(__file__).resolve().parent.parent
VERDICTS = "verdicts.json"
MARK = "@@"  # starts each line the child means for the parent; anything else is a library talking
SEED = 1


def say(kind: str, **facts: Any) -> None:
    print(MARK + json.dumps({"kind": kind, **facts}), flush=True)


def package_versions() -> dict[str, str]:
    """What the pack itself finds, which is more than what pip knows of."""
    load_package()
    packages = importlib.import_module("sagekit.kernels.families").installed()
    return {name: package.shown for name, package in packages.items()}


def environment(device: Any) -> dict[str, Any]:
    """What the numbers depend on, to print beside them."""
    import comfyui_version
    import torch

    on_gpu = device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name(device) if on_gpu else "CPU",
        "capability": ".".join(map(str, torch.cuda.get_device_capability(device))) if on_gpu else None,
        "torch": torch.__version__,
        "cuda": torch.version.cuda if on_gpu else None,
        "cudnn": torch.backends.cudnn.version() if on_gpu else None,
        "python": sys.version.split()[0],
        "comfyui": comfyui_version.__version__,
        "packages": package_versions(),
        "date": datetime.now(timezone.utc).date().isoformat(),
    }


def check_kernels(folder: Path, given: Path | None) -> str:
    """Put the verdicts of a kernel check run now, or the ones given, into a folder; returns what was said."""
    if given is not None:
        shutil.copyfile(given, folder / VERDICTS)
        return f"verdicts from {given}"
    command = [sys.executable, str(PACK / "kernels_check"), "--store", str(folder / VERDICTS)]
    check = subprocess.run(command, capture_output=True, text=True, check=False)
    return check.stdout + check.stderr


def load_package() -> None:
    """Load the pack as ComfyUI does, by its path: on sys.path its nodes/ would shadow ComfyUI's nodes."""
    if "sagekit" in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(
        "sagekit", PACK / "__init__.py", submodule_search_locations=[str(PACK)]
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules["sagekit"] = module
    spec.loader.exec_module(module)


def load_pack(verdicts: Path) -> None:
    """Load the pack with the verdicts that the parent's kernel check left, where it ran one."""
    load_package()
    session = importlib.import_module("sagekit.core.session").of_this_process()
    sought = importlib.import_module("sagekit.kernels.families").sought()
    machine = importlib.import_module("sagekit.machine")
    session.proofs.read(verdicts, machine.read_environment(sought))


def parts_of(name: str) -> tuple[str, bool, bool]:
    """A choice behind its colon, as (attention, compiles, fp16): "auto+fp16" is ("auto", False, True).

    Names of kernels have plus signs of their own.
    """
    words = name.split("+")
    attention = "+".join(word for word in words if word not in ("compile", "fp16"))
    return attention, "compile" in words, "fp16" in words


def patch_with_kjnodes(model: Any, name: str, folder: Path | None) -> Any:
    """Patch with KJNodes' nodes; its __init__ imports far more than those, so it is left out."""
    if folder is None:
        raise ValueError("a kj: choice needs --kjnodes")
    if "kjnodes" not in sys.modules:
        package = types.ModuleType("kjnodes")
        package.__path__ = [str(folder)]
        sys.modules["kjnodes"] = package
    module = importlib.import_module("kjnodes.nodes.model_optimization_nodes")
    attention, compiles, fp16 = parts_of(name)
    if attention:
        model = module.PathchSageAttentionKJ().patch(model, attention)[0]
    if fp16:
        model = module.ModelPatchTorchSettings().patch(model, True)[0]
    if compiles:
        # Its own defaults throughout.
        model = module.TorchCompileModelAdvanced().patch(
            model, "inductor", False, "default", "false", 64, True, False
        )[0]
    return model


def patch_with_core(model: Any, name: str) -> Any:
    """Patch with the host's own nodes; one takes PyTorch for a name it lacks: here that is an error."""
    attention, compiles, fp16 = parts_of(name)
    if fp16:
        raise ValueError("the host has FP16 accumulation as a launch flag only")
    if attention:
        node = importlib.import_module("comfy_extras.nodes_model_advanced").ModelAttentionBackend
        offered = node.INPUT_TYPES()["required"]["attention"][0]
        if attention not in offered:
            raise ValueError(f"the host offers {', '.join(offered)}, not {attention}")
        model = node().patch(model, attention)[0]
    if compiles:
        node = importlib.import_module("comfy_extras.nodes_torch_compile").TorchCompileModel
        model = node.execute(model, "inductor").args[0]
    return model


def patch_with_ours(model: Any, name: str, arguments: argparse.Namespace) -> Any:
    """Patch with the nodes of this pack, their other inputs at their defaults."""
    load_pack(arguments.reference.with_name(VERDICTS))
    attention, compiles, fp16 = parts_of(name)
    if attention:
        node = importlib.import_module("sagekit.nodes.patch_sage_attention").PatchSageAttention
        model = node.execute(model=model, kernel=attention, quality=arguments.quality).args[0]
    if fp16:
        node = importlib.import_module("sagekit.nodes.patch_fp16_accumulation").PatchFP16Accumulation
        model = node.execute(model=model).args[0]
    if compiles:
        node = importlib.import_module("sagekit.nodes.patch_torch_compile").PatchTorchCompile
        model = node.execute(model=model).args[0]
    return model


def is_ours(choice: str) -> bool:
    """Whether a choice runs nodes of this pack: `ours:...`, or the bare name of a kernel."""
    return choice != "plain" and choice.partition(":")[0] not in ("core", "kj")


def patch(model: Any, choice: str, arguments: argparse.Namespace) -> Any:
    if choice == "plain":
        return model
    family, _, name = choice.partition(":")
    if name and family == "core":
        return patch_with_core(model, name)
    if name and family == "kj":
        return patch_with_kjnodes(model, name, arguments.kjnodes)
    return patch_with_ours(model, name if family == "ours" else choice, arguments)


def forget_compiled_code(choice: str) -> None:
    """Nothing that an earlier choice compiled serves this one, on disk or in memory."""
    if "compile" not in choice:
        return
    import torch
    from torch._inductor.utils import clear_inductor_caches

    folder = tempfile.mkdtemp(prefix="bench-")
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder
    os.environ["TRITON_CACHE_DIR"] = str(Path(folder) / "triton")
    torch._dynamo.reset()
    clear_inductor_caches()
    if "sagekit" in sys.modules:
        importlib.import_module("sagekit.core.compile.compiled").forget()


def calls_of(model: Any) -> dict[str, int] | None:
    """The attention calls of the model's last sampling, by kernel; None where no patch of ours counted."""
    if "sagekit_attention" not in model.model_options["transformer_options"]:
        return None
    run = importlib.import_module("sagekit.core.session").of_this_process().runs.ended()[-1]
    return run["kernels"] | {f"host: {reason}": calls for reason, calls in run["fallbacks"].items()}


def sample(architecture: Any, model: Any, steps: int, on_step: Callable[..., None] | None = None) -> Any:
    """One sampling with euler on the simple schedule, from noise to the final latent."""
    import architectures
    import comfy.sample
    import torch

    latent = torch.zeros(architecture.latent)
    with torch.inference_mode():  # as the host's executor does
        return comfy.sample.sample(
            model,
            comfy.sample.prepare_noise(latent, SEED),
            steps,
            architecture.cfg,
            "euler",
            "simple",
            architectures.conditioning(architecture, SEED),
            architectures.conditioning(architecture, SEED + 1),
            latent,
            callback=on_step,
            disable_pbar=True,
            seed=SEED,
        )


def timed_steps(
    architecture: Any, model: Any, steps: int, wait: Callable[[], None], every: bool = True
) -> tuple[list[float], Any]:
    """When each step of one sampling was done, in seconds, or the first and the last one; and its latent."""
    readings: list[float] = []

    def on_step(number: int, *_: Any) -> None:
        if every or number in (0, steps - 1):
            wait()
            readings.append(time.perf_counter())

    return readings, sample(architecture, model, steps, on_step)


def measure(
    architecture: Any, model: Any, arguments: argparse.Namespace, device: Any
) -> tuple[dict[str, Any], Any]:
    """Times in milliseconds and the final latent. The warm-up is a sampling of one step, timed as a whole."""
    import torch

    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    wait()
    begin = time.perf_counter()
    sample(architecture, model, 1)
    wait()
    first = time.perf_counter() - begin
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    intervals, flowing = [], []
    for _ in range(arguments.repeats):
        readings, latent = timed_steps(architecture, model, arguments.steps, wait)
        intervals += [1000 * (late - early) for early, late in itertools.pairwise(readings)]
        begin, end = timed_steps(architecture, model, arguments.steps, wait, every=False)[0]
        flowing.append(1000 * (end - begin) / (arguments.steps - 1))
    peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
    facts = {
        "first_ms": 1000 * first,
        "step_ms": statistics.median(intervals),
        "steps_ms": intervals,
        "flowing_ms": statistics.median(flowing),
        "peak": peak,
    }
    return facts, latent.float().cpu()


def compare(latent: Any, reference: Path) -> dict[str, Any]:
    """Whether the latent is finite, and its relative L2 error against the one that the first plain left."""
    import torch

    if not reference.exists():
        torch.save(latent, reference)
    plain = torch.load(reference).double()
    error = (torch.linalg.vector_norm(latent.double() - plain) / torch.linalg.vector_norm(plain)).item()
    finite = bool(torch.isfinite(latent).all())
    return {"error": error if math.isfinite(error) else None, "finite": finite}


def leave_if_device_is_lost(device: Any) -> None:
    """End the child where a kernel left the CUDA context unusable; the parent starts the next one."""
    import torch

    if device.type != "cuda":
        return
    try:
        torch.cuda.synchronize(device)
        torch.cuda.empty_cache()
    except RuntimeError:
        sys.stdout.flush()
        os._exit(1)


def run_child(arguments: argparse.Namespace, choices: list[str]) -> None:
    """Build the model once and run the asked turns, one line of JSON for each."""
    sys.path.insert(0, str(arguments.comfyui))
    from comfy.cli_args import args as host_flags

    host_flags.cpu = arguments.device == "cpu"
    import architectures
    import comfy.model_management

    device = comfy.model_management.get_torch_device()
    architecture = architectures.ARCHITECTURES[arguments.child](arguments.tiny)
    if arguments.cfg is not None:
        about = f"{architecture.about}, sampled with cfg {arguments.cfg:g}"
        architecture = dataclasses.replace(architecture, cfg=arguments.cfg, about=about)
    about = f"Tiny variant of {architecture.about}" if arguments.tiny else architecture.about
    say("environment", about=about, environment=environment(device))
    model = architectures.build(architecture, device, SEED)
    for turn in map(int, arguments.turns.split(",")):
        say("start", turn=turn)
        try:
            forget_compiled_code(choices[turn])
            patched = patch(model, choices[turn], arguments)
            facts, latent = measure(architecture, patched, arguments, device)
            if choices[turn] == "plain" or arguments.reference.exists():
                facts |= compare(latent, arguments.reference)
            say("row", turn=turn, calls=calls_of(patched), **facts)
        except Exception as failure:  # whatever a kernel raises is that choice's result
            text = " ".join(f"{type(failure).__name__}: {failure}".split())
            say("row", turn=turn, failure=text[:400])
            leave_if_device_is_lost(device)
