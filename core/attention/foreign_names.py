"""The kernel names that workflows of other node packs use, as names of ours."""

from .settings import AUTO, OFF

# Modes of KJNodes' sage attention node. It calls the function of SageAttention that the mode is named after,
# with an accumulator of its own choice; here is the backend that calls the same function with the same
# accumulator; the FP8 ones scale q and k per warp here and per thread there. "auto" leaves the choice to
# SageAttention there, and to what was measured here.
KJNODES = {
    "auto": AUTO,
    "disabled": OFF,
    "sageattn_qk_int8_pv_fp16_cuda": "sage2-int8-fp16",
    "sageattn_qk_int8_pv_fp16_triton": "sage2-int8-fp16-triton",
    "sageattn_qk_int8_pv_fp8_cuda": "sage2-int8-fp8",
    "sageattn_qk_int8_pv_fp8_cuda++": "sage2-int8-fp8-acc-fp32+fp16",
    "sageattn3": "sage3-fp4",
    "sageattn3_per_block_mean": "sage3-fp4-block-mean",
}


def ours(kernel: object) -> object:
    """The name of ours for a name of another pack; every other value as it is."""
    # What KJNodes' node declares as its default, and so what a workflow may hold.
    if kernel is False:
        return OFF
    return KJNODES.get(kernel, kernel) if isinstance(kernel, str) else kernel
