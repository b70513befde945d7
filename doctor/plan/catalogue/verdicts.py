"""What comes out of a plan, what is known of what is installed, and what to do about what was found."""

from ....machine.message import Catalogue

DO = Catalogue(
    {
        "start-with-own-python": (
            "Start the check with the Python that lies with ComfyUI: it does not see what is installed here."
        ),
        "install-with-own-pip": (
            "Install {package} again with this Python's own pip; its folder came from another Python."
        ),
        "install-to-be-judged": (
            "Nothing, while its kernels pass the check. To have it judged, install {package} with this "
            "Python's pip; with pip's option -e a source tree stays where it is."
        ),
        "nothing-beside-uv": ("Nothing: the commands below are uv's, and --python says for which Python."),
        "get-pip-with-ensurepip": "Get it with ensurepip.",
        "get-pip-by-hand": (
            "Install pip as https://pip.pypa.io/en/stable/installation/ tells, or use uv with --python."
        ),
        "use-a-virtual-environment": (
            "Run ComfyUI in a virtual environment (python3 -m venv); forcing pip here can break the system."
        ),
        "move-comfyui": (
            "Move ComfyUI out of a protected folder (Program Files), or start as the user who installed it."
        ),
        "unset-python-variable": (
            "Unset {variable} for ComfyUI: packages of another Python come before its own."
        ),
        "never-plain-pip": "Never type plain pip; take the commands of the plan as they are.",
        "install-runtime": (
            "Install {address}, then start again; a copy beside python.exe is to be replaced by System32's."
        ),
        "install-runtime-with-conda": "conda install -c conda-forge {package}",
        "unset-cuda-path": "Unset CUDA_PATH for ComfyUI: triton-windows brings what it needs.",
        "unset-cc": "Unset CC if Triton fails to compile: triton-windows brings its own compiler.",
        "install-headers": (
            "Install python{version}-dev and gcc with the system's package manager (names as on Debian)."
        ),
        "make-cache-writable": (
            "Make .triton in your home folder yours again, or set TRITON_CACHE_DIR to a folder of yours."
        ),
        "set-plain-folders": (
            "If kernels fail to compile, set TEMP, TMP, TRITON_CACHE_DIR and TORCHINDUCTOR_CACHE_DIR to a "
            "plain folder; the written launch file does."
        ),
        "allow-long-paths": (
            "Only if torch.compile fails with a path: allow them, or set TORCHINDUCTOR_CACHE_DIR."
        ),
        # What the kernel check found.
        "build-for-this-torch": "Install a build of {package} for this torch, or build it again.",
        "build-that-fits": ("Install a build of {package} that is known to fit, or build it again."),
    },
)

INSTALLED = Catalogue(
    {
        "version-not-known": "of unknown version",
        "kernel-check-tells": (
            "the kernel check, which runs each kernel here (kernels_check without --plan)"
        ),
        # The kernel check runs on NVIDIA GPUs alone.
        "picture-tells": ("a picture with ComfyUI's --use-sage-attention beside the same picture without it"),
        "explain-tells": "--explain with what the check says of the latter",
        "kernels-passed": "its kernels passed the kernel check on this machine",
        "some-kernels-passed": (
            "some of its kernels passed the kernel check here and some did not; the node uses the former"
        ),
        "known-to-fit": "it is a build that is known to fit this machine",
        "no-version-known": "no version of it is known",
        "torch-in-no-table": "torch {torch} is none that a build or a table names",
        "gpu-not-known": "which GPU it runs on is not known",
        "its-file": "its file {reason}",
        "name-is-no-proof": (
            "nothing in its name speaks against it, but a name is not proven: others with fitting names did "
            "not load (wildminder/AI-windows-whl#18, #19)"
        ),
        "of-ones-own": (
            "nothing speaks against it, but a build of one's own names no torch, no CUDA and no GPU"
        ),
        "sage-1-on-amd": (
            "SageAttention 1 is Triton alone and runs on some AMD GPUs; on RDNA1 pictures came out grey"
        ),
        "sage-2-on-amd": ("upstream's version 2 is CUDA code; forks for AMD carry the same version"),
        "sage-1-without-a-report": ("version 1 is Triton alone, and no report tells of it on this GPU"),
        "sage-1-without-a-report-and-more": (
            "version 1 is Triton alone, and no report tells of it on this GPU. {more}"
        ),
        "sage-1-without-a-triton": (
            "it is Triton alone, and no table says which Triton belongs to torch {torch}"
        ),
    },
)

