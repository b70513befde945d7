"""The Python that runs ComfyUI: which wheels fit it, and whether Triton can compile with it."""

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath


@dataclass(frozen=True)
class Python:
    """One Python.

    Attributes:
        version: "3.12.10".
        implementation: "cpython".
        free_threaded: Built without the global lock: it takes wheels of its own ("cp313t").
        machine: The processor it is built for, as its platform spells it: "AMD64", "x86_64", "arm64".
        executable: The full path of its program; ``shown_executable`` is for others to see.
        embedded: python.org's embeddable package, as in ComfyUI portable, known by its ``._pth`` file.
        has_headers: Python.h and the import library lie where Triton looks for them; None off Windows.
    """

    version: str
    implementation: str = "cpython"
    free_threaded: bool = False
    machine: str = "x86_64"
    executable: str = ""
    embedded: bool = False
    has_headers: bool | None = None

    def __str__(self) -> str:
        return self.version

    @property
    def minor(self) -> tuple[int, ...]:
        """(3, 12)."""
        return tuple(int(number) for number in re.findall(r"\d+", self.version)[:2])

    @property
    def tag(self) -> str:
        """As in a wheel's name: "cp312", "cp313t"."""
        short = "cp" if self.implementation == "cpython" else self.implementation
        return short + "".join(map(str, self.minor)) + ("t" if self.free_threaded else "")

    @property
    def shown_executable(self) -> str:
        """Its last two parts, "python_embeded/python.exe"; never the folder of a user."""
        pure = PureWindowsPath if "\\" in self.executable else PurePosixPath
        *above, name = pure(self.executable).parts or ("",)
        in_home = len(above) >= 2 and above[-2].lower() in ("home", "users")
        return name if in_home or len(above) < 2 else f"{above[-1]}/{name}"


def read_python(executable: str, base: str, system: str) -> Python:
    """This Python.

    Args:
        executable: Its program, as ``sys.executable``.
        base: The folder it is installed in, as ``sys.base_prefix``.
        system: "windows", "linux" or "darwin".
    """
    beside = os.listdir(Path(executable).parent)
    return Python(
        version=".".join(map(str, sys.version_info[:3])),
        implementation=sys.implementation.name,
        # sys.abiflags, which says it too, is missing on Windows before 3.14.
        free_threaded="free-threading build" in sys.version,
        machine=_machine(),
        executable=executable,
        embedded=any(re.fullmatch(r"python\d*\._pth", name, re.IGNORECASE) for name in beside),
        has_headers=_has_headers(Path(base)) if system == "windows" else None,
    )


def _machine() -> str:
    # platform.machine() asks WMI on Windows since 3.12, which can take seconds, hang or crash
    # (python/cpython issues 112278 and 125315).
    if sys.platform != "win32":
        return os.uname().machine
    named = re.search(r"\((AMD64|ARM64)\)", sys.version, re.IGNORECASE)
    return named[1].upper() if named else "x86"


def _has_headers(base: Path) -> bool:
    """Whether Triton can compile its launcher: the embeddable package has neither of the two.

    Minor version of the library included: one of another Python loads and then fails
    (triton-windows README, section on the embeddable Python).
    """
    library = "python{}{}.lib".format(*sys.version_info[:2])
    return (base / "include" / "Python.h").is_file() and (base / "libs" / library).is_file()
