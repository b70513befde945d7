"""What a user asked for on the node, as one value."""

from dataclasses import dataclass

from ...kernels.select import BUDGETS, DEFAULT_QUALITY

AUTO = "auto"
OFF = "off"


@dataclass(frozen=True)
class Settings:
    """The inputs of the node ``PatchSageAttention``.

    Attributes:
        kernel: "auto", "off", or a backend's name, known here or not.
        quality: "exact", "balanced" or "fast"; any other value counts as "balanced".
        start_percent: Part of the sampling before which only exact kernels run, 0 to 1.
        end_percent: Part of the sampling after which only exact kernels run, 0 to 1.
        exact_first_blocks: Blocks at the start of the model that run exact kernels only.
        exact_last_blocks: The same at its end.
        node_id: The node in the user's workflow, for messages.
    """

    kernel: str = AUTO
    quality: str = DEFAULT_QUALITY
    start_percent: float = 0.0
    end_percent: float = 1.0
    exact_first_blocks: int = 0
    exact_last_blocks: int = 0
    node_id: str | None = None

    @property
    def is_off(self) -> bool:
        return self.kernel == OFF

    @property
    def budget(self) -> float:
        """Largest relative L2 error against float32 that a kernel may have on this model's own calls."""
        return BUDGETS.get(self.quality, BUDGETS[DEFAULT_QUALITY])

    @property
    def limits_steps(self) -> bool:
        return self.start_percent > 0.0 or self.end_percent < 1.0

    @property
    def limits_blocks(self) -> bool:
        return self.exact_first_blocks > 0 or self.exact_last_blocks > 0
