"""What around a Python keeps Triton or pip from working: found by looking, each with what to do."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ...knowledge.facts import table
from ...knowledge.tables import dotted, numbers, tables
from ...machine import Environment
from ...machine.reason import Reason
from ...machine.surroundings import CONDA, RUNTIME, Surroundings
from ..commands.python import pip
from ..rules import Mismatch
from .step import Step

VERSION_UNKNOWN = "version-unknown"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong around this Python, or worth knowing.

    Attributes:
        mismatch: What was needed, what came, what to do.
        step: The commands that put it right, where there are any.
        remark: It is worth knowing, and nothing fails by it alone.
        stops: Nothing can be installed before it is put right.
    """

    mismatch: Mismatch
    step: Step | None = None
    remark: bool = False
    stops: bool = False

    def as_data(self) -> dict[str, Any]:
        """Values for JSON; the step is among the plan's."""
        return self.mismatch.as_data() | {"remark": self.remark, "stops": self.stops}


Rule = Callable[[Environment, Surroundings], Iterator[Finding]]


def findings(environment: Environment, around: Surroundings) -> list[Finding]:
    """Everything found, what comes first in mending first."""
    return [finding for rule in RULES for finding in rule(environment, around)]


def another_python(environment: Environment, around: Surroundings) -> Iterator[Finding]:
    """The check was started with a Python that is not this ComfyUI's own."""
    if around.own_python:
        yield _finding(
            "other-python",
            "the Python of this ComfyUI",
            "another one",
            "Python",
            "Start the check with the Python that lies with ComfyUI: it does not see what is installed here.",
            "Comfy-Org/ComfyUI#6681, #11497: installed into the wrong Python",
            stops=True,
        )


def modules_of_another_python(environment: Environment, around: Surroundings) -> Iterator[Finding]:
    """Compiled modules whose names say they are for another Python: copied over, not installed."""
    python = environment.python
    if python is None or python.implementation != "cpython":
        return
    for name, package in environment.packages.items():
        tags = {tag for file in package.files if (tag := _tag(file.name))}
        if tags and python.tag not in tags:
            yield _finding(
                "modules-python",
                f"modules for {python.tag}",
                f"{name} {package.shown} for {', '.join(sorted(tags))}",
                name,
                f"Install {name} again with this Python's own pip; its folder came from another Python.",
                "https://peps.python.org/pep-3149/: the tag is part of a module's file name",
            )


def version_unknown(environment: Environment, around: Surroundings) -> Iterator[Finding]:
    """A package that no version is known of: nothing here judges it, the kernel check tries it."""
    for name, package in environment.packages.items():
        if not package.version:
            yield _finding(
                VERSION_UNKNOWN,
                f"the version of {name}, from its metadata or its source",
                "files that state none",
                name,
                f"Nothing, while its kernels pass the check. To have it judged, install {name} with this "
                "Python's pip; with pip's option -e a source tree stays where it is.",
                "https://packaging.python.org/en/latest/specifications/recording-installed-packages/",
                remark=True,
            )


def pip_missing(environment: Environment, around: Surroundings) -> Iterator[Finding]:
    """A Python without pip, as uv makes them."""
    if around.pip:
        return
    if around.uv_alone:
        yield _finding(
            "pip-missing",
            "pip in this Python",
            "none, as uv makes environments",
            "pip",
            "Nothing: the commands below are uv's, and --python says for which Python.",
            tables()["python_without_pip"]["source"],
            remark=True,
        )
        return
    step = None
    if around.ensurepip:
        program = pip(environment)[:-1]
        step = Step(
            "get-pip",
            "Give this Python its own pip",
            ("It has none, and every command below needs it. Python brings one along.",),
            commands=((*program[:-1], "-m", "ensurepip"),),
            undo=(pip(environment, "uninstall", "-y", "pip"),),
            sources=("https://docs.python.org/3/library/ensurepip.html",),
        )
    yield _finding(
        "pip-missing",
        "pip in this Python",
        "none",
        "pip",
        "Get it with ensurepip."
        if step
        else "Install pip as https://pip.pypa.io/en/stable/installation/ tells, or use uv with --python.",
        tables()["python_without_pip"]["source"],
        step=step,
        stops=step is None,
    )


