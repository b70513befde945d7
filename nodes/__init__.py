"""The nodes, one file each."""

from .patch_fp16_accumulation import PatchFP16Accumulation
from .patch_sage_attention import PatchSageAttention
from .patch_torch_compile import PatchTorchCompile

NODES = (PatchSageAttention, PatchTorchCompile, PatchFP16Accumulation)
