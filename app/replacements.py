"""KJNodes' nodes that ours can stand in for, told to the host, whose page offers ours instead.

Not here, for ours would do something else, or only a part: its loaders, which patch what they load
(CheckpointLoaderKJ, DiffusionModelLoaderKJ, GGUFLoaderKJ); what compiles a VAE or a ControlNet
(TorchCompileVAE, TorchCompileControlNet), ours takes a MODEL; what computes another image
(LTX2AttentionTunerPatch, NABLA_AttentionKJ, Ideogram4OptimizationsKJ); what only spares memory
(MiniMaxLowVRAMAttention and the ChunkFeedForward nodes); and PatchModelPatcherOrder, which does nothing.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from comfy_api import latest
from comfy_api.latest import io

from ..core.attention import foreign_names
from ..core.compile import foreign_values
from ..machine.redaction import words_of
from ..nodes.patch_fp16_accumulation import PatchFP16Accumulation
from ..nodes.patch_sage_attention import PatchSageAttention
from ..nodes.patch_torch_compile import PatchTorchCompile
from . import ids
from .catalogue import LOG

log = logging.getLogger(__name__)

BLOCKS_ONLY = "compile_transformer_blocks_only"
OPTIONS = ("backend", "fullgraph", "mode", "dynamic")

# What another pack's value means as a value of an input of ours.
TRANSLATED = {
    "kernel": foreign_names.ours,
    "compile": foreign_values.compile_of,
    "dynamic": foreign_values.dynamic_of,
}


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
        sometimes: The same for inputs that only some of its versions had.
        settings: Values of inputs of ours, where the old node says nothing, that are not our defaults.
    """

    old: str
    new: type[io.ComfyNode]
    widgets: tuple[str, ...] = ()
    inputs: Mapping[str, str] = field(default_factory=lambda: {"model": "model"})
    sometimes: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, object] = field(default_factory=dict)

    def input_mapping(self) -> list[dict]:
        """For the host, which gives our node the inputs that are named here and no others."""
        mapped = {ours: theirs for theirs, ours in self.inputs.items()}
        values = self._values()
        return [
            {"new_id": one.id, "old_id": mapped[one.id]}
            if one.id in mapped
            else {"new_id": one.id, "set_value": values[one.id]}
            for one in self.new.define_schema().inputs
        ]

    def inputs_for(self, given: Mapping[str, object]) -> dict[str, object]:
        """The inputs of our node for those of the old one, whichever of them are there."""
        values = self._values()
        for theirs, ours in {**self.sometimes, **self.inputs}.items():
            if given.get(theirs) is not None:
                translate = TRANSLATED.get(ours, lambda value: value)
                values[ours] = translate(given[theirs])
        return values

    def _values(self) -> dict[str, object]:
        """What our inputs are where the old node says nothing; a socket is nothing then."""
        inputs = [one for one in self.new.define_schema().inputs if hasattr(one, "default")]
        return {one.id: one.default for one in inputs} | dict(self.settings)


def _compile(old: str, *widgets: str) -> Replacement:
    """One of the compile nodes, which share their first inputs."""
    inputs = {name: name for name in ("model", *OPTIONS)}
    if BLOCKS_ONLY in widgets:
        inputs[BLOCKS_ONLY] = "compile"
    return Replacement(old, PatchTorchCompile, ("backend", "fullgraph", "mode", *widgets), inputs)


def _retired(old: str) -> Replacement:
    """A compile node that KJNodes keeps as a name with nothing behind it and no input but the model."""
    once = {**{name: name for name in OPTIONS}, BLOCKS_ONLY: "compile"}
    return Replacement(old, PatchTorchCompile, sometimes=once)


def _sparing_memory(old: str) -> Replacement:
    """SageAttention's kernels in the attention of one architecture, with the fewest tensors at a time."""
    return Replacement(old, PatchSageAttention)


REPLACEMENTS = (
    Replacement(
        "PathchSageAttentionKJ",
        PatchSageAttention,
        ("sage_attention",),
        {"model": "model", "sage_attention": "kernel"},
    ),
    # Which FlashAttention it is depends on the machine there; here, the fastest that is as exact.
    Replacement("PatchFlashAttentionKJ", PatchSageAttention, settings={"quality": "exact"}),
    _sparing_memory("LTX2MemoryEfficientSageAttentionPatch"),
    _sparing_memory("WanVideoMemoryEfficientSageAttentionPatch"),
    _sparing_memory("MiniMaxH3MemoryEfficientSageAttentionPatch"),
    Replacement(
        "ModelPatchTorchSettings",
        PatchFP16Accumulation,
        ("enable_fp16_accumulation",),
        {"model": "model", "enable_fp16_accumulation": "enabled"},
        # Its default; ours is on, and that changes the image.
        settings={"enabled": False},
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


def is_known_to_the_host() -> bool:
    """Whether the host replaces nodes: from 0.13 on."""
    return hasattr(io, "NodeReplace")


async def register() -> None:
    """Tells the host, where it knows node replacement; never raises."""
    if not is_known_to_the_host():
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
        log.warning("SageKit: %s", LOG("nodes-not-replaced", error=words_of(error)))
