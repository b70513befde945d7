"""What the pack promises of its own code: what it imports, starts, opens and installs."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sagekit.kernels.families import sought

ROOT = Path(__file__).resolve().parents[2]
# The rooms of the pack, and which others each may read: the picture in ARCHITECTURE.md.
ROOMS = {
    "machine": set(),
    "knowledge": {"machine"},
    "kernels": {"machine"},
    "check": {"kernels", "machine"},
    "backup": {"machine"},
    "doctor": {"check", "kernels", "knowledge", "machine"},
    "host": {"kernels", "machine"},
    "core": {"host", "check", "kernels", "knowledge", "machine"},
    "nodes": {"core", "kernels"},
    "kernels_check": {"backup", "doctor", "check", "kernels", "machine"},
    "app": {"nodes", "core", "doctor", "host", "check", "kernels", "machine"},
}
PACK = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
PACK += [ROOT / "__init__.py", ROOT / "prestartup_script.py"]
EXCHANGE = ROOT / "backup" / "exchange.py"
TOGETHER = ROOT / "check" / "together.py"

IMPORT_IN_A_CHILD = """
import importlib, importlib.util, socket, subprocess, sys
def forbidden(*args, **kwargs):
    raise SystemExit("opened a socket or started a process")
socket.socket.connect = socket.socket.bind = forbidden
subprocess.Popen.__init__ = forbidden
before = set(sys.modules)
spec = importlib.util.spec_from_file_location("sagekit", sys.argv[1] + "/__init__.py",
                                              submodule_search_locations=[sys.argv[1]])
module = importlib.util.module_from_spec(spec)
sys.modules["sagekit"] = module
spec.loader.exec_module(module)
if sys.argv[2]:
    importlib.import_module(sys.argv[2]).backends()
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(sorted(new & set(sys.argv[3:])))
"""


@pytest.mark.parametrize("module", ["", "sagekit.kernels.families"])
def test_importing_it_loads_no_kernel_no_torch_and_opens_nothing(module):
    kernels = {one.module.name.partition(".")[0] for one in sought().distributions}
    assert {"torch", "triton", "sageattention", "flash_attn"} < kernels
    heavy = [*kernels, "comfy", "numpy", "huggingface_hub"]
    command = [sys.executable, "-I", "-c", IMPORT_IN_A_CHILD, str(ROOT), module, *heavy]
    child = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (child.returncode, child.stdout.strip()) == (0, "[]"), child.stderr


# Still to be divided.
LONG = {"core/attention/guard.py", "core/attention/override.py", "core/attention/routes.py"}


def is_long(text: str) -> bool:
    return len(text.splitlines()) > 300


def test_no_file_is_longer_than_a_few_screens():
    long = {path.relative_to(ROOT).as_posix() for path in PACK if is_long(path.read_text(encoding="utf-8"))}
    assert long == LONG
    assert is_long("\n" * 301) and not is_long("\n" * 300)


def names_used(path: Path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id + "()"


@pytest.mark.parametrize("path", PACK, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_installs_runs_or_evaluates_anything(path):
    used = set(names_used(path))
    if path in (ROOT / "check" / "process.py", TOGETHER):
        used.discard("subprocess")  # The one place: this Python, fixed arguments, no shell. And its end.
    if path in (EXCHANGE, TOGETHER):
        used.discard("ctypes")  # What Python lacks: see the next tests.
    assert not used & {"pip", "ensurepip", "subprocess", "os.system", "eval()", "exec()", "ctypes"}


def test_of_the_c_library_one_call_is_used_that_renames():
    text = EXCHANGE.read_text(encoding="utf-8")
    assert text.count("CDLL") == 1 and "ctypes.CDLL(None).renameat2\n" in text


def test_of_windows_the_calls_are_used_that_make_and_end_a_job():
    text = TOGETHER.read_text(encoding="utf-8")
    named = re.findall(r'\("([A-Z]\w+)", (?:handle|truth),', text)
    assert text.count("WinDLL") == 1 and "CDLL(" not in text.replace("WinDLL(", "")
    assert sorted(named) == [
        "AssignProcessToJobObject",
        "CloseHandle",
        "CreateJobObjectW",
        "OpenProcess",
        "SetInformationJobObject",
        "TerminateJobObject",
    ]
    assert "Popen(" not in text and "run(" not in text


def rooms_read(path: Path):
    """The rooms that a file imports from, its own left out."""
    own = path.relative_to(ROOT).parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == len(own):
            named = node.module.split(".") if node.module else [alias.name for alias in node.names]
            yield from {named[0]} if node.module else named


@pytest.mark.parametrize("room", ROOMS)
def test_arrows_run_one_way(room):
    read = {
        (path.relative_to(ROOT), other) for path in (ROOT / room).rglob("*.py") for other in rooms_read(path)
    }
    assert not {(path, other) for path, other in read if other not in ROOMS[room]}


def test_every_folder_with_code_is_a_room():
    tools = {"bench", "dev", "tests"}
    told = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=False)
    folders = {name.split("/")[0] for name in told.stdout.splitlines() if "/" in name}
    assert folders - tools in (set(), set(ROOMS))


def test_nothing_heavy_is_ever_a_dependency():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert "dependencies = []" in text
    assert not (ROOT / "requirements.txt").exists()


# On GitHub and in the package registry this name is somebody else's.
_OF_STRANGERS = re.compile(
    r"github\.com/sagekit|pypi\.org/(?:project|simple)/sagekit|(?:pip|uv)\s+install\s[^\n`]*\bsagekit\b",
    re.IGNORECASE,
)
_TOLD_NOT_TO = "never `pip install sagekit`"


def test_nothing_leads_to_strangers_who_have_the_name():
    told = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    files = [ROOT / name for name in told.splitlines()] or [*ROOT.rglob("*.py"), *ROOT.rglob("*.md")]
    endings = {".py", ".js", ".md", ".json", ".toml", ".txt", ".ts"}
    read = [file for file in files if file.suffix in endings and file.is_file() and file != Path(__file__)]
    assert len(read) > 100
    for file in read:
        text = file.read_text(encoding="utf-8").replace(_TOLD_NOT_TO, "")
        assert not _OF_STRANGERS.search(text), file
    assert _TOLD_NOT_TO in (ROOT / "README.md").read_text(encoding="utf-8")
    metadata = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert "\n[project.urls]" not in metadata and 'PublisherId = ""' in metadata


def test_the_search_for_links_to_strangers_finds_them():
    for text in (
        "https://github.com/sagekit/sagekit",
        "pip install -U sagekit",
        "https://pypi.org/project/SageKit/",
    ):
        assert _OF_STRANGERS.search(text), text
    assert not _OF_STRANGERS.search("python -m pip install sageattention")