def managed(environment: Environment, around: Surroundings) -> Iterator[Finding]:
    """The system's own Python, which its package manager keeps pip out of."""
    if around.managed:
        yield _finding(
            "externally-managed",
            "a Python that pip may change",
            "the system's own, marked EXTERNALLY-MANAGED",
            "Python",
            "Run ComfyUI in a virtual environment (python3 -m venv); forcing pip here can break the system.",
            "https://peps.python.org/pep-0668/",
            stops=True,
        )


def not_writable(environment: Environment, around: Surroundings) -> Iterator[Finding]:
    """Installed packages that this user may not change."""
    if around.packages_writable is False:
        yield _finding(
            "not-writable",
            "a site-packages that you may write to",
            "one that you may not",
            "Python",
            "Move ComfyUI out of a protected folder (Program Files), or start as the user who installed it.",
            "https://pip.pypa.io/en/stable/user_guide/#user-installs: pip would use another folder instead",
            stops=True,
        )


def old_runtime(environment: Environment, around: Surroundings) -> Iterator[Finding]:
    """Triton's library asks for a Visual C++ runtime of its own age; the copy beside python.exe wins."""
    if not around.runtime:
        return
    row = table("wheels")["runtime"]
    oldest = numbers(row["oldest"])
    # Of the three only msvcp140.dll is known to make libtriton fail; Python brings the other two itself.
    version = around.runtime.get(RUNTIME[0])
    if version is not None and version[:2] >= oldest:
        return
    do = f"Install {row['url']}, then start again; a copy beside python.exe is to be replaced by System32's."
    if around.kind == CONDA:
        do = f"conda install -c conda-forge {row['conda']}"
    yield _finding(
        "cpp-runtime",
        f"{RUNTIME[0]} {row['oldest']} or newer",
        dotted(version) if version else "none",
        "Visual C++ runtime",
        do,
        row["source"],
    )


def misleading_variables(environment: Environment, around: Surroundings) -> Iterator[Finding]:
    """Environment variables that send Python or Triton elsewhere."""
    embedded = environment.python is not None and environment.python.embedded
    for name in ("PYTHONPATH", "PYTHONHOME"):
        # The ._pth file of an embeddable Python makes it ignore both.
        if name in around.variables and not embedded:
            yield _finding(
                "python-variable",
                f"{name} not set",
                "set",
                "Python",
                f"Unset {name} for ComfyUI: packages of another Python come before its own.",
                "https://docs.python.org/3/using/cmdline.html#envvar-PYTHONPATH",
            )
    toolkit = re.search(r"v(\d+)\.(\d+)", around.variables.get("CUDA_PATH", ""))
    if environment.system == "windows" and toolkit and int(toolkit[1]) < 12:
        yield _finding(
            "cuda-path",
            "a CUDA toolkit 12 or newer in CUDA_PATH, or none",
            toolkit[0],
            "CUDA_PATH",
            "Unset CUDA_PATH for ComfyUI: triton-windows brings what it needs.",
            "Comfy-Org/ComfyUI#8059, #11169",
        )
    if environment.system == "windows" and "CC" in around.variables:
        yield _finding(
            "cc-variable",
            "CC not set",
            "set",
            "CC",
            "Unset CC if Triton fails to compile: triton-windows brings its own compiler.",
            "woct0rdho/triton-windows#150; lihaoyun6/ComfyUI-FlashVSR_Ultra_Fast#51",
            remark=True,
        )


