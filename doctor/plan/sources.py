"""Who says so: where what is said of a finding or a step was reported or is documented, by its code."""

SOURCES = {
    "other-python": "Comfy-Org/ComfyUI#6681, #11497: installed into the wrong Python",
    "modules-python": "https://peps.python.org/pep-3149/: the tag is part of a module's file name",
    "version-unknown": "https://packaging.python.org/en/latest/specifications/recording-installed-packages/",
    "externally-managed": "https://peps.python.org/pep-0668/",
    "not-writable": (
        "https://pip.pypa.io/en/stable/user_guide/#user-installs: pip would use another folder instead"
    ),
    "python-variable": "https://docs.python.org/3/using/cmdline.html#envvar-PYTHONPATH",
    "other-pip": "Comfy-Org/ComfyUI#9826, #10709",
    "cuda-path": "Comfy-Org/ComfyUI#8059, #11169",
    "cc-variable": "woct0rdho/triton-windows#150; lihaoyun6/ComfyUI-FlashVSR_Ultra_Fast#51",
    "linux-headers": "daydreamlive/scope#84; sgl-project/sglang#1117",
    "triton-cache": (
        "https://github.com/triton-lang/triton-windows/blob/readme/README.md; lllyasviel/FramePack#221"
    ),
    "not-ascii": ("pytorch/pytorch#122094 (torch.compile on a Chinese Windows); no report for Triton itself"),
    "long-paths": (
        "woct0rdho/triton-windows#159; "
        "https://learn.microsoft.com/windows/win32/fileio/maximum-file-path-limitation"
    ),
    "get-pip": "https://docs.python.org/3/library/ensurepip.html",
    "clear-triton-cache": "woct0rdho/triton-windows#14, #21",
}
