"""What models leave in the process that were compiled, sampled and unloaded: objects, bytes, graphs.

    python bench/unloaded_models.py --comfyui DIR [--models 10] [--side ours|core|plain] [--backend eager]
        [--attention]

Each model is another one, a tiny Wan whose blocks have a size of their own, loaded by the host's own loader
and sampled on the CPU: with our compile node, with ComfyUI's own, or without any; with --attention, with
Patch Sage Attention as well. What is printed is what the second half of them leaves, for each model,
and what there is in the end. From its eighth size on, ComfyUI's node compiles nothing more.
"""

import argparse
import gc
import sys
from pathlib import Path

import psutil
import torch

PACK = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(PACK / "tests"), str(PACK / "bench")]


def weights(number: int) -> dict[str, torch.Tensor]:
    """A tiny Wan that no other number gives."""
    from support import tiny_models

    shapes = tiny_models.wan_shapes()
    inner, wide = 2 * tiny_models.WIDTH, 2 * tiny_models.WIDTH + 16 * number
    changed = {
        name: tuple(wide if size == inner else size for size in shape) if ".ffn." in name else shape
        for name, shape in shapes.items()
    }
    return tiny_models.random_weights(changed, number)


def compiled(model, side: str, backend: str):
    if side == "ours":
        from sagekit.core.compile import Settings, patch_model
        from sagekit.core.session import of_this_process

        return patch_model(model, Settings(backend=backend), of_this_process())
    if side == "core":
        from comfy_api.torch_helpers import set_torch_compile_wrapper
        from comfy_extras import nodes_torch_compile as nodes

        wrapped = model.clone()
        guards = getattr(nodes, "skip_torch_compile_dict", None)
        blocks = [f"diffusion_model.blocks.{number}" for number in range(2)]
        set_torch_compile_wrapper(
            model=wrapped, backend=backend, keys=blocks, options={"guard_filter_fn": guards} if guards else {}
        )
        return wrapped
    return model


def run(number: int, side: str, backend: str, attention: bool) -> None:
    """One model from its loading to its end."""
    import comfy.model_management
    import comfy.sd
    from support.sampling import sample

    model = comfy.sd.load_diffusion_model_state_dict(weights(number))
    if attention:
        from sagekit.core.attention.model import patch_model
        from sagekit.core.attention.settings import Settings
        from sagekit.core.session import of_this_process

        model = patch_model(model, Settings("auto"), of_this_process())
    sample(compiled(model, side, backend))
    del model
    comfy.model_management.unload_all_models()
    comfy.model_management.cleanup_models_gc()


def counted() -> dict[str, int]:
    """What there is in the process at this moment."""
    gc.collect()
    gc.collect()
    return {
        "objects": len(gc.get_objects()),
        "bytes": psutil.Process().memory_info().rss,
        "models": sum(type(one).__name__ == "WAN21" for one in gc.get_objects()),
        "guards of graphs": sum(type(one).__name__ == "CheckFunctionManager" for one in gc.get_objects()),
        "graphs": sum(isinstance(one, torch.fx.GraphModule) for one in gc.get_objects()),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--comfyui", required=True)
    parser.add_argument("--models", type=int, default=10)
    parser.add_argument("--side", default="ours")
    parser.add_argument("--backend", default="eager")
    parser.add_argument("--attention", action="store_true")
    asked = parser.parse_args()
    sys.path.insert(0, asked.comfyui)
    sys.argv[1:] = []
    from comfy.cli_args import args

    args.cpu = True
    import sampling_child

    sampling_child.load_package()
    torch.set_num_threads(1)
    with torch.inference_mode():
        for number in range(asked.models // 2):
            run(number, asked.side, asked.backend, asked.attention)
        before = counted()
        for number in range(asked.models // 2, asked.models):
            run(number, asked.side, asked.backend, asked.attention)
        after = counted()
    count = asked.models - asked.models // 2
    for name, there in after.items():
        each = (there - before[name]) / count
        sys.stdout.write(f"{name}: {each:,.0f} for each model, {there:,} in the end\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
