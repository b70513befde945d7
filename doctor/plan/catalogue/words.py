"""Parts of sentences."""

from ....machine.message import Catalogue

WORDS = Catalogue(
    {
        "sentences": "{parts:sentences}",
        "said-together": "{parts:then}",
        # What is named in place of a package.
        "cpp-runtime-of-windows": "Visual C++ runtime",
        # What came.
        "an-error": "an error",
        "no-runtime": "none",
        "no-headers": "no Python.h",
        "no-compiler": "no a C compiler",
        "no-headers-and-no-compiler": "no Python.h and no a C compiler",
        "cuda-of-torch": "CUDA {cuda}",
        "no-cuda": "no CUDA",
        "unknown-machine": "an unknown machine",
        "no-gpu-named": "no GPU that the driver or torch names",
        "triton-from-to": "{first} to {last} for Python {python}",
        "triton-from-to-but-free-threaded": (
            "{first} to {last} for Python {python}, and none for a free-threaded one"
        ),
        "python-here": "Python {python}",
        # Pythons.
        "any-python": "any Python 3",
        "cpython": "CPython {version}",
        "cpython-or-newer": "CPython {version} or newer",
        "unknown-python": "a Python that is not known",
        "python-free-threaded": "{version}, free-threaded",
        # Who says so.
        "the-source": "the source",
        "the-kernel-check-here": "the kernel check on this machine",
        # ComfyUI's own attentions.
        "pytorchs-attention": "PyTorch's attention",
        "split-attention": "its own split attention",
        "sub-quadratic-attention": "its own sub-quadratic attention",
        "xformers-attention": "xformers' attention",
    },
)
