"""The node that gives a model the fastest attention kernel its calls can use."""

from comfy_api.latest import io

from ..core import session
from ..core.attention import foreign_names
from ..core.attention.model import patch_model
from ..core.attention.settings import AUTO, OFF, Settings
from ..kernels.families import backends
from ..kernels.select import BUDGETS, DEFAULT_QUALITY
from . import values
from ._common import advanced, node_id

MOST_BLOCKS = 1000


class PatchSageAttention(io.ComfyNode):
    """Patches the MODEL that passes through; removed or bypassed, nothing of it is left."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PatchSageAttention",
            display_name="Patch Sage Attention",
            category="SageKit",
            description=(
                "Runs this model's attention on the kernel chosen here wherever that kernel can do the call "
                "exactly enough, and on ComfyUI's own attention everywhere else. No launch flag is needed, "
                "and the order among LoRA, compile and sampling nodes does not matter."
            ),
            inputs=[
                io.Model.Input("model", tooltip="The model to patch. Other models stay as they are."),
                io.Combo.Input(
                    "kernel",
                    optional=True,
                    options=[AUTO, OFF, *backends()],
                    default=AUTO,
                    tooltip=(
                        "auto: the fastest kernel for each size of call, measured on your GPU once. "
                        "off: ComfyUI's own attention, even under --use-sage-attention and the like. "
                        "A name: that kernel wherever it can run; elsewhere ComfyUI's own, and the node "
                        "says why."
                    ),
                ),
                io.Combo.Input(
                    "quality",
                    optional=True,
                    options=list(BUDGETS),
                    default=DEFAULT_QUALITY,
                    tooltip=(
                        "How far a kernel may be from exact attention on this model: exact allows rounding "
                        "only, balanced an error of 5 %, fast of 10 %. A named kernel is held to it, too."
                    ),
                ),
                *_ranges(),
            ],
            outputs=[io.Model.Output(display_name="model")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def validate_inputs(cls, kernel: str = "", quality: str = "") -> bool:
        """Accepts names that this version does not know, so that workflows of later versions run."""
        return True

    @classmethod
    def execute(
        cls,
        model,
        kernel: str = AUTO,
        quality: str = DEFAULT_QUALITY,
        start_percent: float = 0.0,
        end_percent: float = 1.0,
        exact_first_blocks: int = 0,
        exact_last_blocks: int = 0,
        **later: object,  # Inputs that this version does not know come over a link.
    ) -> io.NodeOutput:
        settings = Settings(
            kernel=values.name(foreign_names.ours(kernel)),
            quality=values.name(quality),
            start_percent=values.number(start_percent, 0.0, 1.0, default=0.0),
            end_percent=values.number(end_percent, 0.0, 1.0, default=1.0),
            exact_first_blocks=int(values.number(exact_first_blocks, 0, MOST_BLOCKS, default=0)),
            exact_last_blocks=int(values.number(exact_last_blocks, 0, MOST_BLOCKS, default=0)),
            node_id=node_id(cls),
        )
        return io.NodeOutput(patch_model(model, settings, session.of_this_process()))


def _ranges() -> list:
    """The advanced inputs: where to stay exact."""
    percent = {"min": 0.0, "max": 1.0, "step": 0.01}
    blocks = {"default": 0, "min": 0, "max": MOST_BLOCKS}
    return [
        advanced(
            io.Float.Input,
            "start_percent",
            default=0.0,
            tooltip="Before this part of the sampling, only exact kernels run.",
            **percent,
        ),
        advanced(
            io.Float.Input,
            "end_percent",
            default=1.0,
            tooltip="After this part of the sampling, only exact kernels run.",
            **percent,
        ),
        advanced(
            io.Int.Input,
            "exact_first_blocks",
            tooltip="So many blocks at the start of the model run exact kernels only. Models that do not "
            "number their blocks (SD1.5, SDXL) are not affected; the report says so.",
            **blocks,
        ),
        advanced(
            io.Int.Input,
            "exact_last_blocks",
            tooltip="The same for blocks at the end of the model, where errors show first.",
            **blocks,
        ),
    ]
