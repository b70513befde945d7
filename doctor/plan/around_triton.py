"""What keeps Triton, or torch.compile, from compiling."""

import re
from collections.abc import Iterator

from ...knowledge.facts import table
from ...knowledge.tables import dotted, numbers
from ...machine import Environment
from ...machine.surroundings import CONDA, RUNTIME, Surroundings
from .catalogue import DO, REASONS, WORDS
from .finding import Finding, found


def old_runtime(environment: Environment, around: Surroundings) -> Iterator[Finding]:
    """Triton's library asks for a Visual C++ runtime of its own age; the copy beside python.exe wins."""
    if not around.runtime:
        return
    row = table("wheels")["runtime"]
    # Of the three only msvcp140.dll is known to make libtriton fail; Python brings the other two itself.
    version = around.runtime.get(RUNTIME[0])
    if version is not None and version[:2] >= numbers(row["oldest"]):
        return
    yield found(
        REASONS(
            "cpp-runtime",
            library=RUNTIME[0],
            oldest=row["oldest"],
            found=dotted(version) if version else WORDS("no-runtime"),
        ),
        WORDS("cpp-runtime-of-windows"),
        DO("install-runtime-with-conda", package=row["conda"])
        if around.kind == CONDA
        else DO("install-runtime", address=row["url"]),
        row["source"],
    )


def misleading_variables(environment: Environment, around: Surroundings) -> Iterator[Finding]:
    """Environment variables that send Triton on Windows to another toolkit or compiler than its own."""
    if environment.system != "windows":
        return
    toolkit = re.search(r"v(\d+)\.(\d+)", around.variables.get("CUDA_PATH", ""))
    if toolkit and int(toolkit[1]) < 12:
        yield found(REASONS("cuda-path", toolkit=toolkit[0]), "CUDA_PATH", DO("unset-cuda-path"))
    if "CC" in around.variables:
        yield found(REASONS("cc-variable"), "CC", DO("unset-cc"), remark=True)


def nothing_to_compile_with(environment: Environment, around: Surroundings) -> Iterator[Finding]:
    """Linux without a C compiler or Python.h, both of which Triton's launcher is built with."""
    if environment.system != "linux" or environment.torch is None or environment.torch.kind != "cuda":
        return
    lacking = around.headers is False, around.compiler is False
    if not any(lacking):
        return
    missing = WORDS(
        "no-headers-and-no-compiler" if all(lacking) else "no-headers" if lacking[0] else "no-compiler"
    )
    version = dotted(environment.python.minor) if environment.python else "3"
    yield found(REASONS("linux-headers", missing=missing), "triton", DO("install-headers", version=version))


def triton_cache(environment: Environment, around: Surroundings) -> Iterator[Finding]:
    """A cache folder that Triton cannot write to: every kernel of it fails."""
    if around.triton_cache_writable is False:
        yield found(REASONS("triton-cache"), "triton", DO("make-cache-writable"))


def not_ascii(environment: Environment, around: Surroundings) -> Iterator[Finding]:
    """A user folder with letters beyond ASCII, which compilers in its way may not read."""
    if around.not_ascii:
        reason = REASONS("not-ascii", variables=tuple(around.not_ascii))
        yield found(reason, "triton", DO("set-plain-folders"), remark=True)


def short_paths(environment: Environment, around: Surroundings) -> Iterator[Finding]:
    """Windows' limit of 260 characters, which torch.compile's cache can pass."""
    if around.long_paths is False:
        yield found(REASONS("long-paths"), "Windows", DO("allow-long-paths"), remark=True)
