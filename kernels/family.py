"""The declaration of a kernel family: its kernels, what they come with, and what ComfyUI does with that."""

from collections.abc import Callable
from typing import NamedTuple

from ..machine import Distribution, Installed
from .backend import Backend, Kernel


class InComfyUI(NamedTuple):
    """What ComfyUI does with a package by itself (0.3.64 to 0.33.0: its modules attention, model_management).

    Attributes:
        distribution: The package, as pip knows it.
        modules: What it imports of it at every start, in order; () where it is not asked to.
        names: What it takes of the first of them.
        reads_signature: Whether it looks at the parameters of what it takes.
        flag: The launch option that sends every attention call to it, as in ``comfy.cli_args.args``; "" where
            there is none.
        without: The launch option under which it does not import it; "" where there is none.
        load: The kernel as it is called under the flag, which is proven before a start relies on it; None
            where there is nothing to prove.
        exact: Whether that kernel only rounds.
    """

    distribution: str
    modules: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    reads_signature: bool = False
    flag: str = ""
    without: str = ""
    load: Callable[[], Kernel] | None = None
    exact: bool = False


class Family(NamedTuple):
    """One family of kernels. Everything else that tells of a kernel is derived from this.

    Attributes:
        declare: Every kernel of the family, as it is with what is installed; the names are the same on every
            machine.
        distributions: What they come with, besides torch and Triton; another family may name one alike.
        downloads: Repositories of the Hugging Face Hub, "owner/name", that they come from.
        in_comfyui: What ComfyUI itself does with the distributions.
    """

    declare: Callable[[Installed], tuple[Backend, ...]]
    distributions: tuple[Distribution, ...] = ()
    downloads: tuple[str, ...] = ()
    in_comfyui: tuple[InComfyUI, ...] = ()
