"""Which torch to install, and from where."""

import platform
import urllib.error
import urllib.request

from . import PACK, packages, say

# A pair that belongs together: the host names neither version, and pip alone picks the newest of each.
WITH_HOST = ["torch==2.14.1", "torchvision==0.29.1"]
# Without a host nothing needs a partner, and PyTorch's CPU kernel of the demo is in every 2.x.
ALONE = ["torch==2.13.0"]

# On Linux, PyPI's torch brings CUDA along; PyTorch's own index has one without.
CPU_BUILDS = "https://download.pytorch.org/whl/cpu"
# An index that is filtered away silently shall not hold up the start.
_SECONDS = 5


def index() -> str | None:
    """The index to ask besides the configured one: that of the CPU builds, where no other is needed."""
    if platform.system() != "Linux" or has_nvidia_gpu():
        return None
    if _answers(f"{CPU_BUILDS}/torch/"):
        return CPU_BUILDS
    say(
        f"Python: {CPU_BUILDS} does not answer, so torch comes from your package index; PyPI's brings CUDA, "
        f"some 5 GB that this machine has no use for: PIP_EXTRA_INDEX_URL may name an index with CPU builds"
    )
    return None


def has_nvidia_gpu() -> bool:
    """Whether NVIDIA's driver is there; asked of the system, since torch is not there yet."""
    packages.load("sagekit", PACK)
    from sagekit.machine import Sought, read_environment

    return read_environment(Sought()).driver is not None


def _answers(address: str) -> bool:
    try:
        urllib.request.urlopen(address, timeout=_SECONDS).close()
    except urllib.error.HTTPError:
        return False
    except urllib.error.URLError as error:
        # A certificate that only pip was told of: somebody answers.
        return "CERTIFICATE_VERIFY_FAILED" in str(error.reason)
    except OSError:
        return False
    return True