SUMMARY = Catalogue(
    {
        "well": "What is installed belongs together; there is nothing to do.",
        "well-but-version-1": (
            "SageAttention 1 is wrong at key lengths that are no multiple of 64: the node keeps those calls "
            "from it, ComfyUI's own --use-sage-attention does not."
        ),
        "well-on-turing": ("SageAttention is installed as well as this GPU allows; run models in float16."),
        "not-judged": (
            "Whether {package} {version} works here is not known: {known}. What tells is {tells}."
        ),
        "not-needed": "No install is needed: {why}.",
        "steps-for-sage-too": "The steps are for those who want SageAttention too.",
        "install": (
            "Nothing is broken: without any install the node runs on {kernels:both}. The steps add "
            "SageAttention."
        ),
        "repair": "Something does not fit. The steps put it right.",
        "repair-partly-by-hand": (
            "{packages:and} is to be put right by hand, as is told below. The steps do the rest."
        ),
        "repair-by-hand": "Something is to be put right by hand.",
        "none-fits-but": (
            "No built SageAttention fits this machine; without any install the node runs on {kernels:both}."
        ),
        "no-way-back-known": (
            "What would fit is known, but no index has the build that is here now, so no command could bring "
            "it back. That is why no step does it: keep a copy of it first, as is told below."
        ),
        "nothing-fits": (
            "No built SageAttention fits this machine as it is, and nothing has to change for that: without "
            "any install the node runs on {kernels:both}."
        ),
        "torch-does-not-run": "torch itself does not run on this machine: {reason}. {do}",
        "installed-does-not-work": "What is installed does not work on this GPU.",
        "no-sage-2-on-turing": (
            "SageAttention 2 has no kernels for this GPU; PyTorch's attention runs, and needs no install."
        ),
        # Machines for which nothing is there.
        "comfyui-gives": "ComfyUI gives it {attention}, and nothing has to be installed for that.",
        "without-torch": "This Python has no torch, so nothing can be planned for it.",
        "without-a-known-gpu": (
            "Without knowing the GPU no file can be chosen; start the check where torch sees it."
        ),
        "torch-of-another-maker": (
            "torch here is built with CUDA, for NVIDIA GPUs, and the GPU is {gpu}: first put the build of "
            "torch for {maker} in its place, as ComfyUI's own manual tells. SageAttention's kernels are for "
            "NVIDIA GPUs, so there is nothing else to install."
        ),
        "torch-for-the-processor": (
            "torch here is built for the processor alone, beside a GPU by {maker}: put the build of torch "
            "for it in its place first, where its maker has one, as ComfyUI's own manual tells. "
            "SageAttention's kernels are for NVIDIA GPUs, so there is nothing else to install."
        ),
        "torch-without-cuda-here": (
            "torch here is built without CUDA, beside an NVIDIA GPU. A package installed lately may have "
            "replaced it: put back the CUDA build of torch {version} first, as ComfyUI's own manual tells."
        ),
        "no-version-works": "No version of SageAttention works on this GPU.",
        "nothing-for-float32": (
            "Nothing here is for this GPU: its float16 is broken, so ComfyUI computes in float32, which no "
            "kernel but PyTorch's takes."
        ),
        "nothing-for-a-mac": (
            "Nothing here is for a Mac: SageAttention's kernels are for NVIDIA GPUs, and Triton, which they "
            "need, does not know Apple's."
        ),
        "others-on-a-mac": (
            "--use-pytorch-cross-attention and --use-split-cross-attention are the others that it has."
        ),
        "nothing-for-intel": ("Nothing here is for an Intel GPU: SageAttention's kernels are for NVIDIA's."),
        "nothing-for-amd": (
            "SageAttention 2 and its files are CUDA code, for NVIDIA GPUs, and none of them is for this one."
        ),
        "pytorch-on-amd": "--use-pytorch-cross-attention takes PyTorch's instead.",
        "other-ways-on-amd": (
            "SageAttention 1 is Triton alone and runs on some AMD GPUs. Other ways are below, for who wants "
            "to try."
        ),
        "nothing-without-nvidia": (
            "SageAttention's kernels are for NVIDIA GPUs, and there is none here: there is nothing to "
            "install, and ComfyUI takes {attention}."
        ),
    },
)
