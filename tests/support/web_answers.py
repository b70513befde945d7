"""Answers of the pack's routes as a machine with a GPU gives them, for a page on a machine that has none."""

# The node Patch Sage Attention of the demo workflow.
NODE = "3"
GPU = "NVIDIA GeForce RTX 4090"
HOSTILE = '<img src=x onerror="window.hostile = true"><b>bold</b>'
CALL = "q 4608 x 24 x 128, kv 4608, bfloat16"
CROSS = "q 32760 x 40 x 128, kv 512, bfloat16"


def package(version: str, **more) -> dict:
    return {"version": version, "build": "", "modules": [], "files": None, "copies": [], **more}


def environment(gpu: str = GPU) -> dict:
    return {
        "python": {"version": "3.12.10", "tag": "cp312", "machine": "amd64", "embedded": True},
        "system": "windows",
        "release": "10.0.26100",
        "wsl": False,
        "torch": {"version": "2.11.0", "build": "cu130", "kind": "cuda", "cuda": "13.0"},
        "driver": "581.42",
        "gpus": [{"index": 0, "name": gpu, "capability": "8.9", "memory_mib": 24564}],
        "packages": {
            "torch": package("2.11.0"),
            "triton-windows": package("3.6.0.post25"),
            "sageattention": package("2.2.0", build="cu130torch2.10", fork="woct0rdho"),
            "comfy-kitchen": package("0.2.31"),
        },
        "comfyui": "0.33.0",
        "flags": ["use_sage_attention"],
        "pack": "0.1.0",
        "unread": [],
    }


def verdict(state: str, error: float | None = None, detail: str = "", **more) -> dict:
    return {
        "state": state,
        "error": error,
        "detail": detail,
        "seconds": 4.2,
        "cases": 41,
        "times": {},
        **more,
    }


def status(gpu: str = GPU) -> dict:
    reason = {"code": "triton-torch", "needed": "Triton 3.6 for torch 2.11", "came": "3.4"}
    return {
        "version": "0.1.0",
        "environment": environment(gpu),
        "verdicts": {
            gpu: {
                "sage2-int8-fp8": verdict("ok", 0.038, times={CALL: 0.56}),
                "sdpa-cudnn": verdict("ok", 0.0023, times={CALL: 0.5}),
                "sage1-int8-fp16": verdict("wrong", 0.28, "error 0.28 at 77 keys, 0.05 allowed"),
                "flash4": verdict("refused", None, "not-installed: needs flash-attn-4, got nothing"),
                "sage3-fp4": verdict("refused", None, "capability: needs 10.0 or 12.0, got 8.9"),
                "flash3": verdict("not-importable", None, "No module named 'flash_attn_interface'"),
                "kitchen-int8": verdict("crashed", None, "ended by signal 11"),
                "xformers": verdict("timed-out", None, "no answer within 60 s"),
            }
        },
        "kernels": {"sage3-fp4": {"title": "SageAttention 3: FP4", "capabilities": ["10.0", "12.0"]}},
        "times": {
            gpu: [
                {"call": CROSS, "host": 1.02, "kernels": {"sdpa-cudnn": 0.61, "sage2-int8-fp8": 1.3}},
                {"call": CALL, "host": 1.0, "kernels": {"sage2-int8-fp8": 0.25, "sdpa-cudnn": 0.5}},
            ]
        },
        **checking(0, 0),
        "remarks": ["The kernels were checked again, since the driver changed."],
        "mismatches": [
            {"reason": reason, "about": "triton-windows", "do": "Install 3.6.", "source": "triton-windows"}
        ],
        "limits": [],
        "notices": [],
    }


def checking(number: int, count: int) -> dict:
    """Of a status: the kernel check is at one of so many kernels; a count of 0 where none goes on."""
    left = [f"kernel-{one}" for one in range(number, count + 1)]
    line = f"checking kernels {number}/{count}; faster from the next run" if count else ""
    kernel = left[0] if left else ""
    badge = f"check {number}/{count}" if count else ""
    check = {"kernel": kernel, "left": left, "number": number, "count": count}
    check |= {"line": line, "badge": badge, "said": []}
    return {"checking": kernel, "check": check}


def step(code: str, title: str, shown: list[str], undo: list[str]) -> dict:
    return {
        "code": code,
        "title": title,
        "why": ["Triton belongs to one release of torch."],
        "commands": [],
        "shown": shown,
        "missing": "",
        "undo": [],
        "undo_shown": undo,
        "undo_missing": "",
        "by_hand": "",
        "undo_by_hand": "",
        "changes": [{"name": "triton-windows", "before": "3.4.0", "after": "triton-windows>=3.6,<3.7"}],
        "wheel": None,
        "sources": ["woct0rdho/triton-windows"],
    }


INSTALL = '.\\python_embeded\\python.exe -s -m pip install "triton-windows>=3.6,<3.7"'
GO_BACK = ".\\python_embeded\\python.exe -s -m pip install triton-windows==3.4.0"
OPTION = ".\\python_embeded\\python.exe -s -m pip install kernels"


