"""Every sentence of this room: what does not belong together, what a GPU cannot do, and what to do."""

from ...machine.message import Catalogue, Reasons

REASONS = Reasons(
    {
        # Builds of SageAttention.
        "build-torch": ("torch {wanted} for {build}", "{torch}"),
        "build-torch-or-newer": ("torch {wanted} or newer for {build}", "{torch}"),
        "build-cuda": ("torch with CUDA {wanted} for {build}", "{came}"),
        "build-gpu": ("a GPU of capability {capabilities:either} for {package}", "{gpus}"),
        "known-bad-build": ("{instead}", "{package}, {fault}"),
        # GPUs and their makers.
        "sage-gpu": ("a GPU of capability {oldest} or newer for SageAttention", "{package} on {gpus}"),
        "sage-gpu-limit": ("capability {oldest} or newer for SageAttention", "{gpu}"),
        "sage-maker": ("an NVIDIA GPU for SageAttention", "{package} on {where}"),
        "sage2-turing": ("sageattention {version} on {gpus}", "{package}"),
        "sage-float32": ("a GPU whose float16 works", "{gpus}"),
        "sage-branch": ("SageAttention with a branch for {gpus}", "{package}, which has none"),
        "sage-branch-remark": ("SageAttention with a branch for {gpus}", "{package}, {remark}"),
        "sage-turing": ("float16 and Triton below {limit} for SageAttention", "{gpu}"),
        "gpu-float32-limit": ("a GPU whose float16 works, for any kernel but PyTorch's", "{gpu}"),
        "module-gpu": ("capability {capabilities:either} for its _qattn_sm80", "{gpu}"),
        "fa3-gpu": ("capability {capability} for {package}", "{gpu}"),
        # Where packages lie.
        "user-site": ("packages of this Python", "{packages} of the user's site-packages"),
        "two-copies": ("one installation of {package}", "{versions:both}"),
        "python-headers": (
            "Python.h in include and python{digits}.lib in libs, both beside python.exe",
            "neither or one",
        ),
        # torch, its driver and its GPU.
        "torch-without-cuda": ("torch with CUDA beside {gpus}", "torch {torch}"),
        "driver-too-old": ("NVIDIA driver {oldest} or newer for torch {torch} with CUDA {cuda}", "{driver}"),
        "torch-gpu": ("a GPU of capability {oldest} or newer for torch {torch}", "{gpus}"),
        "torch-cuda-too-old-for-gpu": ("torch with CUDA {oldest} or newer for {generation}", "{cuda}"),
        # Triton.
        "triton-torch": ("Triton {wanted} for torch {torch}", "{triton}"),
        "triton-missing": ("Triton for {packages:and}", "none"),
        "triton-too-old-for-gpu": ("Triton {oldest} or newer for {generation}", "{triton}"),
        "triton-too-new-for-gpu": ("Triton below {limit} for SageAttention on {gpus}", "{triton}"),
    },
    codes={
        "build-torch-or-newer": "build-torch",
        "sage-gpu-limit": "sage-gpu",
        "sage-branch-remark": "sage-branch",
        "gpu-float32-limit": "gpu-float32",
    },
)

DO = Catalogue(
    {
        "replace-by-build-for-torch": "Replace {package} by a build for torch {torch}.",
        "replace-by-build-or-torch": (
            "Replace {package} by a build for torch {torch}, or go back to torch {other}."
        ),
        "replace-by-build-for-cuda": "Replace {package} by a build for CUDA {cuda}.",
        "replace-by-build-for-gpu": "Replace {package} by a build for this GPU, or remove it.",
        "replace-by-another": "Replace {package} by {instead}.",
        "replace-by-sage-1": (
            "Replace sageattention by {version} with Triton {triton} and run models in float16, or remove it."
        ),
        "remove-without-nvidia": "Remove {package}: its kernels are for NVIDIA GPUs.",
        "remove-none-works": (
            "Remove {package}: no version of it works on this GPU, PyTorch's attention does."
        ),
        "remove-on-cuda-alone": (
            "Remove {package}: it takes tensors on CUDA alone, and ComfyUI's own attention runs here."
        ),
        "remove-in-float32": (
            "Remove sageattention: ComfyUI computes in float32 on this GPU, which it does not take."
        ),
        "remove-without-a-branch": (
            "Remove sageattention: everything that would use it runs on PyTorch's attention."
        ),
        "nothing-on-pytorch": "Nothing: PyTorch's attention runs on this GPU.",
        "nothing-in-float32": "Nothing: ComfyUI computes in float32 on this GPU, on PyTorch's attention.",
        "run-in-float16": "Run models in float16 where SageAttention is wanted, or leave it out.",
        "use-fp8-pv": "Use the kernels with FP8 PV on this GPU.",
        "start-without-user-site": (
            "Start Python with -s, or set PYTHONNOUSERSITE=1, and install what is then missing."
        ),
        "install-once": (
            "Uninstall {package} until none is left, delete what remains of it in site-packages, and install "
            "it once."
        ),
        "copy-include-and-libs": (
            "Copy the folders include and libs of a Python {python} into the folder of python.exe."
        ),
        "install-torch-with-cuda": (
            "Install the CUDA build of torch; a package installed lately may have replaced it."
        ),
        "update-driver": (
            "Update the NVIDIA driver to {oldest} or newer, or install a torch built with an older CUDA."
        ),
        "install-torch-of-older-cuda": (
            "Install torch built with CUDA {cuda}, which still has code for this GPU."
        ),
        "install-torch-of-newer-cuda": (
            "Install torch {torch} or newer, built with CUDA {cuda} or newer, before anything else."
        ),
        "change-triton": "Change {package} to a {wanted} release, the one that belongs to torch {torch}.",
        "install-triton-of-torch": "Install the {package} that belongs to this torch.",
        "install-known-triton-of-torch": (
            "Install the {package} that belongs to this torch, {wanted} for torch {torch}."
        ),
        "install-torch-and-triton": (
            "Install torch {torch} or newer with CUDA {cuda} or newer, and the {package} that belongs to it."
        ),
        "remove-sage-or-take-old-triton": (
            "Either remove sageattention, or install {package} {triton} with sageattention {version} and run "
            "models in float16; with torch {torch} or newer that breaks torch.compile."
        ),
    },
)

WORDS = Catalogue(
    {
        "cuda-here": "CUDA {cuda}",
        "torch-here": "torch {torch}",
        "torch-for-kind": "torch {torch} for {kind}",
        "a-mac": "a Mac",
        "an-nvidia-gpu": "an NVIDIA GPU",
        "gpus-with-torch": "{gpus:both} with torch {torch}",
        "every-faster-kernel": "every faster kernel",
        "nvidia-driver": "NVIDIA driver",
    },
)
