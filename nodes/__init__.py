"""The nodes, one file each."""

from comfy_api.latest import ComfyExtension, io

from .. import web_api
from ..patches.attention.host import background
from . import replacements
from .patch_fp16_accumulation import PatchFP16Accumulation
from .patch_sage_attention import PatchSageAttention
from .patch_torch_compile import PatchTorchCompile


class SageKitExtension(ComfyExtension):
    """What ComfyUI loads from this pack."""

    async def on_load(self) -> None:
        await replacements.register()

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        # Here rather than in on_load, which hosts before 0.13 never call.
        web_api.register()
        background.start()
        return [PatchSageAttention, PatchTorchCompile, PatchFP16Accumulation]
