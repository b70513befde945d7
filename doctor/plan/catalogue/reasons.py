"""What was needed and what came."""

from ....machine.message import Reasons

REASONS = Reasons(
    {
        # Around a Python.
        "other-python": ("the Python of this ComfyUI", "another one"),
        "modules-python": ("modules for {tag}", "{package} {version} for {tags}"),
        "version-unknown": (
            "the version of {package}, from its metadata or its source",
            "files that state none",
        ),
        "pip-missing": ("pip in this Python", "none"),
        "pip-missing-beside-uv": ("pip in this Python", "none, as uv makes environments"),
        "externally-managed": ("a Python that pip may change", "the system's own, marked EXTERNALLY-MANAGED"),
        "not-writable": ("a site-packages that you may write to", "one that you may not"),
        "python-variable": ("{variable} not set", "set"),
        "other-pip": ("this Python's pip behind the word pip", "another Python's"),
        # Around Triton.
        "cpp-runtime": ("{library} {oldest} or newer", "{found}"),
        "cuda-path": ("a CUDA toolkit 12 or newer in CUDA_PATH, or none", "{toolkit}"),
        "cc-variable": ("CC not set", "set"),
        "linux-headers": ("Python.h and a C compiler for Triton", "{missing}"),
        "triton-cache": ("a Triton cache that you may write to", "one that you may not"),
        "not-ascii": ("folders with plain letters for compilers", "other letters in {variables}"),
        "long-paths": ("long paths allowed in Windows, for torch.compile", "a limit of 260 characters"),
        # What the kernel check found.
        "package-not-importable": ("a {package} that imports", "{error}"),
        "kernels-failed": ("a {package} whose kernels pass the kernel check", "{found}"),
        # Built files.
        "wheel-python": ("{wanted}", "{python}"),
        "wheel-torch": ("torch{specifier}", "{torch}"),
        "wheel-cuda": ("torch with CUDA {wanted}", "{came}"),
        "wheel-gpu": ("a GPU of capability {capabilities:either}", "{gpus}"),
        "wheel-platform": ("{platform}", "{system} on {machine}"),
        "wheel-none": ("a built SageAttention for this machine", "none"),
        "wheel-none-of-3": ("a built SageAttention 3 for this machine", "none"),
        "no-way-back": ("a build that can be had again", "{package} {version}"),
        "build-cuda-too-old": (
            "torch with CUDA {oldest} or newer to build SageAttention 2",
            "CUDA {cuda}",
        ),
        # Triton.
        "triton-unknown": ("a torch between 2.4 and 2.15, no nightly", "torch {torch}"),
        "triton-unknown-on-linux": ("torch {torches:either} on Linux", "torch {torch}"),
        "triton-none": ("a triton-windows for torch {wanted}, which is not out yet", "{torch}"),
        "triton-python": ("a triton-windows {release} for this Python", "{came}"),
        "triton-gpu": ("Triton {oldest} or newer for this GPU", "torch {torch}"),
        "triton-needed": ("the Triton that belongs to torch, for SageAttention", "none that fits"),
        "triton-needed-by-hand": (
            "the Triton that belongs to torch, for SageAttention",
            "one that is to be replaced by hand first",
        ),
        # Machines for which nothing is there.
        "torch-missing": ("torch in this Python", "none; is this the Python that runs ComfyUI?"),
        "torch-cpu": ("torch built with CUDA, for an NVIDIA GPU", "torch {torch}"),
        "torch-not-cuda": ("torch built with CUDA, for an NVIDIA GPU", "torch {torch}"),
        "gpu-other-maker": ("an NVIDIA GPU whose compute capability is known", "{gpus}"),
        "gpu-unknown": ("an NVIDIA GPU whose compute capability is known", "{gpus}"),
        "sage-gpu-here": ("a GPU of capability {oldest} or newer", "{gpus}"),
        "gpu-float32-here": ("a GPU whose float16 works", "{gpus}"),
        "sage2-turing-here": ("capability {oldest} for SageAttention 2", "{gpus}"),
    },
    codes={
        "pip-missing-beside-uv": "pip-missing",
        "package-not-importable": "not-importable",
        "wheel-none-of-3": "wheel-none",
        "triton-unknown-on-linux": "triton-unknown",
        "triton-needed-by-hand": "triton-needed",
        "sage-gpu-here": "sage-gpu",
        "gpu-float32-here": "gpu-float32",
        "sage2-turing-here": "sage2-turing",
    },
)
