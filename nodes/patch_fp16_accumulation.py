"""The node that lets a model's float16 multiplications add up in float16."""

from comfy_api.latest import io

from ..core import fp16_accumulation, session
from . import values
from ._common import node_id


class PatchFP16Accumulation(io.ComfyNode):
    """Patches the MODEL that passes through; removed or bypassed, nothing of it is left."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PatchFP16Accumulation",
            display_name="Patch FP16 Accumulation",
            category="SageKit",
            description=(
                "Lets this model's float16 matrix multiplications add up in float16, which GeForce GPUs do "
                "faster and a little less exactly. The setting holds while this model runs and for nothing "
                "else; no launch flag is needed."
            ),
            inputs=[
                io.Model.Input("model", tooltip="The model to patch. Other models stay as they are."),
                io.Boolean.Input(
                    "enabled",
                    optional=True,
                    default=True,
                    tooltip=(
                        "On: float16 accumulation while this model runs; the node says when that can change "
                        "nothing. Off: none while this model runs, even under --fast fp16_accumulation."
                    ),
                ),
            ],
            outputs=[io.Model.Output(display_name="model")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(
        cls,
        model,
        enabled: bool = True,
        **later: object,  # Inputs that this version does not know come over a link.
    ) -> io.NodeOutput:
        here = session.of_this_process()
        return io.NodeOutput(fp16_accumulation.patch_model(model, values.yes(enabled), here, node_id(cls)))
