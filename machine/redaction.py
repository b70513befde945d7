"""What a report must not tell: the names of a user and a computer, and folders outside ComfyUI."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath

# A path is told from here on; of any other its last part alone, where that is a program or a module.
_TOLD_FROM = ("site-packages", "dist-packages", "kernels_check", "custom_nodes")
_TOLD_ENDS = ("py", "pyd", "so", "dll", "exe", "bat", "sh", "json", "log")
_END = rf"\.(?:{'|'.join(_TOLD_ENDS)})\b"
_DRIVE = r"(?:\\\\\?\\)?(?:(?<![A-Za-z0-9])[A-Za-z]:[\\/]|\\\\[^\\/\s\"']+[\\/]|\\+Users\\+)"
# An apostrophe may be part of a name, O'Brien, or the end of what is quoted.
_LETTER = r"(?:[^\"'<>|:*?\r\n,;()\[\]]|(?<=\w)'(?=\w))"
# Folders may have spaces: up to the first known ending, else as far as a path can go.
_WINDOWS_PATH = re.compile(rf"{_DRIVE}(?:{_LETTER}*?{_END}|{_LETTER}*)")
_QUOTED_PATH = re.compile(r"(?<=[\"'])[~/][^\"'\n]*(?=[\"'])")
_WORD = r"[^\s/\"'<>|:,;()\[\]]+"
_REST = r"[^\s\"'<>|:,;()\[\]]*"
# A few words and a slash after them are taken for a folder with spaces: rather a word too many than a name.
_POSIX_PATH = re.compile(rf"(?<![\w./~])(?:~|//?(?=[^/\s])){_REST}(?: (?:{_WORD} ){{0,2}}{_WORD}/{_REST})*")
_ADDRESS = re.compile(r"\b[a-z][a-z+]+://[^\s\"'<>]+", re.IGNORECASE)
# What this pack itself tells of; any other address may be somebody's own server, or have a password in it.
_PUBLIC = re.compile(
    r"(?:git\+)?https?://(?:[\w-]+\.)*(?:github\.com|huggingface\.co|pytorch\.org|python\.org|pypi\.org|pypa\.io|"
    r"nuget\.org|aka\.ms|microsoft\.com|nvidia\.com|astral\.sh|comfy\.org)(?:[/#?]|$)",
    re.IGNORECASE,
)
# An e-mail address, or the words before a command line.
_AT = re.compile(r"(?<![\w/])[\w.+-]+@[\w.-]*\w")


def redact(line: str, names: Iterable[str] = (), comfyui: Path | None = None) -> str:
    """A line without user names, computer names, and folders outside ComfyUI."""
    told_from = [*_TOLD_FROM, *([comfyui.name] if comfyui else [])]
    kept: list[str] = []

    def keep(match: re.Match[str]) -> str:
        kept.append(match[0] if _PUBLIC.match(match[0]) else f"{match[0].partition('://')[0]}://...")
        return f"\0{len(kept) - 1}\0"

    line = _ADDRESS.sub(keep, line)
    line = _WINDOWS_PATH.sub(lambda match: _short(PureWindowsPath(match[0].rstrip()), told_from), line)
    for paths in (_QUOTED_PATH, _POSIX_PATH):
        line = paths.sub(lambda match: _short(PurePosixPath(match[0]), told_from), line)
    line = re.sub("\0(\\d+)\0", lambda match: kept[int(match[1])], _AT.sub("<name>", line))
    for name in sorted(set(names), key=len, reverse=True):
        line = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "<name>", line, flags=re.IGNORECASE)
    return line


def names_to_hide(environ: Mapping[str, str], home: str, computer: str, packages: Iterable[str]) -> list[str]:
    """The names that a report must not tell: those long enough to be one, and no part of a package's.

    Args:
        environ: The variables of the environment.
        home: The user's own folder.
        computer: The computer's name.
        packages: Names that a report tells of.
    """
    told = [one.lower() for one in packages]
    found = [environ.get(name, "") for name in ("USERNAME", "USER", "LOGNAME", "COMPUTERNAME", "HOSTNAME")]
    found += [PureWindowsPath(home).name, Path(home).name, computer, computer.partition(".")[0]]
    return [name for name in found if len(name) > 2 and not any(name.lower() in one for one in told)]


def _short(path: PureWindowsPath | PurePosixPath, told_from: list[str]) -> str:
    parts = path.parts
    for place, part in enumerate(parts):
        if part in told_from:
            return ".../" + "/".join(parts[place:])
    return f".../{path.name}" if path.suffix[1:].lower() in _TOLD_ENDS else "..."
