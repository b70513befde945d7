"""How Python ended: the exceptions of a log, and crashes without one."""

import re
from collections.abc import Iterator

from .event import Crash, Raised
from .paste import Paste, flowing
from .prose import is_printed

_FATAL = flowing(
    r"Fatal Python error: (?:Aborted|Segmentation fault)|Windows fatal exception: [\w ]{3,40}"
    r"|Segmentation [Ff]ault|Exception Code: 0x\w{8}|0xC000(?:0005|0409|0374|001D)|SIG(?:SEGV|ABRT|ILL|BUS)"
    # The same numbers as a start file, a shell or a container tells them.
    r"|3221225477|3221226505|3221226356|3221225501|-1073741819|-1073740791|-1073740940|-1073741795"
    r"|\bAborted(?= \(core dumped\)|\n|$)|\(core dumped\)|exit(?:ed with)? code:? 13[249]\b"
    # As systemd and those who start a child process tell it.
    r"|status=\d{1,3}/(?:SEGV|ABRT|ILL|BUS)\b|(?:signal|exit code|returncode) -?(?:4|6|7|11)\b(?! ?%)"
    # The stack alone, where its first line was not copied.
    r"|^Stack \(most recent call first\)",
    re.MULTILINE,
)
_ON_STACK = re.compile(
    r"(sageattention|sageattn3?|attention_sage|flash_attn|xformers|libtriton|triton|comfy_kitchen|torch_hip|amdhip)",
    re.IGNORECASE,
)


def crashes(paste: Paste) -> Iterator[Crash]:
    """Every end of the process without an exception."""
    words = (
        "fatal python error",
        "windows fatal exception",
        "segmentation fault",
        "exception code: 0x",
        "0xc000",
        "322122",
        "-107374",
        "sigsegv",
        "sigabrt",
        "sigill",
        "sigbus",
        "status=",
        "signal ",
        "returncode",
        "aborted",
        "(core dumped)",
        "exit code",
        "exited with code",
        "stack (most recent call first)",
    )
    for place, match in paste.matches(words, _FATAL):
        stack = paste.text[place : place + 3_000]
        first = _ON_STACK.search(stack)
        if not first and not is_printed(paste, place, place + 1):
            # A person names it in the sentences before.
            first = _ON_STACK.search(paste.text[:place].rpartition("\n\n")[2][-600:])
        yield Crash(place, place + len(match[0]), first[1] if first else "")


_TAIL = re.compile(
    r"^(?P<type>(?:[A-Za-z_]\w{0,40}\.){0,5}(?:[A-Z]\w{2,40}"
    r"(?:Error|Exception|Failed|Unsupported|Missing|OutOfResources|Exit)"
    r"|Exception|Unsupported|OutOfResources)): ?"
    r"(?P<message>[^\n]{0,400})",
    re.MULTILINE,
)
_REPORTED = flowing(
    r"Exception Type:\*{0,3}:? (?P<type>[\w.]{3,80})\n"
    r"[^\n]{0,10}\*{0,3}Exception Message:\*{0,3}:? (?P<message>[^\n]{0,400})"
)
_DURING = flowing(r"!!! Exception during processing ?!!![ ]?(?P<type>)(?P<message>[^\n]{1,400})")
# A terminal or a mail may have broken a path anywhere.
_FRAME = flowing(
    r'^File "(?P<path>[^"]{1,400})", ?l\s?i\s?n\s?e ?\d{1,8}(?:,? in (?P<function>[\w.<>]{1,100}))?',
    re.MULTILINE,
)
# So much of a traceback can stand before or after its message.
_TRACEBACK = 6_000
_INSTALLED = re.compile(r"(?:site|dist)-packages[\\/]{1,2}(\w{1,80})")
_PACK = re.compile(r"custom_nodes[\\/]{1,2}([\w.-]{1,80})")
_HOST = re.compile(
    r"(?:^|[\\/])(?:comfy(?:_extras|_api|_execution)?[\\/][\w\\/]{1,120}|execution|nodes|server|folder_paths)\.py$"
)
HOST = "ComfyUI"
# They raise for whoever called them wrongly.
_CALLED = {"torch", "numpy", "einops", "safetensors", "PIL"}
# What ComfyUI writes before the message where a pack did not load.
_NOT_LOADED = flowing(r"custom_nodes[\\/]{1,2}([\w.\n-]{1,80}) module for custom nodes: ?$")


def raised(paste: Paste) -> Iterator[Raised]:
    """Every exception, running out of memory aside."""
    found = [
        *paste.matches(
            ("error: ", "exception: ", "failed: ", "unsupported: ", "missing: ", "outofresources: "), _TAIL
        ),
        *paste.matches(("exception type:",), _REPORTED),
        *paste.matches(("!!! exception during processing",), _DURING),
    ]
    for place, match in found:
        if "OutOfMemory" in match["type"] or "out of memory" in match["message"]:
            continue
        # PowerShell tells so where its script stopped.
        if re.search(r"\.ps1:\d{1,6}$", match["message"].rstrip()):
            continue
        package, function = raiser(paste, place)
        packs = ", ".join(packs_on_the_way(paste, place))
        yield Raised(place, place + len(match[0]), match["type"], match["message"], package, function, packs)


def raiser(paste: Paste, place: int) -> tuple[str, str]:
    """Whose code a place in a log is about, and the function in it: by its last frame, else by its line."""
    before = paste.text[max(0, place - 400) : place]
    if pack := _NOT_LOADED.search(before):
        return pack[1].replace("\n", "").removesuffix(".py"), ""
    called = ("", "")
    for path, function in reversed(_frames(paste, place)):
        if found := _PACK.search(path) or _INSTALLED.search(path):
            if found[1] not in _CALLED:
                return found[1], function
            called = called if called[0] else (found[1], function)
        elif _HOST.search(path):
            return HOST, function
    return called


def packs_on_the_way(paste: Paste, place: int) -> list[str]:
    """The node packs whose files stand in the traceback around a place, the nearest to the error first."""
    found = [_PACK.search(path) for path, _ in reversed(_frames(paste, place))]
    named = _NOT_LOADED.search(paste.text[max(0, place - 400) : place])
    first = [named[1].replace("\n", "").removesuffix(".py")] if named else []
    return list(dict.fromkeys([*first, *(one[1] for one in found if one)]))


def _frames(paste: Paste, place: int) -> list[tuple[str, str]]:
    """The files and functions of the traceback that a place belongs to."""
    before = paste.text[max(0, place - _TRACEBACK) : place].rpartition("Traceback (most recent")[2]
    after = paste.text[place : place + _TRACEBACK].split("Traceback")[0]
    return [(path.replace("\n", ""), function) for path, function in _FRAME.findall(f"{before}\n{after}")]
