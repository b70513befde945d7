"""What was compiled or built and did not come to an end: programs, and packages from source."""

import re
from collections.abc import Iterator

from .event import BuildFailure, ProgramFailure
from .paste import Paste, flowing

# Up to this much of a command: a compiler's has dozens of folders.
_COMMAND = flowing(
    r"""(?:Command ['"]?\[|cc_cmd: \[)['"](?P<program>[^'"]{1,300})['"](?P<rest>.{0,6000})""",
    re.IGNORECASE | re.DOTALL,
)
_STATUS = flowing(
    r"(?:non-zero\s{1,2}exit\s{1,2}status|error code|exit (?:code|status):?)\s{1,2}(-?\w{1,12})"
)
_TARGET = re.compile(r"""[\\/'"]([\w.-]{1,80}\.(?:c|cc|cpp|cu|ptx|cubin|ll|hsaco))\b""")
_PROGRAMS = (
    ("`ptxas` failed", flowing(r"`(?P<program>ptxas)` failed with error code -?\d{1,8}")),
    (
        "failed with exit",
        flowing(r"(?:command '|error: )(?P<program>[^'\n]{1,300})'? failed with exit (?:code|status)"),
    ),
    (
        "returned an error",
        flowing(r"(?P<program>nvcc|hipcc|ptxas|clang|lld)[^\n]{0,40} returned an error"),
    ),
    ("nvcc fatal", flowing(r"(?P<program>nvcc) fatal ?: ", re.IGNORECASE)),
    ("ptxas fatal", flowing(r"(?P<program>ptxas) fatal ?: ", re.IGNORECASE)),
    ("ptxas error", flowing(r"(?P<program>ptxas) error ?: ", re.IGNORECASE)),
    ("collect2: error", flowing(r"(?P<program>collect2): error")),
    ("linker command failed", flowing(r"(?P<program>clang)[^\n]{0,20}: error: linker command failed")),
)


_SAME = 1_500
# They compile nothing themselves.
_CALLED = re.compile(r"python[\d.]{0,6}|pip[\d.]{0,6}|uv|git|conda|ffmpeg|npm|node")

# A command whose beginning was cut away: what it was to write, and how it ended.
_CUT = flowing(
    r"(?P<target>cuda_utils|__triton_launcher|hip_utils)\.[\w.-]{1,60}\.(?P<kind>pyd|so)['\"].{0,4000}?"
    r"non-zero\s{1,2}exit\s{1,2}status\s{1,2}(?P<status>-?\w{1,12})",
    re.DOTALL,
)


def programs(paste: Paste) -> Iterator[ProgramFailure]:
    """Every compiler, linker or assembler that ended with an error."""
    commands = []
    for word in ("command '[", "command ['", "cc_cmd: ["):
        for place, match in paste.matches((word,), _COMMAND):
            commands.append((place, _program(match["program"])))
            if _CALLED.fullmatch(_program(match["program"])):
                continue
            # Of two commands in one stretch the second is an event of its own.
            rest = re.split(r"Command '\[|cc_cmd: \[", match["rest"], maxsplit=1)[0]
            status = _STATUS.search(rest)
            target = _TARGET.search(rest)
            length = match.start("rest") - match.start() + (status.end() if status else 0)
            yield ProgramFailure(
                place,
                place + length,
                _program(match["program"]),
                # cc_cmd is a word of Triton's, which compiles nothing but its helper.
                target[1] if target else "launcher" * match[0].startswith("cc_cmd"),
                status[1] if status else "",
            )
    for place, match in paste.matches(("cuda_utils.", "__triton_launcher.", "hip_utils."), _CUT):
        program = "tcc" if match["kind"] == "pyd" else "cc"
        if not any(map(paste.has, ("command '[", "cc_cmd: ["))):
            yield ProgramFailure(
                place, place + len(match[0]), program, f"{match['target']}.c", match["status"]
            )
    for word, expression in _PROGRAMS:
        for place, match in paste.matches((word,), expression):
            program = _program(match["program"])
            # What a program says before whoever called it tells its whole command is the same failure.
            if not any(0 <= one - place < _SAME and name == program for one, name in commands):
                yield ProgramFailure(place, place + len(match[0]), program)


