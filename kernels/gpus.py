"""NVIDIA's GPUs by generation, as sets of CUDA compute capabilities: what a kernel says that it has code for.

The numbers: https://developer.nvidia.com/cuda-gpus, read on 2026-11-26.
"""

Capability = tuple[int, int]
Capabilities = frozenset[Capability]

VOLTA: Capabilities = frozenset({(7, 0), (7, 2)})
TURING: Capabilities = frozenset({(7, 5)})
AMPERE: Capabilities = frozenset({(8, 0), (8, 6), (8, 7)})
ADA: Capabilities = frozenset({(8, 9)})
HOPPER: Capabilities = frozenset({(9, 0)})
B200: Capabilities = frozenset({(10, 0)})
B300: Capabilities = frozenset({(10, 3)})
RTX_50: Capabilities = frozenset({(12, 0)})
SPARK: Capabilities = frozenset({(12, 1)})

# By the names that people know them by, the oldest first.
GENERATIONS = {
    "V100": VOLTA,
    "T4, RTX 20": TURING,
    "A100, RTX 30": AMPERE,
    "L4, RTX 40": ADA,
    "H100, H200": HOPPER,
    "B200": B200,
    "B300": B300,
    "RTX 50": RTX_50,
    "DGX Spark": SPARK,
}

# What most kernels have code for. B300 is named where it was seen to be.
SINCE_AMPERE = AMPERE | ADA | HOPPER | B200 | RTX_50 | SPARK
SINCE_TURING = TURING | SINCE_AMPERE
