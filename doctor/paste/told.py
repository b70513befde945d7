"""What a pasted log tells of the machine it is from: system, GPU, torch, flags, the attention that ran."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields

from ...knowledge.gpus import capability_of
from .maker import APPLE, maker_of
from .paste import Paste, flowing

SAGE, FLASH, XFORMERS, PYTORCH, SPLIT, KITCHEN = "sage", "flash", "xformers", "pytorch", "split", "kitchen"

Version = tuple[int, ...]


@dataclass(frozen=True)
class Told:
    """Facts about a machine; what nothing tells is empty.

    Attributes:
        system: "windows", "linux" or "darwin".
        wsl: Linux under Windows.
        container: It runs in Docker or the like.
        maker: Of the GPU: see ``maker``.
        gpu: Its name.
        capability: (8, 9); or that of the code a compiler was asked for.
        torch: "2.8.0+cu129".
        python: "3.12.10".
        embedded: It is ComfyUI portable's Python.
        triton: Version.
        sage: Version of SageAttention.
        sage_place: Where it is installed, "egg" for an .egg.
        flags: ComfyUI's start options.
        attention: Which one ComfyUI says it uses.
        compute: What the model is computed in, "float16".
    """

    system: str = ""
    wsl: bool = False
    container: bool = False
    maker: str = ""
    gpu: str = ""
    capability: Version = ()
    torch: str = ""
    python: str = ""
    embedded: bool = False
    triton: str = ""
    sage: str = ""
    sage_place: str = ""
    flags: frozenset[str] = frozenset()
    attention: str = ""
    compute: str = ""

    @property
    def known(self) -> frozenset[str]:
        """The names of what is told."""
        return frozenset(one.name for one in fields(self) if getattr(self, one.name))


def read_facts(paste: Paste) -> Told:
    """What a paste tells."""
    gpu = _gpu(paste)
    torch = _last(paste, _TORCH)
    maker = maker_of(paste, gpu, torch)
    return Told(
        system=_system(paste, maker),
        wsl=paste.has("microsoft-standard") or paste.has("/usr/lib/wsl/"),
        container=any(
            map(paste.has, ("dockerfile", "docker run", "docker compose", "/opt/venv/", "/workspace/"))
        ),
        maker=maker,
        gpu=gpu,
        capability=_capability(paste, gpu),
        torch=torch,
        python=_last(paste, _PYTHON),
        embedded=paste.has("python_embeded"),
        triton=_last(paste, _TRITON),
        sage=_last(paste, _SAGE),
        sage_place="egg" if _last(paste, _EGG) else "",
        flags=_flags(paste),
        attention=_attention(paste),
        compute=_last(paste, _COMPUTE),
    )


def _told(*rows: tuple[str, str]) -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((word, flowing(expression, re.IGNORECASE)) for word, expression in rows)


_VERSION = (
    r"(\d{1,8}\.\d{1,8}(?:\.\d{1,8})?(?:\.dev\d{1,8}|a\d{1,8}|rc\d{1,8}|\.post\d{1,8})?(?:\+[\w.]{1,40})?)"
)
_TORCH = _told(
    ("pytorch version", rf"pytorch version:?\*{{0,3}}:? ?{_VERSION}"),
    ("pytorch", rf"\bpytorch:? v?{_VERSION}(?! \(or| or )"),
    ("torch", rf"(?<![\w-])(?<!- )torch(?:==|: | version:? ){_VERSION}"),
    ("you have", rf"pytorch [\d.]{{1,20}}\S{{{0, 12}}} with cuda \S{{{1, 8}}} \(you have {_VERSION}\)"),
)
_PYTHON = _told(
    ("python version", r"python version:?\*{0,3}:? ?(\d{1,8}\.\d{1,8}\.\d{1,8})"),
    ("python", r"using python (\d{1,8}\.\d{1,8}\.\d{1,8}) environment"),
    ("python", r"(?:^|[\s-])python:? (3\.\d{1,8}\.\d{1,8})"),
    ("cpython-3", r"()cpython-3(?!)"),
)
_TRITON = _told(
    ("triton", rf"triton(?:[-_]windows)?(?:==|[:]? version:? |: ?|[-_](?=3\.)){_VERSION}"),
)
_SAGE = _told(
    ("sageattention", rf"sageattention(?:==|: ?| version:? |[-_ ](?=[12]\.)){_VERSION}"),
)
_EGG = _told(("sageattention", r"sageattention-[\w.+-]{1,60}(\.egg)"))
_COMPUTE = _told(
    ("manual cast", r"manual cast: torch\.(float16|bfloat16|float32)"),
    ("weight dtype", r"weight dtype torch\.(float16|bfloat16|float32)"),
)
_GPU = _told(
    ("device:", r"device: (?:cuda|xpu|privateuseone|npu):\d{1,8} ([^:\n]{3,60}?)(?: :|$|\n)"),
    ("name:", r"\*?name:\*{0,3}:? (?:cuda|xpu):\d{1,8} ([^:\n]{3,60}?)(?: :|$|\n)"),
    ("with cuda capability", r"((?:nvidia|tesla|quadro)[\w .()-]{3,50}?) with cuda capability"),
    ("which is of cuda capability", r"found gpu\d ([\w .()-]{3,50}?) which is of cuda capability"),
    (
        "geforce",
        r"((?:nvidia )?geforce (?:rtx|gtx) [\w ]{3,20}?)(?=[ ]{0,4}(?:[,;:|()\n]|$|\d{1,8}MiB|with|gpu))",
    ),
    ("rtx", r"\b(rtx (?:pro )?(?:a?\d{3,4})(?: ?(?:ti|super|d|laptop|ada|blackwell)\b){0,2})"),
    ("gtx", r"\b(gtx \d{3,4}(?: ?(?:ti|super))?)"),
    ("radeon", r"((?:amd )?radeon[\w ()]{3,30}?)(?=[ ]{0,4}(?:[,;:|(\n]|$))"),
    ("rx ", r"\b((?:amd )?rx ?[5-9]\d{3} ?(?:xtx|xt|gre|s|m)?)\b"),
    ("arc", r"(intel[\w() ]{0,12}arc[\w() ]{2,30})"),
)
_FLAG = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]{2,40}")
_USING = (
    ("using sage attention", SAGE),
    ("using sageattention", SAGE),
    ("to use sageattn", SAGE),
    ("attention mode: sageattn", SAGE),
    ("sageattentionpatch", SAGE),
    ("pathchsageattentionkj", SAGE),
    ("error running sage attention", SAGE),
    ("using flash attention", FLASH),
    ("using xformers attention", XFORMERS),
    ("using xformers cross attention", XFORMERS),
    ("using pytorch attention", PYTORCH),
    ("using pytorch cross attention", PYTORCH),
    ("using sub quadratic optimization", SPLIT),
    ("using split optimization", SPLIT),
    ("using comfy kitchen attention", KITCHEN),
)
_NOT_USED = re.compile(
    r"without|remov|leav|instead of|try using|to use|unrecognized|not |disabl|\bno |delete|drop|`$"
)
_CAPABILITY = _told(
    ("cuda capability", r"cuda capability (?:sm_)?(\d{1,2}\.?\d)\b"),
    ("compute capability", r"compute capability[ (]{1,3}(?:sm_?)?(\d{1,2}\.?\d)\b(?! or higher)"),
    ("gpu-name=sm_", r"gpu-name=sm_(\d{2,3})"),
    ("architecture: sm", r"architecture: sm(\d{2,3})\b"),
    ("compute capabilities: {", r"compute capabilities: \{'(\d{1,2}\.\d)"),
)


def _last(paste: Paste, rows: tuple[tuple[str, re.Pattern[str]], ...]) -> str:
    """What the first of several expressions finds last."""
    for word, expression in rows:
        if found := [match[1] for _, match in paste.matches((word,), expression) if match[1]]:
            return found[-1].strip()
    return ""


def _gpu(paste: Paste) -> str:
    return re.sub(r"\s+", " ", _last(paste, _GPU)).strip(" .-")


def _capability(paste: Paste, gpu: str) -> Version:
    if by_name := capability_of(gpu):
        return by_name
    number = _last(paste, _CAPABILITY).replace(".", "")
    return (int(number[:-1]), int(number[-1])) if len(number) >= 2 else ()


_WINDOWS = re.compile(
    r"(?<![\w])[A-Za-z]:\\{1,2}[\w .-]|(?<![\w])[A-Za-z]:/(?!/)[\w .-]{1,80}/[\w .-]"
    r"|\[MSC v|Microsoft Visual C\+\+|vcvars\w{2,5}\.bat"
    r"|WinError|_amd64\.pyd|DLL load failed|\bcl(\.exe)? is not found|\w\.exe\b|\w\.dll\b"
)
_LINUX = re.compile(
    r"(?<![\w:])/(?:home|root|usr|opt|mnt|workspace|tmp|var|comfy|venv)/\w"
    r"|\[GCC |-linux-gnu|/usr/bin/ld|undefined symbol: |\.so\b|'g\+\+'|lib/python3\.\d{1,8}/site-pack"
)
_MAC = re.compile(r"(?<![\w:])/(?:Users|Applications|Library|opt/homebrew)/|Mac Version|macOS|-darwin\.so")


def _system(paste: Paste, maker: str) -> str:
    for word, system in (
        ("os:** win32", "windows"),
        ("os:** nt", "windows"),
        ("platform: windows", "windows"),
    ):
        if paste.has(word):
            return system
    if paste.has("platform: darwin") or paste.has("os:** darwin") or maker == APPLE:
        return "darwin"
    if paste.has("platform: linux"):
        return "linux"
    counts = {
        "windows": _count(paste, _WINDOWS),
        "darwin": _count(paste, _MAC) * 2,
        "linux": _count(paste, _LINUX),
    }
    best = max(counts, key=lambda name: counts[name])
    return best if counts[best] else ""


def _count(paste: Paste, expression: re.Pattern[str]) -> int:
    # Both ends of a log are of the same machine.
    text = paste.text
    parts = (text,) if len(text) < 60_000 else (text[:30_000], text[-30_000:])
    return sum(1 for part in parts for _ in expression.finditer(part))


def _flags(paste: Paste) -> frozenset[str]:
    """The options of the last start that the log shows."""
    found: set[str] = set()
    for word in (
        "main.py",
        "arguments:",
        "launch args",
        "started with",
        "starting with",
        "comfy launch",
        "extra args",
    ):
        for start, _ in paste.windows(word, 0, 0):
            end = paste.text.find("\n", start)
            line = paste.text[start : min(end if end >= 0 else start + 1_500, start + 1_500)]
            found.update(_FLAG.findall(line))
            # A starter of its own writes them without dashes, in brackets.
            if bare := re.search(r"\[ ([a-z0-9 -]{3,300}) \]", line):
                found.update(f"--{one.lstrip('-')}" for one in bare[1].split())
            if "--fast" in line:
                found.update(re.findall(r"fp16_accumulation|fp8_matrix_mult|cublas_ops|autotune", line))
    found.update(_in_prose(paste))
    if paste.has("enabled fp16 accumulation"):
        found.add("fp16_accumulation")
    return frozenset(found)


def _in_prose(paste: Paste) -> Iterator[str]:
    """The options that somebody writes to have used; not those that a log offers or that were left away."""
    for word in ("--use-", "--fast", "--fp16-", "--force-", "--bf16-"):
        for place in paste.places(word):
            before = paste.lower[max(0, place - 40) : place]
            after = paste.lower[place : place + 80]
            if (
                not _NOT_USED.search(before)
                and "` feature" not in after
                and (flag := _FLAG.match(paste.lower, place))
            ):
                yield flag[0]


def _attention(paste: Paste) -> str:
    found = [
        (place, kind)
        for word, kind in _USING
        for place in paste.places(word)
        if not _of_the_vae(paste, place + len(word))
    ]
    if not found and "--use-sage-attention" in _flags(paste):
        return SAGE
    return max(found)[1] if found else ""


def _of_the_vae(paste: Paste, end: int) -> bool:
    return paste.lower[end : end + 7] == " in vae"
