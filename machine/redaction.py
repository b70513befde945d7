"""What leaves this machine tells no names of a user or computer, no secrets, and no folders outside ComfyUI.

All ways out go through here: what the page asks for, what is copied from it, the log, the report. A command
is never redacted, since what is cut out of one makes another of it: it is written for a folder that names
nobody.
"""

import functools
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from .printable import printable, words

# Letters that are told of what an error says.
_WORDS_OF_AN_ERROR = 320
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


# Tokens that services make so that they can be told, and what follows a word for one.
_TOKEN = re.compile(
    r"\b(?:hf_[A-Za-z0-9]{16,}|gh[a-z]_[A-Za-z0-9]{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}|sk-[\w-]{16,}"
    r"|xox[a-z]-[\w-]{10,}|AKIA[0-9A-Z]{16}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]+)"
)
_SECRET_WORDS = r"token|secret|passw(?:or)?d|passphrase|credential|api[_-]?key|access[_-]?key|private[_-]?key"
_NAMED_SECRET = re.compile(
    rf"((?:{_SECRET_WORDS})[\w-]*[\"']?\s*[=:]\s*[\"']?)(?:(?:bearer|basic)\s+)?[^\s\"',;&)]{{6,}}"
    r"|(\b(?:bearer|basic)\s+)[\w.~+/=-]{8,}",
    re.IGNORECASE,
)
_SECRET_VARIABLE = re.compile(rf"{_SECRET_WORDS}|^auth|_auth|cookie|_key$|_pat$|_pwd$", re.IGNORECASE)
_QUERY = re.compile(r"([?&][^=&#\s]*(?:token|key|secret|sig|pass|auth)[^=&#\s]*=)[^&#\s]*", re.IGNORECASE)
# Accounts that machines are set up with: they name nobody, and are words.
_NOBODY = frozenset(
    {
        *("root", "user", "users", "admin", "administrator", "owner", "default", "guest", "public", "system"),
        *("windows", "linux", "ubuntu", "debian", "nvidia", "cuda", "comfy", "comfyui", "python", "torch"),
        *("docker", "runner", "jovyan", "vscode", "workspace", "localhost", "desktop", "home", "test"),
    }
)
# Nothing that is redacted is without one of these, but for names and secrets.
_MAY_TELL = re.compile(r"[/\\~@:=]|[_-]\w{8}|bearer|basic|AKIA", re.IGNORECASE)


@dataclass(frozen=True)
class Hidden:
    """What this machine does not tell of.

    Attributes:
        names: Of the user and the computer.
        secrets: Values of the environment's variables that are called one.
    """

    names: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()

    def redact(self, line: str) -> str:
        """A line without them, and without folders."""
        # A code of ours has no space: one that is a user's name, too, stays a code.
        names = self.names if " " in line or _MAY_TELL.search(line) else ()
        if not names and not _MAY_TELL.search(line) and not any(one in line for one in self.secrets):
            return line
        return redact(line, names, secrets=self.secrets)

    def redact_all(self, value: Any) -> Any:
        """The same of every text in a JSON-ready value; names of fields stay."""
        if isinstance(value, str):
            return self.redact(value)
        if isinstance(value, (list, tuple)):
            return [self.redact_all(one) for one in value]
        if isinstance(value, Mapping):
            return {key: self.redact_all(one) for key, one in value.items()}
        return value


@functools.cache
def of_this_machine() -> Hidden:
    """What is hidden here, read once."""
    # Not platform.node(): on Windows it asks what can hang, and COMPUTERNAME says it.
    computer = os.uname().nodename if hasattr(os, "uname") else ""
    home = os.path.expanduser("~")
    return Hidden(tuple(names_to_hide(os.environ, home, computer, ())), tuple(secrets_of(os.environ)))


def words_of(error: BaseException) -> str:
    """What an error says, in one line for a log or a page: whoever raised it, and with whatever in it."""
    return of_this_machine().redact(printable(words(error), _WORDS_OF_AN_ERROR))


def secrets_of(environ: Mapping[str, str]) -> list[str]:
    """The values of the variables whose names say that they are secret, the longest first."""
    found = {
        value.strip()
        for name, value in environ.items()
        if _SECRET_VARIABLE.search(name) and len(value.strip()) >= 6 and not _is_plain(value.strip())
    }
    return sorted(found, key=len, reverse=True)


def _is_plain(value: str) -> bool:
    """A switch, a number or a path: what stands in many a text, and is no secret."""
    return value.lower() in ("disable", "disabled", "enabled") or value.isdigit() or os.path.isabs(value)


def redact(
    line: str, names: Iterable[str] = (), comfyui: Path | None = None, secrets: Iterable[str] | None = None
) -> str:
    """A line without user names, computer names, secrets, and folders outside ComfyUI.

    Args:
        line: Without a command.
        names: That stand for somebody.
        comfyui: The folder of the host: its own name is the first part of a path that is told.
        secrets: Words to take out; None for those of this process.
    """
    for secret in of_this_machine().secrets if secrets is None else secrets:
        line = line.replace(secret, "<secret>")
    line = _NAMED_SECRET.sub(lambda found: f"{found[1] or found[2]}<secret>", _TOKEN.sub("<secret>", line))
    told_from = [*_TOLD_FROM, *([comfyui.name] if comfyui else [])]
    kept: list[str] = []

    def keep(match: re.Match[str]) -> str:
        public = _QUERY.sub(r"\1...", match[0])
        kept.append(public if _PUBLIC.match(match[0]) else f"{match[0].partition('://')[0]}://...")
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
    return [
        name
        for name in found
        if len(name) > 2 and name.lower() not in _NOBODY and not any(name.lower() in one for one in told)
    ]


def _short(path: PureWindowsPath | PurePosixPath, told_from: list[str]) -> str:
    parts = path.parts
    for place, part in enumerate(parts):
        if part in told_from:
            return ".../" + "/".join(parts[place:])
    return f".../{path.name}" if path.suffix[1:].lower() in _TOLD_ENDS else "..."
