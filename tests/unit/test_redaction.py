"""Nothing that leaves a machine names its user, its computer, a folder or a secret."""

import pytest
from sagekit.app import routes
from sagekit.check.verdicts import CRASHED, NOT_IMPORTABLE, WRONG, Verdict, verdict_from
from sagekit.machine import redaction
from sagekit.machine.printable import printable
from sagekit.machine.redaction import Hidden, names_to_hide, secrets_of

NAMES = ("annika", "Annika Muster", "annika.muster", "Müller", "张伟", "BIGBOX", "bigbox.local")
SECRETS = ("correct-horse-battery", "k3yk3yk3y")
HIDDEN = Hidden(NAMES, SECRETS)
# None of these may be left of any text, in whatever case.
TELLS = (*NAMES, *SECRETS, "muster", "annmus", "secret client", "s3cr3t", "Jane", "Projekte")

TEXTS = (
    # Windows.
    r"DLL load failed while importing _fused: C:\Users\annika\ComfyUI\venv\Lib\site-packages\_fused.pyd",
    r"FileNotFoundError: [Errno 2] No such file: 'C:\\Users\\Annika Muster\\AppData\\Local\\Temp\\x.c'",
    r"OSError: [WinError 126] Error loading \"C:\Users\Annika Muster\torch\lib\c10.dll\" or another",
    r"PermissionError: [WinError 5] Access is denied: 'D:\\secret client\\ComfyUI\\models'",
    r"C:\Users\ANNMUS~1\AppData\Local\Temp\tmp8k2.pyd is not a valid Win32 application",
    r"\\BIGBOX\share\annika\python.exe exited with 3221225477",
    r"\\?\C:\Users\annika\x.dll: The specified module could not be found",
    r"\\?\UNC\BIGBOX\c$\Users\annika\x.dll",
    r"could not open C:\Users\annika, C:\Users\annika\a b, and C:\Users\annika\c.log",
    r"C:\Users\Müller\Desktop\x.py line 3",
    r"C:\Users\张伟\ComfyUI\main.py: UnicodeEncodeError",
    r"cl : Command line error D8022 : cannot open 'C:\Users\annika\AppData\Local\Temp\tmp.rsp'",
    r"C:/Users/annika/AppData/Local/Programs/Python/Python312/python.exe -s",
    r"LINK : fatal error LNK1104: cannot open file 'C:\Users\annika\libs\python312.lib'",
    r"file:///C:/Users/annika/ComfyUI/x.html",
    r"USERPROFILE=C:\Users\annika",
    r"[C:\Users\Annika Muster\triton\cache] is longer than 260 letters",
    r"(C:\Users\annika\x.py:17)",
    r"annika@BIGBOX C:\> python",
    r"ImportError: D:\Projekte\Jane\venv\Lib\site-packages\sageattention\_qattn.pyd",
    # Linux.
    "ImportError: /home/annika/venv/lib/python3.12/site-packages/_fused.so: undefined symbol: _ZN3c104",
    "FileNotFoundError: [Errno 2] No such file or directory: '/home/annika/.triton/cache/ab12'",
    "OSError: libcudart.so.12: cannot open shared object file, searched /home/annika/lib:/opt/annika/lib",
    "PermissionError: [Errno 13] Permission denied: '/media/annika/My Disk/secret client/x.so'",
    '  File "/home/annika/My Project/x.py", line 3, in forward',
    "/home/annika/gcc-13/bin/gcc: fatal error: no input files",
    "subprocess.CalledProcessError: Command '['/home/annika/bin/gcc', '/tmp/annika/main.c']' returned 1",
    "cannot stat ~annika/x and ~/secret client/y",
    "/mnt/c/Users/Annika Muster/x.py",
    "annika@bigbox.local:~/ComfyUI$ python main.py",
    "scp bigbox.local:/home/annika/x.log .",
    "HOME=/home/annika,XDG_CACHE_HOME=/home/annika/.cache",
    "mount of /run/user/1000/gvfs/smb-share:server=bigbox.local,user=annika failed",
    "no space left on device: /home/müller/x",
    # macOS.
    "dlopen(/Users/annika/venv/lib/python3.12/site-packages/x.so, 0x0002): tried: '/Users/annika/x.so'",
    "/Users/annika/Library/Application Support/ComfyUI/logs/x.log",
    "xcrun: error: invalid active developer path (/Users/annika/Xcode), missing xcrun",
    "NSFileManager: '/Volumes/Annika Muster/x' is not writable",
    "Library not loaded: @rpath/libomp.dylib Referenced from: /Users/annika/venv/x.dylib",
    # Addresses and secrets.
    "ConnectionError: http://annika:s3cr3t@bigbox.local:8188/prompt",
    "pip: Looking in indexes: https://annika:s3cr3t@packages.example.org/simple",
    "git clone https://s3cr3t-s3cr3t@github.com/annika/private.git failed",
    "403 for https://huggingface.co/api/models?token=s3cr3t",
    "HTTPError 401: Authorization: Bearer s3cr3ts3cr3ts3cr3t",
    "HF_TOKEN=hf_s3cr3tABCDEFGHIJKLMNOP is not valid",
    "the key 'api_key': 's3cr3ts3cr3t' was refused",
    "password=s3cr3t99; user=annika",
    "socks5://annika:s3cr3t@10.0.0.1:1080 refused",
    "using correct-horse-battery for the proxy",
    "k3yk3yk3y",
    "no account annika on BIGBOX",
    "mail annika.muster@example.org",
)


