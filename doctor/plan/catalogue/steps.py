"""Titles of steps, why, and what a person does where no command can."""

from ....machine.message import Catalogue

# "installer" is pip, or uv where this Python has no pip.
INSTALLER = Catalogue(
    {
        "no-deps": "--no-deps keeps {installer} from changing torch for it.",
        "no-build-isolation": (
            "--no-build-isolation lets it see this torch, --no-deps keeps {installer} from changing it."
        ),
        "checksum-compared": "{installer} compares its checksum, as {source} names it.",
        "hub-builds": (
            "Its builds are made per torch and CUDA, without a compiler; {installer} may update "
            "huggingface_hub."
        ),
        "open-the-index": (
            "Open {address} and take the file with torch {torch} and {tag} in its name; install its address "
            "with {installer}'s --no-deps, and run the kernel check."
        ),
        "move-module-away": (
            "{package} is here as a module that {installer} did not install, so no command takes it out: "
            "move its folder away by hand, and keep it."
        ),
    },
)

STEPS = Catalogue(
    {
        # Titles.
        "get-pip": "Give this Python its own pip",
        "put-headers": "Put the folders include and libs of Python {python} beside python.exe",
        "copy-headers": "Copy include and libs of a Python {python} beside python.exe",
        "install-requirement": "Install {requirement}",
        "install-version": "Install {package} {version}",
        "take-package-out": "Remove {package}",
        "take-package-out-by-hand": "Remove {package} by hand",
        "replace-package-by-hand": "Replace {package} {version} by hand",
        "empty-triton-cache": "Empty Triton's cache",
        # Why, and what a person does.
        "pip-needed": "It has none, and every command below needs it. Python brings one along.",
        "headers-needed": (
            "Triton compiles its launcher with them, and the embeddable Python comes without."
        ),
        "headers-of-this-minor": "They must be of Python {python}; the last number may differ.",
        "headers-in-nuget": ("Exactly those of {python} are tools\\include and tools\\libs in {address}."),
        "headers-out-of-nuget": (
            "No archive of the two alone is known for this version, so they come out of NuGet's Python."
        ),
        "take-headers": "Take both folders from an installed Python {python} of the same kind.",
        "delete-headers": "Delete the folders include and libs beside python.exe.",
        "triton-of-torch": "It is the one that belongs to torch {torch}.",
        "triton-of-torch-newest": (
            "It is the one that belongs to torch {torch}; the newest known is {newest}."
        ),
        "triton-is-used": "SageAttention quantises with it, and torch.compile needs it.",
        "installed-does-not-import": "What is installed does not import.",
        "installed-does-not-fit": "What is installed does not fit: {reason}.",
        "version-1-is-wrong": (
            "Version 1 is wrong at most key lengths and slower; version 2 has its kernels and more."
        ),
        "known-to-fit-instead": (
            "For the case that the kernel check fails what is installed now: this build is known to fit."
        ),
        "fp4-is-coarse": (
            "FP4 is much coarser than version 2, and it has crashed on Windows (thu-ml/SageAttention#357)."
        ),
        "only-harm": (
            "It does not work here, and everything that would use it runs on other kernels without it."
        ),
        "cache-of-another-triton": (
            "Modules in it were compiled for another Triton and may not load. It fills again by itself."
        ),
        # Why a file fits.
        "file-for-torch": "It is for torch{specifier}, and torch here is {torch}.",
        "file-for-cuda": ("It is built with CUDA {cuda}, the same major version as torch's ({cuda_here})."),
        "file-for-python": "Its tags {tags} mean {wanted}; this is {python}.",
        "file-for-gpus": "It has code for capability {capabilities}: {gpus}.",
        "file-not-for-gpus": "It has none for {gpus}, which stays on other kernels.",
        "no-checksum": "No checksum is known.",
        # The way back.
        "move-module-back": ("No way back is known by a command: move the folder of {package} back by hand."),
        "no-build-in-an-index": (
            "No way back is known: the build of {package} that is installed now, {version}, is in no index, "
            "so no command brings it back: keep a copy of its folders in site-packages first."
        ),
    },
)

