"""What is looked for on a machine: torch, Triton, and what the kernel families say that they come with."""

from collections.abc import Iterable
from typing import NamedTuple

from .module import Module

# Which of a package's files are looked at, for its identity and for the compiled modules among them.
ALL_FILES, COMPILED_FILES, NO_FILES = "all", "compiled", "none"


class Distribution(NamedTuple):
    """A package to look for, and how it is told from others of its name.

    Attributes:
        name: As its metadata spells it, in lower case and with hyphens.
        module: What it brings to import.
        also_called: Further names under which builds of it are distributed.
        looked_at: ALL_FILES, COMPILED_FILES or NO_FILES.
        head_dim_limit: Where its source states the largest head_dim that it passes on: the file, relative to
            the folder that it lies in, and a regular expression with the number as its first group.
        usual_modules: Compiled modules of a usual build, by the first number of its version: for a machine
            that somebody described by names and versions alone.
    """

    name: str
    module: Module
    also_called: tuple[str, ...] = ()
    looked_at: str = ALL_FILES
    head_dim_limit: tuple[str, str] | None = None
    usual_modules: tuple[tuple[int, frozenset[str]], ...] = ()


_TRITON = Module("triton", b"jit", compiled="triton/_C")
# What attention needs, whichever kernel computes it. Of torch its version file says enough; Triton's Python
# code is too much to look at on every start.
ALWAYS = (
    Distribution("torch", Module("torch", b"__version__", within="version"), looked_at=NO_FILES),
    Distribution(
        "triton",
        _TRITON,
        # torch's nightly and ROCm builds.
        also_called=("pytorch-triton", "pytorch-triton-rocm", "triton-rocm"),
        looked_at=COMPILED_FILES,
    ),
    Distribution("triton-windows", _TRITON, looked_at=COMPILED_FILES),
)


class Sought(NamedTuple):
    """What is looked for.

    Attributes:
        distributions: Each name once; of two with one module the first that is there counts.
        downloads: Repositories of the Hugging Face Hub, "owner/name".
    """

    distributions: tuple[Distribution, ...] = ALWAYS
    downloads: tuple[str, ...] = ()

    @classmethod
    def of(cls, distributions: Iterable[Distribution], downloads: Iterable[str]) -> "Sought":
        """What attention always needs, and these, each once.

        Raises:
            ValueError: One name stands for two different packages.
        """
        by_name: dict[str, Distribution] = {}
        for one in (*ALWAYS, *distributions):
            if by_name.setdefault(one.name, one) != one:
                raise ValueError(f"the package {one.name} is declared twice, and not alike")
        return cls(tuple(by_name.values()), tuple(dict.fromkeys(downloads)))

    @property
    def names(self) -> tuple[str, ...]:
        """Of everything that is looked for."""
        return (*(one.name for one in self.distributions), *self.downloads)
