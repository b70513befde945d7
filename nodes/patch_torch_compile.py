"""The node that has a model's blocks run compiled."""

from comfy_api.latest import io

from ..core import session
from ..core.compile import Settings, foreign_values, patch_model
from ..core.compile.settings import BACKENDS, BLOCKS, DYNAMIC, MODES, WHOLE
from . import values
from ._common import advanced, node_id


class PatchTorchCompile(io.ComfyNode):
    """Patches the MODEL that passes through; removed or bypassed, nothing of it is left."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PatchTorchCompile",
            display_name="Patch Torch Compile",
            category="SageKit",
            description=(
                "Compiles this model's transformer blocks with torch.compile. The first steps take longer. "
                "LoRAs work, and changing their strength compiles nothing. Where compiling cannot work, the "
                "model runs uncompiled and the node says why."
            ),
            inputs=[
                io.Model.Input("model", tooltip="The model to patch. Other models stay as they are."),
                io.Combo.Input(
                    "compile",
                    optional=True,
                    options=[BLOCKS, WHOLE],
                    default=BLOCKS,
                    tooltip=(
                        "blocks: one graph serves all blocks of a kind, so compiling is short. whole model: "
                        "one graph for everything; takes much longer and rarely runs faster."
                    ),
                ),
                io.Combo.Input(
                    "dynamic",
                    optional=True,
                    options=list(DYNAMIC),
                    default="auto",
                    tooltip=(
                        "auto: compiled for the first size, then once more for any size. true: for any size "
                        "from the start. false: anew for every size, frame count and prompt length."
                    ),
                ),
                *_advanced_inputs(),
            ],
            outputs=[io.Model.Output(display_name="model")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def validate_inputs(cls, compile: str = "", dynamic: str = "", backend: str = "", mode: str = "") -> bool:
        """Accepts names that this version does not know, so that workflows of later versions run."""
        return True

    @classmethod
    def execute(
        cls,
        model,
        compile: str = BLOCKS,
        dynamic: str = "auto",
        backend: str = BACKENDS[0],
        mode: str = MODES[0],
        fullgraph: bool = False,
        cache: bool = True,
        **later: object,  # Inputs that this version does not know come over a link.
    ) -> io.NodeOutput:
        settings = Settings(
            compile=values.name(foreign_values.compile_of(compile)),
            dynamic=values.name(foreign_values.dynamic_of(dynamic)),
            backend=values.name(backend),
            mode=values.name(mode),
            fullgraph=values.yes(fullgraph),
            cache=values.yes(cache),
        )
        return io.NodeOutput(patch_model(model, settings, session.of_this_process(), node_id(cls)))


def _advanced_inputs() -> list:
    return [
        advanced(
            io.Combo.Input,
            "backend",
            options=list(BACKENDS),
            default=BACKENDS[0],
            tooltip=(
                "inductor: fuses operations into new kernels. eager: takes the graph and runs it as it is, "
                "no faster, to see whether a fault comes from inductor."
            ),
        ),
        advanced(
            io.Combo.Input,
            "mode",
            options=list(MODES),
            default=MODES[0],
            tooltip=(
                "Of inductor. default: short to compile. max-autotune-no-cudagraphs: also times several "
                "kernels for each multiplication, which takes minutes."
            ),
        ),
        advanced(
            io.Boolean.Input,
            "fullgraph",
            default=False,
            tooltip=(
                "On: a block that cannot be taken as one graph keeps the model uncompiled, and the node says "
                "so. Off: it is taken in parts."
            ),
        ),
        advanced(
            io.Boolean.Input,
            "cache",
            default=True,
            tooltip=(
                "On: compiled code is kept in ComfyUI's user folder under sagekit/tc for the next start. "
                "Off: wherever torch keeps it, its temporary folder by default."
            ),
        ),
    ]
