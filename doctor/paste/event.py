"""The kinds of things that happen in a log, each as a value: a program fails, a module does not load."""

from dataclasses import dataclass, fields

PROGRAM, MODULE, BUILD, EXCEPTION, CRASH = "program", "module", "build", "exception", "crash"


@dataclass(frozen=True)
class Event:
    """Something that happened.

    Attributes:
        start: Where its report begins.
        end: Where it ends.
    """

    start: int
    end: int

    kind = ""

    @property
    def groups(self) -> dict[str, str]:
        """What it is about, by name."""
        return {one.name: getattr(self, one.name) for one in fields(self) if one.name not in ("start", "end")}


@dataclass(frozen=True)
class ProgramFailure(Event):
    """A compiler, a linker or an assembler that ended with an error.

    Attributes:
        program: "tcc", "gcc", "cl", "ptxas"...
        target: The file it was given, "cuda_utils.c".
        status: The number it ended with.
    """

    program: str = ""
    target: str = ""
    status: str = ""

    kind = PROGRAM


@dataclass(frozen=True)
class ModuleFailure(Event):
    """A compiled module that did not load.

    Attributes:
        module: "_qattn_sm89".
        package: Whose it is, "sageattention"; "" where that is not known.
        reason: "procedure", "library", "start", "symbol", "runtime" or "unsaid".
        what: The symbol or the library that is missing.
    """

    module: str = ""
    package: str = ""
    reason: str = ""
    what: str = ""

    kind = MODULE


@dataclass(frozen=True)
class BuildFailure(Event):
    """A package that was being built from source.

    Attributes:
        package: Its name, "" where the log does not say.
        stage: What was being done.
    """

    package: str = ""
    stage: str = ""

    kind = BUILD


@dataclass(frozen=True)
class Raised(Event):
    """The last exception of a traceback.

    Attributes:
        type: "RuntimeError".
        message: Its first line.
        package: Whose code raised it, by the path of the last frame.
    """

    type: str = ""
    message: str = ""
    package: str = ""

    kind = EXCEPTION


@dataclass(frozen=True)
class Crash(Event):
    """The process ended without an exception.

    Attributes:
        package: The first known package on its stack.
    """

    package: str = ""

    kind = CRASH
