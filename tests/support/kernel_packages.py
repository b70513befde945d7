"""Stand-ins for kernel packages, and their absence: folders that go on a server's PYTHONPATH."""

from pathlib import Path

# Halved attention: other bits wherever it runs, and finite, so that the run goes on.
_SAGE = """
import torch

def sageattn(q, k, v, tensor_layout="HND", attn_mask=None, is_causal=False, sm_scale=None, **ignored):
    nhd = tensor_layout == "NHD"
    q, k, v = (x.transpose(1, 2) if nhd else x for x in (q, k, v))
    out = 0.5 * torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=attn_mask, scale=sm_scale)
    return out.transpose(1, 2) if nhd else out
"""

_FLASH = """
import torch

def flash_attn_func(q, k, v, dropout_p=0.0, causal=False, softmax_scale=None):
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    out = 0.5 * torch.nn.functional.scaled_dot_product_attention(q, k, v)
    return out.transpose(1, 2).contiguous()
"""

IMPORT_ERROR = "DLL load failed while importing _qattn: The specified procedure could not be found."
_BROKEN = f'raise ImportError("{IMPORT_ERROR}")\n'

# Python runs this file at start. It hides packages from imports and from look-ups of versions, so that a
# machine that has them stands for one that does not.
_HIDDEN = """
import importlib.machinery
import sys

NAMES = ("sageattention", "sageattn3", "flash_attn", "flash_attn_interface", "triton", "xformers")


class Finder(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in NAMES else super().find_spec(name, path, target)

    @classmethod
    def find_distributions(cls, context):
        named = (context.name or "").replace("-", "_")
        found = super().find_distributions(context)
        return iter(()) if named in NAMES else found


place = sys.meta_path.index(importlib.machinery.PathFinder)
sys.meta_path[place] = Finder
"""

# What a kernel that --use-sage-attention asks for may do; "right" is what it should.
_ANSWERS = {
    "right": "out",
    "wrong": "1.5 * out",
    "nan": "out * float('nan')",
    "raising": "1 / 0",
    "aborting": "os.abort()",
    "sleeping": "time.sleep(3600)",
}
_ANSWERING = """
import os
import time
import torch

def sageattn(q, k, v, tensor_layout="HND", is_causal=False, sm_scale=None, **ignored):
    nhd = tensor_layout == "NHD"
    q, k, v = (x.transpose(1, 2) if nhd else x for x in (q, k, v))
    out = torch.nn.functional.scaled_dot_product_attention(q.float(), k.float(), v.float(), scale=sm_scale)
    out = ({answer})
    return (out.transpose(1, 2) if nhd else out).to(q.dtype)
"""

# SageAttention 2 hides why a compiled module does not import, and finds out when it is called.
_WITHOUT_A_MODULE = """
try:
    from . import _qattn_sm89
    SM89_ENABLED = True
except Exception:
    SM89_ENABLED = False

def sageattn(q, k, v, tensor_layout="HND", is_causal=False, sm_scale=None, **ignored):
    assert SM89_ENABLED, "SM89 kernel is not available"
"""

METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"

