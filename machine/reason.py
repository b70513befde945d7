"""Why a kernel, a package or a machine does not do: a code, what was needed, what came."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Reason:
    """Why a kernel does not take a call, or does not work on a machine.

    Attributes:
        code: Stable kebab-case name of the cause, the same for every kernel.
        needed: What the kernel takes, in words.
        came: What the call or the machine has, in words.
    """

    code: str
    needed: str
    came: str

    @property
    def with_code(self) -> str:
        """The sentence with its code in front, "dtype: needs float16, got float32"."""
        return f"{self.code}: {self}"

    def __str__(self) -> str:
        return f"needs {self.needed}, got {self.came}"
