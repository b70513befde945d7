"""torch.compile for one MODEL: what to compile, when it can work, and what came of it."""

from .model import patch_model
from .settings import Settings

__all__ = ["Settings", "patch_model"]
