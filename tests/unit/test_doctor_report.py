"""The report for forums: nobody's name, no folder beyond ComfyUI's."""

from pathlib import Path

import pytest
from sagekit.doctor.report import block
from sagekit.machine.redaction import names_to_hide, redact

COMFYUI = Path("/data/people/ann/ComfyUI")
PACKAGES = ("torch", "comfy-kitchen")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (r"C:\Users\Ann Muster\ComfyUI\custom_nodes\x\y.py", ".../ComfyUI/custom_nodes/x/y.py"),
        (r'File "C:\Users\Ann Muster\AppData\Local\x.py", line 3', 'File ".../x.py", line 3'),
        (r"D:\secret client\models", "..."),
        (r"\\server\share\ann\tool.exe failed", ".../tool.exe failed"),
        (r"\\?\C:\Users\ann\x.dll: not found", ".../x.dll: not found"),
        ("C:/Users/ann/thing.py raised", ".../thing.py raised"),
        ("/home/ann/.triton/cache/abc", "..."),
        ("/home/ann", "..."),
        ("~/secret/x", "..."),
        ('File "/home/ann/My Project/x.py", line 3, in f', 'File ".../x.py", line 3, in f'),
        (
            "/home/ann/venv/lib/python3.12/site-packages/sageattention/core.py",
            ".../site-packages/sageattention/core.py",
        ),
        ("/data/people/ann/ComfyUI/main.py", ".../ComfyUI/main.py"),
        ("PermissionError: '/root/.triton'", "PermissionError: '...'"),
        # What a name, a share, a mount or a shell makes of a path.
        (r"C:\Users\O'Brien\Temp\x.py failed", ".../x.py failed"),
        (r"['C:\\Users\\Ann Muster\\a.c', 'C:\\Users\\Ann Muster\\tcc.exe']", "['...', '.../tcc.exe']"),
        (r"\Users\Ann Muster\x.pyd", ".../x.pyd"),
        (r"C:\Users\ANNMUS~1\AppData\Local\Temp\x.pyd", ".../x.pyd"),
        (r"\\wsl$\Ubuntu\home\ann\x.py", ".../x.py"),
        ("//server/share/ann/x.py", ".../x.py"),
        ("/mnt/c/Users/Ann Muster/secret stuff/x.py", ".../x.py"),
        ("/Users/ann/Library/Application Support/ComfyUI/main.py", ".../ComfyUI/main.py"),
        ("file:///C:/Users/Ann%20Muster/x.html", "file://..."),
        ("scp box:/home/ann/x.log", "scp box:.../x.log"),
        ("cwd=/home/ann,cache=~/x", "cwd=...,cache=..."),
        # Addresses of somebody's own, with what stands in them.
        ("http://ann:secret@bigbox.local:8188/prompt?token=abc", "http://..."),
        ("git+https://user:token@github.com/ann/private.git", "git+https://..."),
        ("https://packages.example.org/simple", "https://..."),
        ("https://github.com.example.org/x", "https://..."),
        ("muster@bigbox:~/x$ python main.py", "<name>:... python main.py"),
        ("ask Ann.Muster@example.org", "ask <name>"),
    ],
)
def test_folders_are_told_from_comfyui_on_only(line, told):
    assert redact(line, ["ann"], COMFYUI) == told


@pytest.mark.parametrize(
    "line",
    [
        "sage2-int8-fp8  ok, error 3.9e-02",
        "needs 8.9 or 12.0, got 8.6",
        "torch: 2.13.0+cu130",
        "1/2 of the calls, 3.1 s/it, and/or more",
        "Python: 3.13.14 on 6.8.0-45-generic",
        "see https://github.com/woct0rdho/SageAttention/releases/tag/v2.2.0-windows.post6 for it",
        "    1x24x4608x128: 0.56 ms",
        "What does not fit together:",
    ],
)
def test_what_names_nobody_stays_as_it_is(line):
    assert redact(line, ["ann"], COMFYUI) == line


def test_names_are_taken_out_as_words_only():
    assert redact("Ann on BIGBOX: annotated", ["ann", "bigbox"]) == "<name> on <name>: annotated"


def test_the_names_of_this_user_and_computer_are_known():
    names = names_to_hide(
        {"USERNAME": "ann", "COMPUTERNAME": "BIGBOX"}, r"C:\Users\ann.muster", "bigger.local", PACKAGES
    )
    assert {"ann", "BIGBOX", "ann.muster", "bigger.local", "bigger"} <= set(names)
    # Too short to be told from words, or part of a package's name.
    assert names_to_hide({"USER": "me", "LOGNAME": "comfy"}, "/home/torch", "pc", PACKAGES) == []


def test_it_is_one_block():
    text = block(["a", "C:\\Users\\ann\\x.py"], ["ann"])
    assert text == "```text\na\n.../x.py\n```"