def told_of(text):
    lowered = text.lower()
    return [one for one in TELLS if one.lower() in lowered]


def test_there_are_many_of_them_and_each_tells_something():
    assert len(TEXTS) >= 45 and all(map(told_of, TEXTS))


@pytest.mark.parametrize("text", TEXTS)
def test_nothing_is_told(text):
    assert told_of(HIDDEN.redact(text)) == []


@pytest.fixture
def here(monkeypatch):
    monkeypatch.setattr(redaction, "of_this_machine", lambda: HIDDEN)
    routes._redacted.cache_clear()
    yield
    routes._redacted.cache_clear()


@pytest.mark.parametrize("state", [NOT_IMPORTABLE, CRASHED, WRONG])
def test_no_way_out_of_a_verdict_tells_it(here, state):
    verdicts = [Verdict(state, None, text) for text in TEXTS]
    assert told_of(" ".join(map(str, verdicts))) == []
    assert told_of(" ".join(str(one.as_reason()) for one in verdicts)) == []
    assert told_of(str(routes.for_a_page([vars(one) for one in verdicts]))) == []


@pytest.mark.parametrize(
    "text",
    [
        "sage2-int8-fp8",
        "needs 8.9 or 12.0, got 8.6",
        "undefined symbol: _ZN3c106detail14torchCheckFail",
        "raised ValueError: Unsupported head_dim: 64 at 1x2x128x64 float16 HND",
        "the process ended with SIGSEGV at its first call",
        "CUDA error: an illegal memory access was encountered",
        "tokens: 77, keys: 4,096",
    ],
)
def test_what_tells_nothing_stays(text):
    assert HIDDEN.redact(text) == text


def test_a_code_that_is_somebodys_name_stays_a_code():
    hidden = Hidden(("exact",), ())
    assert hidden.redact_all({"quality": "exact", "text": "exact was here"}) == {
        "quality": "exact",
        "text": "<name> was here",
    }


def test_the_secrets_of_an_environment_are_the_values_of_what_is_called_one():
    environ = {
        "HF_TOKEN": "aaaaaaaa",
        "MY_API_KEY": "bbbbbbbb",
        "DB_PASSWORD": "cccccccc",
        "AWS_SECRET_ACCESS_KEY": "dddddddd",
        "TOKENIZERS_PARALLELISM": "disabled",
        "SSH_AUTH_SOCK": "/run/user/1000/agent",
        "TOKEN_LIMIT": "4096000",
        "SHORT_TOKEN": "abc",
        "PATH": "eeeeeeeeee",
    }
    assert set(secrets_of(environ)) == {"aaaaaaaa", "bbbbbbbb", "cccccccc", "dddddddd"}


def test_accounts_that_machines_come_with_are_no_names():
    assert names_to_hide({"USER": "root", "USERNAME": "Administrator"}, "/home/user", "localhost", ()) == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\nb\r\n\tc", "a b c"),
        ("\x1b[31mred\x1b[0m and \x1b]0;title\x07done", "red and done"),
        ("bell\x07 null\x00 \x9b31m", r"bell\u0007 null\u0000 \u009b31m"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\u2028", ""),
        ("x" * 9000, "x" * 497 + "..."),
        ("你好 é", "你好 é"),
    ],
)
def test_a_text_of_others_is_one_line_that_does_nothing_to_a_terminal(text, line):
    assert printable(text) == line


def test_so_are_verdicts_from_a_file_or_a_child():
    assert verdict_from({"state": "crashed", "detail": "a\n\x1b[2Jb\x00"}).detail == r"a b\u0000"