def _program(path: str) -> str:
    """ "gcc" of "/usr/bin/x86_64-linux-gnu-gcc-13", "cl" of a path of Visual Studio."""
    name = re.split(r"[\\/]", path.replace("\n", "").strip())[-1].lower()
    name = re.sub(r"\.exe;?$", "", name).split()[0] if name.strip() else ""
    if found := re.search(r"clang-cl|clang\+\+|clang|g\+\+|gcc|ptxas|nvcc|hipcc|ninja|tcc", name):
        return found[0]
    return "cc" if name in ("cc", "c++", "x86_64-linux-gnu-cc") else name


_BUILD_WORDS = (
    "subprocess-exited-with-error",
    "build backend returned an error",
    "failed building wheel",
    "failed to build",
    "failed to build installable wheels",
    "getting requirements to build",
    "preparing metadata",
    "metadata-generation-failed",
    "error compiling objects for extension",
    "ninja: build stopped",
    "chefbuilderror",
    "pep 517 build",
    "pep517 build",
    "setup.py bdist_wheel",
    "setup.py egg_info",
    "setup.py install",
    "setup.py develop",
    "running build_ext",
    "running bdist_egg",
    "legacy-install-failure",
    "failed to solve: process",
    "failed to prepare distributions",
    "pip-build-env",
    "builds-v0",
)
_STAGE = flowing(
    r"(Getting requirements to build \w{1,80}|Preparing (?:editable )?metadata|Building (?:editable )?wheel|"
    r"Building editable|running build_ext|setup\.py \w{1,80}|build_wheel|get_requires_for_build_wheel)"
)
_BUILT = (
    (
        "failed to build",
        flowing(
            r"Failed to build '?`?(?:file://\S{0,200}/)?(?P<package>[A-Za-z][\w.-]{1,40})", re.IGNORECASE
        ),
    ),
    ("failed building wheel for", flowing(r"Failed building wheel for (?P<package>[\w.-]{2,40})")),
    ("depends on `torch`", flowing(r"`(?P<package>[\w.-]{2,40})` depends on `torch`")),
    (
        "while preparing metadata",
        flowing(r"(?P<package>[A-Za-z][\w.-]{2,40}) [^\n]{0,20}while preparing metadata"),
    ),
    ("collecting ", flowing(r"Collecting (?:git\+https?://\S{0,80}/)?(?P<package>[A-Za-z][\w.-]{2,40})")),
    ("cloning into", flowing(r"Cloning into '?(?:[^'\n]{0,200}[\\/])?(?P<package>[\w.-]{2,40})")),
    ("obtaining file", flowing(r"Obtaining file://\S{0,200}/(?P<package>[\w.-]{2,40})")),
    (
        "installing ",
        flowing(r"Installing (?P<package>SageAttention|flash[-_]attn|xformers)", re.IGNORECASE),
    ),
    ("setup.py", flowing(r"[\\/](?P<package>[\w.-]{2,40})[\\/]setup\.py")),
    ("sageattention", flowing(r"(?P<package>SageAttention)", re.IGNORECASE)),
    ("flash", flowing(r"(?P<package>flash[-_]attn|flash-attention)", re.IGNORECASE)),
)
_NOT_PACKAGES = {
    "installable",
    "wheel",
    "wheels",
    "editable",
    "some",
    "the",
    "when",
    "getting",
    "build",
    "site-packages",
    "one",
}


def builds(paste: Paste) -> Iterator[BuildFailure]:
    """The package that was being built from source, where one was."""
    places = sorted(place for word in _BUILD_WORDS for place in paste.places(word))
    if not places:
        return
    stages = [match[1] for word in _BUILD_WORDS for _, match in paste.matches((word,), _STAGE)]
    last = places[-1]
    end = paste.text.find("\n", last)
    yield BuildFailure(
        last, end if end >= 0 else len(paste.text), _built(paste), stages[-1] if stages else ""
    )


def _built(paste: Paste) -> str:
    for word, expression in _BUILT:
        for _, match in reversed(paste.matches((word,), expression)):
            name = match["package"].lower().replace("_", "-").rstrip(".-")
            if name not in _NOT_PACKAGES:
                return {"flash-attention": "flash-attn"}.get(name, name)
    return ""
