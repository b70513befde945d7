"""Tells the errors of a kernel after which another one can run from those after which nothing can."""

from ..machine.printable import words

# cuBLAS has nothing for what it was asked for, and has started nothing.
REFUSED_BY_CUBLAS = "CUBLAS_STATUS_NOT_SUPPORTED"
# CUDA errors that leave the context as it was (CUDA Runtime API, cudaError_t): the launch was refused.
_REFUSED_LAUNCHES = (
    "no kernel image is available",
    "invalid configuration argument",
    "invalid device function",
    "invalid argument",
    "invalid resource handle",
    "too many resources requested for launch",
    "operation not supported",
    REFUSED_BY_CUBLAS,
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the GPU was full: that belongs to ComfyUI, which frees models and tries again."""
    return type(error).__name__ == "OutOfMemoryError" or "out of memory" in words(error).lower()


def leaves_the_gpu_usable(error: BaseException) -> bool:
    """Whether other work can go on after it: not out of memory, and no CUDA fault that is sticky.

    After a fault such as an illegal memory access every later CUDA call fails, SDPA's too.
    """
    if is_out_of_memory(error):
        return False
    said = words(error)
    if "CUDA error" not in said and type(error).__name__ != "AcceleratorError":
        return True
    return any(refused in said for refused in _REFUSED_LAUNCHES)
