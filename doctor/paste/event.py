"""The kinds of things that happen in a log, each as a value: a program fails, a module does not load."""

from dataclasses import dataclass, fields

PROGRAM, MODULE, BUILD, IMPORT = "program", "module", "build", "import"
EXCEPTION, CRASH = "exception", "crash"


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
class ImportFailure(Event):
    """A part of a package that another one asks for, and that is not there.

    Attributes:
        package: Whose part it is, "transformers".
        module: Where it is looked for, "transformers.models".
        name: What is looked for in it; "" where the module itself is not there.
        asking: The node pack or the package that asks; "" where the log does not tell.
        reason: "name" of a part, "absent" where the package itself is not installed, "without" where a pack
            says in a line of its own that it goes on without it.
    """

    package: str = ""
    module: str = ""
    name: str = ""
    asking: str = ""
    reason: str = ""

    kind = IMPORT


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
        function: Where in that code, by the name that the frame tells.
        packs: The node packs whose files stand in the traceback, the nearest to the error first.
    """

    type: str = ""
    message: str = ""
    package: str = ""
    function: str = ""
    packs: str = ""

    kind = EXCEPTION


@dataclass(frozen=True)
class Crash(Event):
    """The process ended without an exception.

    Attributes:
        package: The first known package on its stack.
    """

    package: str = ""

    kind = CRASH