# Beside the steps, for a person to choose.
OTHER_WAYS = Catalogue(
    {
        "start-with-kitchen": "Start ComfyUI with --use-ck-attention",
        "kitchen-on-rdna3": ("Comfy Kitchen, which ComfyUI brings, has INT8 attention for RDNA3 and newer."),
        "add-kitchens-flag": (
            "Add the flag to how ComfyUI is started. Where this Kitchen has no attention for the GPU, "
            "ComfyUI stops at its start and says so: then leave the flag out, or update comfy-kitchen."
        ),
        "leave-the-flag-out": "Leave the flag out.",
        "sage-1-for-comfyui": (
            "An experiment: SageAttention {version} for ComfyUI's own --use-sage-attention"
        ),
        "version-1-on-amd": ("Version 1 is Triton alone and runs on some AMD GPUs; version 2 is CUDA code."),
        "rocm-brings-triton": "torch for ROCm brings its own Triton.",
        "version-1-wrong-on-amd": (
            "It is wrong by up to 28 % at key lengths that are no multiple of 64: compare a picture with the "
            "flag and one without. This node does not use it on AMD."
        ),
        "build-flash-attn": (
            "Build flash-attn with its Triton kernels for AMD, for ComfyUI's --use-flash-attention"
        ),
        "build-flash-attn-by-hand": (
            "Build it from its source with {variable}=TRUE, and start ComfyUI with the same variable and "
            "--use-flash-attention."
        ),
        "leave-flash-out": "Leave the flag out, and uninstall flash-attn.",
        # On Turing.
        "sage-1-on-turing": (
            "An experiment: SageAttention {version} on Triton {triton}, with models in float16"
        ),
        "left-behind-on-turing": (
            "SageAttention 2 has no kernels for this GPU, and from Triton {triton} on neither has version 1."
        ),
        "old-triton-of-torch": "Triton {triton} belongs to torch {torch}.",
        "old-triton-is-older": (
            "Triton {triton} is older than torch {torch} expects: torch.compile will not work any more."
        ),
        "no-bfloat16-on-turing": (
            "bfloat16 does not work on this GPU, and {version} is wrong at key lengths that are no multiple "
            "of 64, which the node keeps from it."
        ),
        # On Linux.
        "install-flash-3": "Install {requirement}: FlashAttention 3 for Hopper",
        "build-from-source": "Build SageAttention 2 from source",
        "nvcc-needed": ("It needs nvcc of CUDA {major} (torch here has {cuda}), a C++ compiler, and time."),
        "newer-nvcc-needed": (
            "It needs nvcc of CUDA {major}, {oldest} or newer (torch here has {cuda}), a C++ compiler, and "
            "time."
        ),
        "source-is-of": "It is {whose}.",
        "look-into-the-index": "Look for a built SageAttention {version} in Astral's index",
        "index-names-files": (
            "Its README names files for torch {torch}, Python {python}, CUDA {cuda} and {machine}, built "
            "from upstream's tag v{version}. None of their names was seen, so no command is printed."
        ),
        "uninstall-sage": "Uninstall sageattention.",
        "download-from-the-hub": (
            "Download {kernel}, where the Hugging Face Hub has it built for this torch and CUDA"
        ),
        "hub-commands": (
            "The second command lists them and marks those that fit this machine. The third downloads "
            "version {version}, the one that is known here, and stops where no build fits."
        ),
        "hub-cache-is-read": (
            "This pack downloads nothing. It loads it from the cache once it is there, from the next start "
            "on, and checks it like any other."
        ),
        "delete-from-the-hub-cache": (
            "hf looks into HF_HUB_CACHE, else into ~/.cache/huggingface/hub. Where KERNELS_CACHE is set, "
            "delete the folder kernels--{kernel} in it."
        ),
    },
)
