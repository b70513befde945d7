"""Machines and calls as values."""

from dataclasses import replace

from sagekit.kernels.call import Call
from sagekit.kernels.families import declare
from sagekit.machine import Package

__all__ = ["BLACKWELL", "CALL", "FULL", "HOPPER", "SAGE1", "SAGE2_MODULES", "declare"]

SAGE2_MODULES = frozenset({"_qattn_sm80", "_qattn_sm89", "_qattn_sm90", "_fused"})
FULL = {
    "torch": Package("2.11.0", "cu130"),
    "triton": Package("3.6.0"),
    "sageattention": Package("2.2.0", "", SAGE2_MODULES, 256),
    "sageattn3": Package("1.0.0"),
    "comfy-kitchen": Package("0.2.31"),
    "flash-attn": Package("2.8.3"),
    "flash-attn-3": Package("3.0.0"),
    "flash-attn-4": Package("4.0.0"),
    "xformers": Package("0.0.33"),
}
SAGE1 = FULL | {"sageattention": Package("1.0.6")}
CALL = Call(1, 8, 8, 4096, 4096, 128, "float16", "cuda", (8, 9))
HOPPER = replace(CALL, capability=(9, 0))
BLACKWELL = replace(CALL, capability=(12, 0))