def nothing_to_compile_with(environment: Environment, around: Surroundings) -> Iterator[Finding]:
    """Linux without a C compiler or Python.h, both of which Triton's launcher is built with."""
    if environment.system != "linux" or environment.torch is None or environment.torch.kind != "cuda":
        return
    missing = [
        name
        for name, there in (("Python.h", around.headers), ("a C compiler", around.compiler))
        if there is False
    ]
    if missing:
        version = dotted(environment.python.minor) if environment.python else "3"
        yield _finding(
            "linux-headers",
            "Python.h and a C compiler for Triton",
            f"no {' and no '.join(missing)}",
            "triton",
            f"Install python{version}-dev and gcc with the system's package manager (names as on Debian).",
            "daydreamlive/scope#84; sgl-project/sglang#1117",
        )


def triton_cache(environment: Environment, around: Surroundings) -> Iterator[Finding]:
    """A cache folder that Triton cannot write to: every kernel of it fails."""
    if around.triton_cache_writable is False:
        yield _finding(
            "triton-cache",
            "a Triton cache that you may write to",
            "one that you may not",
            "triton",
            "Make .triton in your home folder yours again, or set TRITON_CACHE_DIR to a folder of yours.",
            "https://github.com/triton-lang/triton-windows/blob/readme/README.md; lllyasviel/FramePack#221",
        )


def not_ascii(environment: Environment, around: Surroundings) -> Iterator[Finding]:
    """A user folder with letters beyond ASCII, which compilers in its way may not read."""
    if around.not_ascii:
        yield _finding(
            "not-ascii",
            "folders with plain letters for compilers",
            f"other letters in {', '.join(around.not_ascii)}",
            "triton",
            "If kernels fail to compile, set TEMP, TMP, TRITON_CACHE_DIR and TORCHINDUCTOR_CACHE_DIR to a "
            "plain folder; the written launch file does.",
            "pytorch/pytorch#122094 (torch.compile on a Chinese Windows); no report for Triton itself",
            remark=True,
        )


def short_paths(environment: Environment, around: Surroundings) -> Iterator[Finding]:
    """Windows' limit of 260 characters, which torch.compile's cache can pass."""
    if around.long_paths is False:
        yield _finding(
            "long-paths",
            "long paths allowed in Windows, for torch.compile",
            "a limit of 260 characters",
            "Windows",
            "Only if torch.compile fails with a path: allow them, or set TORCHINDUCTOR_CACHE_DIR.",
            "woct0rdho/triton-windows#159; "
            "https://learn.microsoft.com/windows/win32/fileio/maximum-file-path-limitation",
            remark=True,
        )


def pip_of_another(environment: Environment, around: Surroundings) -> Iterator[Finding]:
    """A plain ``pip`` that would install elsewhere."""
    if around.other_pip:
        yield _finding(
            "other-pip",
            "this Python's pip behind the word pip",
            "another Python's",
            "pip",
            "Never type plain pip; take the commands of the plan as they are.",
            "Comfy-Org/ComfyUI#9826, #10709",
            remark=True,
        )


RULES: tuple[Rule, ...] = (
    another_python,
    managed,
    not_writable,
    pip_missing,
    modules_of_another_python,
    version_unknown,
    old_runtime,
    misleading_variables,
    nothing_to_compile_with,
    triton_cache,
    not_ascii,
    short_paths,
    pip_of_another,
)


def _finding(code: str, needed: str, came: str, about: str, do: str, source: str, **more: Any) -> Finding:
    return Finding(Mismatch(Reason(code, needed, came), about=about, do=do, source=source), **more)


def _tag(file: str) -> str | None:
    """ "cp312" of "_fused.cp312-win_amd64.pyd" and of "_fused.cpython-312-x86_64-linux-gnu.so"."""
    match = re.search(r"\.(?:cp|cpython-)(\d{2,3}t?)-[^/\\]+\.(?:pyd|so)$", file)
    return f"cp{match[1]}" if match else None
