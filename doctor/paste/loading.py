"""Compiled modules that did not load: which, whose, and why, in whichever language the system said it."""

import re
from collections.abc import Iterator

from ...knowledge.facts import table
from .event import ModuleFailure
from .paste import Paste, flowing

_FIRST_PATH = re.compile(
    r"(?:site|dist)-packages[\\/]{1,2}([A-Za-z]\w{1,40})(?:-[\w.+]{1,60}\.egg[\\/]{1,2}\w{1,80})?[\\/.]"
)
_DLL = flowing(
    r"DLL load failed while importing (?P<module>\w{1,60}) ?:?(?P<said>[^\n]{0,200})(?P<more>\n[^\n]{0,40})?"
)
_SYMBOL = flowing(
    r"(?:(?P<path>[^\s'\"]{1,300}?\.(?:so|dylib)(?:\.\d{1,8}){0,3}): )?"
    r"undefined symbol: (?P<what>[\w@.]{1,200})"
)
_LIBRARY = flowing(r"(?P<what>lib[\w+-]{1,60}\.so(?:\.\d{1,8}){0,3}): cannot open shared object file")
_RUNTIME = flowing(
    r"(?P<where>/[^\s:]{1,200}): version `(?P<what>(?:GLIBC|GLIBCXX|CXXABI)_[\d.]{1,20})' not found"
    r"(?: \(required by (?P<path>[^)\n]{1,300})\))?"
)
_WINERROR = flowing(
    r"\[WinError (?P<number>126|127|182|193|1114)\] ?(?P<said>[^\n]{0,200}?)"
    r"(?:\"|')(?P<path>[^\"'\n]{1,300}\.(?:dll|pyd))"
)
_NUMBERS = {"126": "library", "127": "procedure", "182": "procedure", "193": "runtime", "1114": "start"}


def modules(paste: Paste) -> Iterator[ModuleFailure]:
    """Every compiled module that did not load."""
    for place, match in paste.matches(("dll load failed while importing",), _DLL):
        near = paste.text[max(0, place - 1_200) : place + 600]
        # A terminal may have broken the line.
        broken = (
            _reason(match["said"]) == "unsaid" and _reason(match["said"] + (match["more"] or "")) != "unsaid"
        )
        said = match["said"] + (match["more"] or "" if broken else "")
        yield ModuleFailure(
            place,
            place + (match.end() if broken else match.end("said")) - match.start(),
            match["module"],
            _package_of(match["module"], near),
            _reason(said),
        )
    for place, match in paste.matches(("undefined symbol",), _SYMBOL):
        path = match["path"] or ""
        module = re.split(r"[\\/]", path)[-1].split(".")[0]
        yield ModuleFailure(
            place, place + len(match[0]), module, _package_of(module, path + "/"), "symbol", match["what"]
        )
    for place, match in paste.matches(("cannot open shared object file",), _LIBRARY):
        near = paste.text[max(0, place - 1_500) : place + 300]
        yield ModuleFailure(place, place + len(match[0]), "", _package_of("", near), "library", match["what"])
    for place, match in paste.matches(("glibc_", "glibcxx_", "cxxabi_"), _RUNTIME):
        path = match["path"] or ""
        yield ModuleFailure(
            place, place + len(match[0]), "", _package_of("", path + "/"), "runtime", match["what"]
        )
    for place, match in paste.matches(("[winerror 1",), _WINERROR):
        module = re.split(r"[\\/]", match["path"])[-1].rpartition(".")[0]
        yield ModuleFailure(
            place,
            place + len(match[0]),
            module,
            _package_of(module, match["path"] + "\\"),
            _NUMBERS[match["number"]],
        )


def _reason(said: str) -> str:
    """What the system said, in whichever language it said it."""
    if number := re.search(r"WinError (126|127|182|193|1114)", said):
        return _NUMBERS[number[1]]
    said = " ".join(said.lower().split())
    messages: dict[str, list[str]] = table("symptoms")["windows_messages"]["words"]
    for reason, words in messages.items():
        if any(word in said for word in words):
            return reason
    return "unsaid"


_MODULES = (
    (r"_qattn|^_fused$|^sageattn", "sageattention"),
    (r"^fp4(attn|quant)", "sageattn3"),
    (r"^flash_attn|^flash_api", "flash-attn"),
    (r"^libtriton|^triton$", "triton"),
    (r"^(cuda_utils|hip_utils|__triton_launcher|main|stub)$", "triton-helper"),
    (
        r"^(c10|c10_cuda|torch|torch_cpu|torch_cuda|torch_python|fbgemm|shm|asmjit|caffe2_nvrtc|cudnn\w*|nvrtc\w*|zlibwapi)$",
        "torch",
    ),
    (r"^libtorch(_\w{2,20})?$|^libc10(_\w{2,10})?$", "torch"),
)
_PACKAGES = {
    "flash_attn": "flash-attn",
    "flash_attn_interface": "flash-attn",
    "flash_attn_3": "flash-attn",
    "comfy_kitchen": "comfy-kitchen",
    "_C": "torch",
}


def _package_of(module: str, near: str) -> str:
    for expression, package in _MODULES:
        if module and re.search(expression, module):
            return package
    found = _FIRST_PATH.findall(near.replace("\n", " "))
    if not found:
        loose = re.search(r"(flash_attn|xformers|sageattention|bitsandbytes|torchaudio|torchvision)", near)
        found = [loose[1]] if loose else []
    name = found[-1] if found else ""
    return _PACKAGES.get(name, name)
