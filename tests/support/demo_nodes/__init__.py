"""What core lacks to sample without a text encoder or a VAE: only for the demo and the tests."""

import torch
from comfy_api.latest import ComfyExtension, io

CATEGORY = "SageKit demo"


class DemoConditioning(io.ComfyNode):
    """Random conditioning of a given size, the same for the same seed."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DemoConditioning",
            display_name="Random conditioning (demo)",
            category=CATEGORY,
            inputs=[
                io.Int.Input("seed", default=0, min=0, max=2**31),
                io.Int.Input("tokens", default=32, min=1, max=4096),
                io.Int.Input("width", default=4096, min=1, max=16384),
                io.Int.Input("pooled_width", default=64, min=1, max=16384),
            ],
            outputs=[io.Conditioning.Output()],
        )

    @classmethod
    def execute(cls, seed, tokens, width, pooled_width) -> io.NodeOutput:
        generator = torch.Generator().manual_seed(seed)
        cond = torch.randn(1, tokens, width, generator=generator)
        pooled = torch.randn(1, pooled_width, generator=generator)
        return io.NodeOutput([[cond, {"pooled_output": pooled}]])


class DemoPicture(io.ComfyNode):
    """A latent as a picture: the first frame, its channels mixed into red, green and blue.

    No VAE: a random one shows no more than this does, and only newer hosts decode one frame of a video
    latent with a small one.
    """

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DemoPicture",
            display_name="Latent as a picture (demo)",
            category=CATEGORY,
            inputs=[io.Latent.Input("samples")],
            outputs=[io.Image.Output()],
        )

    @classmethod
    def execute(cls, samples) -> io.NodeOutput:
        latent = samples["samples"].float().cpu()
        if latent.ndim == 5:
            latent = latent[:, :, 0]
        mix = torch.randn(latent.shape[1], 3, generator=torch.Generator().manual_seed(0))
        mixed = latent.movedim(1, -1) @ mix
        picture = torch.sigmoid(mixed / mixed.std())
        return io.NodeOutput(picture.repeat_interleave(8, dim=1).repeat_interleave(8, dim=2))


class DemoModelOptions(io.ComfyNode):
    """Says as text what a MODEL carries, so that a test can see it from outside the server."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DemoModelOptions",
            display_name="What the model carries (demo)",
            category=CATEGORY,
            inputs=[io.Model.Input("model")],
            is_output_node=True,
        )

    @classmethod
    def execute(cls, model) -> io.NodeOutput:
        options = model.model_options.get("transformer_options", {})
        override = options.get("optimized_attention_override")
        return io.NodeOutput(ui={"text": [f"override: {getattr(override, '__module__', None)}"]})


class DemoExtension(ComfyExtension):
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [DemoConditioning, DemoPicture, DemoModelOptions]


async def comfy_entrypoint() -> DemoExtension:
    return DemoExtension()