FILES = {
    "sageattention": {
        "sageattention/__init__.py": _SAGE,
        "sageattention-1.0.6.dist-info/METADATA": METADATA.format(name="sageattention", version="1.0.6"),
    },
    "flash_attn": {
        "flash_attn/__init__.py": _FLASH,
        "flash_attn-2.8.3.dist-info/METADATA": METADATA.format(name="flash-attn", version="2.8.3"),
    },
    "broken sageattention": {
        "sageattention/__init__.py": _BROKEN,
        "sageattention-1.0.6.dist-info/METADATA": METADATA.format(name="sageattention", version="1.0.6"),
    },
    "none": {"sitecustomize.py": _HIDDEN},
    # What SageAttention 1 does where Triton is missing.
    "sageattention without triton": {
        "sageattention/__init__.py": "import triton_that_is_not_there\n",
        "sageattention-1.0.6.dist-info/METADATA": METADATA.format(name="sageattention", version="1.0.6"),
    },
}
FILES |= {
    f"{name} sageattention": {
        "sageattention/__init__.py": _ANSWERING.format(answer=answer),
        "sageattention-1.0.6.dist-info/METADATA": METADATA.format(name="sageattention", version="1.0.6"),
    }
    for name, answer in _ANSWERS.items()
}
FILES["sageattention without a module"] = {
    "sageattention/__init__.py": _WITHOUT_A_MODULE,
    "sageattention-2.2.0.dist-info/METADATA": METADATA.format(name="sageattention", version="2.2.0"),
}
FILES["newer sageattention"] = {
    "sageattention/__init__.py": _ANSWERING.format(answer=_ANSWERS["right"]),
    "sageattention-1.0.7.dist-info/METADATA": METADATA.format(name="sageattention", version="1.0.7"),
}
# What a package may do while it is imported; ComfyUI expects an ImportError alone.
FAULTS = {
    "ImportError": _BROKEN,
    "OSError": "raise OSError('[WinError 127] The specified procedure could not be found')\n",
    "SyntaxError": "def broken(:\n",
    "MemoryError": "raise MemoryError\n",
    "SystemExit": "import sys\nsys.exit('needs a CUDA device')\n",
    "RuntimeError": "raise RuntimeError('CUDA driver initialization failed')\n",
    "a name that raises": "def __getattr__(name):\n    raise RuntimeError('no driver for ' + name)\n",
    "segmentation fault": "import ctypes\nctypes.string_at(0)\n",
    "abort": "import os\nos.abort()\n",
    "exit": "import os\nos._exit(3)\n",
    "hang": "import time\ntime.sleep(3600)\n",
}
_NO_FAULTS = {
    "nothing": "def sageattn(*args, **kwargs):\n    raise NotImplementedError\n",
    "import sage_helper": "import sage_helper\n\n\ndef sageattn(*args, **kwargs):\n    pass\n",
}
# Parts of what is said of each.
FAULT_WORDS = {
    "ImportError": "DLL load failed while importing _qattn",
    "SystemExit": "needs a CUDA device",
    "a name that raises": "no driver for",
    "segmentation fault": "SIGSEGV",
    "abort": "SIGABRT",
    "exit": "code 3",
    "hang": "timed-out",
}
VERSIONS = {"sageattention": "2.2.0", "sageattn3": "1.0.0", "flash_attn": "2.8.3", "xformers": "0.0.33"}


def write_broken(folder: Path, faults: dict[str, str]) -> Path:
    """Writes packages that fail as FAULTS tells under a folder, and returns that folder.

    Args:
        folder: Where to.
        faults: The fault of each package; "xformers.ops" is that of a part of a package.
    """
    for module, fault in faults.items():
        name, _, part = module.partition(".")
        if part:
            _write_file(folder / name / "__init__.py", "")
        source = {**FAULTS, **_NO_FAULTS}[fault]
        _write_file(folder / name / (f"{part}.py" if part else "__init__.py"), source)
        metadata = METADATA.format(name=name.replace("_", "-"), version=VERSIONS[name])
        _write_file(folder / f"{name}-{VERSIONS[name]}.dist-info" / "METADATA", metadata)
    return folder


def _write_file(file: Path, source: str) -> None:
    """A file that is there already keeps its time stamp, as an installed one does."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists() or file.read_text(encoding="utf-8") != source:
        file.write_text(source, encoding="utf-8")


def write(folder: Path, kind: str, metadata: bool = True) -> Path:
    """Writes the files of one of FILES under a folder, with or without metadata, and returns that folder."""
    for name, source in FILES[kind].items():
        if not metadata and ".dist-info/" in name:
            continue
        _write_file(folder / name, source)
    return folder