def plan() -> dict:
    finding = {
        "reason": {"code": "other-pip", "needed": "this Python's pip", "came": "another Python's"},
        "about": "pip",
        "do": "Take the commands of the plan as they are.",
        "source": "Comfy-Org/ComfyUI#9826",
        "remark": True,
        "stops": False,
    }
    return {
        "plan": {
            "outcome": "repair",
            "summary": "Triton does not belong to this torch; the step below mends it.",
            "kind": "the embedded Python of ComfyUI portable",
            "host": "",
            "system": "windows",
            "place": "portable",
            "open_in": "Open the folder of ComfyUI portable in Explorer and type cmd.",
            "steps": [step("triton", "Install the Triton that belongs to torch 2.11", [INSTALL], [GO_BACK])],
            "options": [step("hub-kernel", "See what the Hub has", [OPTION], [])],
            "serving": [{"kernel": "sdpa-cudnn", "what": "cuDNN attention of PyTorch", "as_well": "yes"}],
            "findings": [finding],
            "mismatches": [],
            "answers": [
                {
                    "code": "libcudart",
                    "line": "ImportError: libcudart.so.12: cannot open shared object file",
                    "cause": "SageAttention was built for another CUDA.",
                    "fix": "Install the build for this torch and CUDA.",
                    "commands": [],
                }
            ],
            "unfit": [],
            "refused": [
                {
                    "file": "sageattention-2.2.0+cu128torch2.9-cp312-win_amd64.whl",
                    "reasons": [{"code": "cuda", "needed": "CUDA 12.8", "came": "13.0"}],
                }
            ],
        }
    }


def one_class(call: str, kernel: str, calls: int, reason: str = "", **more) -> dict:
    return {
        "call": call,
        "kernel": kernel,
        "reason": reason,
        "calls": calls,
        "milliseconds": 0.25 if kernel else None,
        "host_milliseconds": 1.0,
        "error": 0.031 if kernel else None,
        "times": {"sage2-int8-fp8": 0.25, "sdpa-cudnn": 0.5},
        "passed_over": {} if kernel else {"sage2-int8-fp8": ["slower: needs less than 1.02 ms, got 1.3"]},
        **more,
    }


ADVICE = "With quality fast it would have been about 1.10x faster: sage2-int8-fp8 was measured here."


def speed(**more) -> dict:
    parts = [
        {
            "kernel": "sage2-int8-fp8",
            "kind": "self",
            "tokens": 32760,
            "keys": 32760,
            "seconds": 20.6,
            "calls": 900,
        },
        {"kernel": "", "kind": "cross", "tokens": 32760, "keys": 512, "seconds": 4.12, "calls": 92},
    ]
    return {
        "seconds": 41.2,
        "without": 51.6,
        "gain": 1.252,
        "saved": 10.4,
        "attention_saved": 10.4,
        "measuring": 0.0,
        "timed_calls": 1000,
        "calls": 1000,
        "parts": parts,
        "advice": ADVICE,
        **more,
    }


def run(number: int = 17, **more) -> dict:
    return {
        "id": number,
        "node_id": NODE,
        "workflow": None,
        "model": "WAN21",
        "kernel": "auto",
        "quality": "balanced",
        "started": 1764000000.0 + number * 60,
        "state": "done",
        "seconds": 41.2,
        "speed": speed(),
        "kernels": {"sage2-int8-fp8": 900, "sdpa-cudnn": 60},
        "fallbacks": {"no-faster-kernel": 32, "device": 8},
        "seconds_saved": 10.4,
        "gain": 1.25,
        "line": "1.25x faster · Sage 900, cuDNN 60",
        "summary": "calls: sage2-int8-fp8 900, sdpa-cudnn 60, ComfyUI's own 40",
        "notes": ["block 3 ran exactly"],
        "warnings": [],
        "classes": [one_class(CALL, "sage2-int8-fp8", 900), one_class(CROSS, "", 32, "no-faster-kernel")],
        **more,
    }


def large_run(number: int, classes: int = 64, calls: int = 10_000) -> dict:
    """A run with as many sizes of call as a report holds."""
    made = [
        one_class(f"q {64 * n} x 24 x 128, kv 4608, run {number}", "sage2-int8-fp8", calls)
        for n in range(classes)
    ]
    return run(number, kernels={"sage2-int8-fp8": classes * calls}, fallbacks={}, classes=made)


def report(*runs: dict, nodes: list[dict] | None = None, running: list[dict] | None = None) -> dict:
    return {"runs": list(runs), "running": running or [], "nodes": nodes or []}


def message(node_id: str = NODE, node_type: str = "PatchSageAttention", **more) -> dict:
    return {
        "node_id": node_id,
        "node_type": node_type,
        "workflow": None,
        "line": "1.25x faster · Sage 900, cuDNN 60",
        "text": "calls: sage2-int8-fp8 900, sdpa-cudnn 60\nattention took about 10.4 s less",
        "badge": "1.25x",
        "busy": False,
        "warnings": [],
        "run": 17,
        "state": "done",
        "time": 1764000000.0,
        **more,
    }


def warning(text: str = "The guard kept sage2-int8-fp8 out of block 3.", code: str = "guard") -> dict:
    return {"code": code, "text": text}


def notice(number: str = "start-1", **more) -> dict:
    return {
        "id": number,
        "kind": "startup-fallback",
        "severity": "warn",
        "text": "ComfyUI started without sage attention: its kernel answers wrongly.",
        "time": 1764000000.0,
        **more,
    }
