"""KJNodes' nodes that ours can stand in for, told to the host: it replaces those that are not installed."""

import logging
from dataclasses import dataclass

from comfy_api import latest
from comfy_api.latest import io

from . import ids
from .patch_fp16_accumulation import PatchFP16Accumulation
from .patch_sage_attention import PatchSageAttention
from .patch_torch_compile import PatchTorchCompile

log = logging.getLogger(__name__)

BLOCKS_ONLY = "compile_transformer_blocks_only"


@dataclass(frozen=True)
class Replacement:
    """One node of another pack and how ours takes its inputs.

    Attributes:
        old: Its id.
        new: Our node.
        widgets: The order of its widgets, by which a saved workflow keeps their values; none after the last
            that is wanted.
        inputs: Our input by its input. Only inputs that every version of the old node had: the host fails
            on one that a prompt lacks.
    """

    old: str
    new: type[io.ComfyNode]
    widgets: tuple[str, ...]
    inputs: dict[str, str]

    def input_mapping(self) -> list[dict]:
        """For the host, which gives our node the inputs that are named here and no others."""
        mapped = {ours: theirs for theirs, ours in self.inputs.items()}
        return [
            {"new_id": one.id, "old_id": mapped[one.id]}
            if one.id in mapped
            else {"new_id": one.id, "set_value": one.default}
            for one in self.new.define_schema().inputs
        ]


def _compile(old: str, *widgets: str) -> Replacement:
    """One of the compile nodes, which share their first inputs."""
    inputs = {name: name for name in ("model", "backend", "fullgraph", "mode", "dynamic")}
    if BLOCKS_ONLY in widgets:
        inputs[BLOCKS_ONLY] = "compile"
    return Replacement(old, PatchTorchCompile, ("backend", "fullgraph", "mode", *widgets), inputs)


def _retired(old: str) -> Replacement:
    """A compile node that KJNodes keeps as a name with nothing behind it and no input but the model."""
    return Replacement(old, PatchTorchCompile, (), {"model": "model"})


REPLACEMENTS = (
    Replacement(
        "PathchSageAttentionKJ",
        PatchSageAttention,
        ("sage_attention",),
        {"model": "model", "sage_attention": "kernel"},
    ),
    Replacement(
        "ModelPatchTorchSettings",
        PatchFP16Accumulation,
        ("enable_fp16_accumulation",),
        {"model": "model", "enable_fp16_accumulation": "enabled"},
    ),
    _compile("TorchCompileModelAdvanced", "dynamic", BLOCKS_ONLY),
    _compile("TorchCompileModelWanVideoV2", "dynamic", BLOCKS_ONLY),
    _compile("TorchCompileModelFluxAdvancedV2", "double_blocks", "single_blocks", "dynamic"),
    _retired("TorchCompileModelWanVideo"),
    _retired("TorchCompileModelFluxAdvanced"),
    _retired("TorchCompileModelQwenImage"),
    _retired("TorchCompileModelHyVideo"),
    _retired("TorchCompileCosmosModel"),
    _retired("TorchCompileLTXModel"),
)


async def register() -> None:
    """Tells the host, where it knows node replacement (0.13 on); never raises."""
    if not hasattr(io, "NodeReplace"):
        return
    try:
        host = latest.ComfyAPI().node_replacement
        for one in REPLACEMENTS:
            replacement = io.NodeReplace(
                new_node_id=ids.registered_id(one.new),
                old_node_id=one.old,
                old_widget_ids=list(one.widgets),
                input_mapping=one.input_mapping(),
                output_mapping=[{"new_idx": 0, "old_idx": 0}],
            )
            await host.register(replacement)
    except Exception as error:  # A convenience must not keep the nodes from loading.
        log.warning("SageKit: KJNodes' nodes are not replaced: %s: %s", type(error).__name__, error)
