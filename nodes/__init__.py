"""The nodes, one file each."""

from comfy_api.latest import ComfyExtension, io

from .. import web_api
from ..patches.attention.host import background
from . import ids, prompts, replacements
from .patch_fp16_accumulation import PatchFP16Accumulation
from .patch_sage_attention import PatchSageAttention
from .patch_torch_compile import PatchTorchCompile

NODES = (PatchSageAttention, PatchTorchCompile, PatchFP16Accumulation)


class SageKitExtension(ComfyExtension):
    """What ComfyUI loads from this pack."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        # Here rather than in on_load, which hosts before 0.13 never call.
        pages = {ids.own_id(node): ids.plain_id(node) for node in NODES}
        web_api.register(lambda: ids.taken(NODES), pages)
        web_api.when_all_packs_are_loaded(_look_at_ids)
        prompts.watch()
        background.start()
        return ids.under_both_ids(NODES)


async def _look_at_ids() -> None:
    """A pack that is loaded after this one may take an id."""
    ids.tell(NODES)
    await replacements.register()
