"""The written fix: the .sh run for real in a scratch environment, the .bat parsed and run by wine."""

import base64
import hashlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from importlib.metadata import distribution
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging import tags
from sagekit.doctor.commands.quoting import shown
from sagekit.doctor.plan import wheel
from sagekit.doctor.plan.plan import make_plan
from sagekit.doctor.plan.step import Step
from sagekit.doctor.scripts.fix import write_fix
from sagekit.doctor.scripts.launcher import write_launcher
from sagekit.kernels_check import verbs
from sagekit.machine import (
    Driver,
    Environment,
    Gpu,
    Package,
    Python,
    Torch,
)
from sagekit.machine.layout import Layout
from sagekit.machine.surroundings import Surroundings, read_surroundings
from sagekit.machine.user_error import UserError
from support import shells
from support.environments import PLAIN_WINDOWS, WINDOWS_312, WINDOWS_313, sage, with_packages

PACK = Path(__file__).resolve().parents[2]
PORTABLE = Surroundings(kind="portable", folder=r"C:\ComfyUI_windows_portable\python_embeded")
TAG = f"cp{sys.version_info[0]}{sys.version_info[1]}"


def make_wheel(
    folder: Path, name: str, version: str, tag: str, files: dict[str, str], needs: str = ""
) -> Path:
    """A wheel as a build tool writes it."""
    distribution = f"{name.replace('-', '_')}-{version}"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += f"Requires-Dist: {needs}\n" if needs else ""
    inside = files | {
        f"{distribution}.dist-info/METADATA": metadata,
        f"{distribution}.dist-info/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    record = ""
    for path, text in inside.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(text)}\n"
    inside[f"{distribution}.dist-info/RECORD"] = record + f"{distribution}.dist-info/RECORD,,\n"
    file = folder / f"{distribution}-{tag}.whl"
    with zipfile.ZipFile(file, "w") as archive:
        for path, text in inside.items():
            archive.writestr(path, text)
    return file


@pytest.fixture(scope="module")
def index(tmp_path_factory) -> Path:
    """A folder of wheels that stands for the package registry and for the servers."""
    folder = tmp_path_factory.mktemp("index")
    version_file = "__version__ = '2.13.0+cu130'\ncuda: str = '13.0'\n"
    make_wheel(
        folder,
        "torch",
        "2.13.0+cu130",
        "py3-none-any",
        {"torch/__init__.py": "", "torch/version.py": version_file},
    )
    make_wheel(folder, "torch", "1.0.0", "py3-none-any", {"torch/__init__.py": "", "torch/version.py": ""})
    for version in ("3.6.0", "3.7.1"):
        make_wheel(folder, "triton", version, "py3-none-any", {"triton/__init__.py": f"# {version}\n"})
    platform = next(iter(tags.cpython_tags(platforms=["linux_x86_64"]))).platform
    for build in ("cu130.torch2.11.0.sm89", "cu130.torch2.13.0.sm89"):
        make_wheel(
            folder,
            "sageattention",
            f"2.2.0+{build}",
            f"{TAG}-{TAG}-{platform}",
            {"sageattention/__init__.py": f"# {build}\n"},
            # What --no-deps protects torch from.
            needs="torch==1.0.0",
        )
    return folder


def folder_of_pip() -> Path:
    """Where pip is, without importing it: setuptools, which torch imports, does not load after it."""
    return Path(distribution("pip").locate_file("pip"))


@pytest.fixture(scope="module")
def made_environment(tmp_path_factory) -> Path:
    """An environment in a folder whose name needs quoting, with this Python's own pip."""
    folder = tmp_path_factory.mktemp("scratch") / "it's my $HOME ComfyUI"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    site = next((folder / "lib").glob("python*/site-packages"))
    (site / "pip").symlink_to(folder_of_pip())
    return folder


@pytest.fixture
def scratch(made_environment, index, monkeypatch, tmp_path):
    """The environment with torch 2.13, Triton 3.6 and no sage, where pip knows the index alone."""
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(index), "PIP_NO_CACHE_DIR": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PIP_DISABLE_PIP_VERSION_CHECK", "1")
    site = next((made_environment / "lib").glob("python*/site-packages"))
    for there in site.iterdir():
        if there.is_dir() and not there.is_symlink():
            shutil.rmtree(there)

    def install(pattern: str) -> None:
        name = pattern.partition("-")[0]
        for there in site.glob(f"{name}*"):
            shutil.rmtree(there)
        zipfile.ZipFile(next(index.glob(pattern))).extractall(site)

    def installed() -> list[str]:
        """Names and versions, with what their modules hold: a leftover of another version is seen."""
        found = [folder.name for folder in site.glob("*.dist-info")]
        return sorted(
            found + [file.read_text() for file in site.glob("*/__init__.py") if "pip" not in str(file)]
        )

    install("torch-2.13.0*")
    install("triton-3.6.0*")
    return SimpleNamespace(
        python=made_environment / "bin" / "python",
        file=tmp_path / "fix it.sh",
        install=install,
        installed=installed,
    )


def environment(python: Path, sage_: Package | None = None) -> Environment:
    """The scratch environment, as it would be read beside an RTX 4090."""
    machine = Environment(
        python=Python(".".join(map(str, sys.version_info[:3])), machine="x86_64", executable=str(python)),
        system="linux",
        torch=Torch("2.13.0", "cu130", "13.0"),
        driver=Driver("580.65.06"),
        gpus=(Gpu(0, "NVIDIA GeForce RTX 4090", (8, 9), 24576),),
        packages={"torch": Package("2.13.0", "cu130"), "triton": Package("3.6.0")},
    )
    return with_packages(machine, sageattention=sage_)


@pytest.fixture
def local_files(index, monkeypatch):
    """The table of files holds those of the index, with the checksum that is given or their own."""

    def use(checksum: str | None = None) -> None:
        found = []
        for file in sorted(index.glob("sageattention-*.whl"), reverse=True):
            digest = checksum or hashlib.sha256(file.read_bytes()).hexdigest()
            version = file.name.split("-")[1]
            release = re.search(r"torch(\d+\.\d+\.\d+)", version)[1]
            one = wheel.Wheel(
                "sageattention",
                version,
                file.name,
                file.as_uri(),
                f"=={release}",
                "13.0",
                TAG,
                TAG,
                "linux_x86_64",
                ("8.9",),
                "https://example.org/",
                digest,
            )
            found.append(one)
        monkeypatch.setattr(wheel, "wheels", lambda: tuple(found))

    use()
    return use


def start(file: Path, answer: str = "yes\n") -> subprocess.CompletedProcess:
    return subprocess.run(["sh", str(file)], input=answer, capture_output=True, text=True, check=False)


def lines_to_go_back(said: str) -> list[str]:
    told = said.rpartition("To go back, type these lines:")[2].splitlines()
    return [line.strip() for line in told if line.startswith("  ")]


def go_back(said: str) -> None:
    for line in lines_to_go_back(said):
        subprocess.run(["sh", "-c", line], check=True, capture_output=True)


def write(scratch, sage_: Package | None = None, **more) -> Path:
    machine = environment(scratch.python, sage_)
    write_fix(scratch.file, make_plan(machine), machine, PACK, **more)
    return scratch.file


def test_it_shows_asks_keeps_changes_checks_and_can_be_undone(scratch, local_files):
    before = scratch.installed()
    done = start(write(scratch))
    assert done.returncode == 0, done.stdout + done.stderr
    after = scratch.installed()
    assert "triton-3.7.1.dist-info" in after and "torch-2.13.0+cu130.dist-info" in after
    assert "sageattention-2.2.0+cu130.torch2.13.0.sm89.dist-info" in after
    # In this order: what it will do, the question, what is kept, the steps, the check, the way back.
    order = [
        "First: Keep the file of triton",
        "1. Install triton==3.7.1",
        "Type yes",
        "Before anything",
        "Step 1 of 2",
        "Step 2 of 2",
    ]
    order += ["Checking the kernels", "Verdicts", "Done.", "To go back"]
    places = [done.stdout.index(one) for one in order]
    assert places == sorted(places)
    kept = scratch.file.parent / "fix it_before"
    assert (kept / "packages.txt").read_text().split() == ["torch==2.13.0+cu130", "triton==3.6.0"]
    assert [file.name for file in kept.glob("*.whl")] == ["triton-3.6.0-py3-none-any.whl"]
    go_back(done.stdout)
    assert scratch.installed() == before


def test_a_wrong_build_is_replaced_and_the_very_same_one_comes_back(scratch, local_files):
    scratch.install("sageattention-*torch2.11.0*")
    before = scratch.installed()
    done = start(write(scratch, sage("cu130.torch2.11.0.sm89")))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "# cu130.torch2.13.0.sm89\n" in scratch.installed()
    go_back(done.stdout)
    assert scratch.installed() == before


@pytest.mark.parametrize("answer", ["no\n", "\n", ""])
def test_without_a_yes_nothing_is_changed(scratch, local_files, answer):
    before = scratch.installed()
    done = start(write(scratch), answer)
    assert done.returncode == 1 and "Nothing was changed." in done.stdout
    assert scratch.installed() == before and not list(scratch.file.parent.glob("*_before"))


def test_at_the_first_failure_it_stops_and_says_how_to_go_back(scratch, local_files):
    local_files(checksum="0" * 64)
    before = scratch.installed()
    done = start(write(scratch))
    assert done.returncode == 1
    assert "STOPPED: that command failed." in done.stdout and "Checking the kernels" not in done.stdout
    assert "torch-2.13.0+cu130.dist-info" in scratch.installed()
    # Both steps had begun, the second failed; the first is what there is to undo.
    lines = lines_to_go_back(done.stdout)
    assert len(lines) == 2 and "uninstall -y sageattention" in lines[0] and "triton==3.6.0" in lines[1]
    # There is no sage to take out, and saying so twice harms nobody.
    go_back(done.stdout)
    assert scratch.installed() == before


def test_it_does_nothing_beside_another_torch(scratch, local_files):
    file = write(scratch)
    scratch.install("torch-1.0.0*")
    before = scratch.installed()
    done = start(file)
    assert done.returncode == 1 and "is not the one that the fix was written for" in done.stdout
    assert "Nothing was changed." in done.stdout and scratch.installed() == before


def test_a_torch_that_changes_on_the_way_stops_it(scratch, local_files):
    machine = environment(scratch.python)
    plan = make_plan(machine)
    command = (str(scratch.python), "-m", "pip", "install", "--no-deps", "torch==1.0.0")
    bad = replace(plan.steps[0], commands=(command,))
    write_fix(scratch.file, replace(plan, steps=(bad, plan.steps[1])), machine, PACK)
    done = start(scratch.file)
    assert done.returncode == 1 and "STOPPED: torch is not what it was." in done.stdout
    assert "Step 2 of 2" not in done.stdout


def test_a_second_start_keeps_the_first_list(scratch, local_files):
    file = write(scratch)
    assert start(file).returncode == 0
    listed = file.parent / "fix it_before" / "packages.txt"
    first = listed.read_text()
    assert start(file).returncode == 0 and listed.read_text() == first and "triton==3.6.0" in first


def test_a_backup_comes_before_everything_that_is_kept_or_changed(scratch, local_files, tmp_path):
    marker = tmp_path / "backup done"
    backup = Step("backup", "Back up", commands=(("sh", "-c", f"test ! -e {shlex.quote(str(marker))}"),))
    file = write(scratch, before=(replace(backup, commands=(*backup.commands, ("touch", str(marker)))),))
    assert start(file).returncode == 0 and marker.exists()
    # A backup that fails stops it before any change.
    before = scratch.installed()
    done = start(file)
    assert done.returncode == 1 and "Nothing was changed." in done.stdout and scratch.installed() == before


def test_the_whole_environment_is_backed_up_first_and_the_way_back_names_it(scratch, local_files):
    machine = environment(scratch.python)
    (step,) = verbs._backup_first(machine, PACK)
    name = step.commands[0][-1]
    before = scratch.installed()
    done = start(write(scratch, before=(step,)))
    assert done.returncode == 0, done.stdout + done.stderr
    order = [f"First: Back up the whole environment as {name}", "Type yes", f"Backup {name}: ", "Step 1 of 2"]
    places = [done.stdout.index(one) for one in order]
    assert places == sorted(places)
    assert scratch.installed() != before
    told = next(line for line in done.stdout.splitlines() if "Or all at once" in line)
    line = told.partition("window: ")[2]
    assert f"restore {name} --python" in line
    subprocess.run(["sh", "-c", line], check=True, capture_output=True)
    assert scratch.installed() == before
    shutil.rmtree(f"{scratch.python.parent.parent}_backups")


def test_a_python_that_is_no_folder_of_its_own_gets_its_script_without_a_backup(capsys):
    machine = environment(Path("/usr/bin/python3"))
    assert verbs._backup_first(machine, PACK) == ()
    said = capsys.readouterr().err
    assert "makes no backup" in said and "is no Python environment that can be kept" in said


# The file itself.


def test_it_overwrites_only_what_it_wrote_and_nobody_changed(tmp_path):
    file = tmp_path / "fix.bat"
    plan = make_plan(PLAIN_WINDOWS, PORTABLE)
    write_fix(file, plan, PLAIN_WINDOWS, PACK)
    first = file.read_bytes()
    write_fix(file, plan, PLAIN_WINDOWS, PACK)
    assert file.read_bytes() == first
    file.write_bytes(first + b"rem mine\r\n")
    with pytest.raises(UserError, match="not as this check wrote it"):
        write_fix(file, plan, PLAIN_WINDOWS, PACK)
    assert file.read_bytes() == first + b"rem mine\r\n"
    file.write_text("@echo off\n")
    with pytest.raises(UserError, match="nothing was written"):
        write_fix(file, plan, PLAIN_WINDOWS, PACK)
    assert file.read_text() == "@echo off\n"


@pytest.mark.parametrize(
    ("name", "words"),
    [("folder.bat", "is a folder"), ("fix.sh", "must end in .bat"), ("none/fix.bat", "cannot be written")],
)
def test_where_it_can_not_write_it_says_so_and_leaves_nothing(tmp_path, name, words):
    (tmp_path / "folder.bat").mkdir()
    with pytest.raises(UserError, match=words):
        write_fix(tmp_path / name, make_plan(PLAIN_WINDOWS, PORTABLE), PLAIN_WINDOWS, PACK)
    assert [file.name for file in tmp_path.rglob("*")] == ["folder.bat"]


def test_nothing_is_written_while_something_must_be_put_right_by_hand(tmp_path):
    around = replace(PORTABLE, packages_writable=False)
    with pytest.raises(UserError, match="site-packages that you may write to"):
        write_fix(tmp_path / "fix.bat", make_plan(PLAIN_WINDOWS, around), PLAIN_WINDOWS, PACK)
    assert not list(tmp_path.iterdir())


# The .bat.

NO_HEADERS = replace(PLAIN_WINDOWS, python=replace(PLAIN_WINDOWS.python, has_headers=False))
NUGET = replace(NO_HEADERS, python=replace(NO_HEADERS.python, version="3.14.2"))
AMPERSAND = r"C:\100% A&B (x)\python_embeded\python.exe"
AWKWARD = replace(PLAIN_WINDOWS, python=replace(PLAIN_WINDOWS.python, executable=AMPERSAND))
WINDOWS = {
    "bare": PLAIN_WINDOWS,
    "without headers": NO_HEADERS,
    "headers from NuGet": NUGET,
    "folder with signs": AWKWARD,
    "another torch's build": with_packages(WINDOWS_312, sageattention=sage("cu128torch2.7.1.post3")),
    "another torch's Triton": with_packages(WINDOWS_313, triton_windows=Package("3.6.0.post26")),
}


def batch_lines(machine: Environment, tmp_path: Path) -> list[str]:
    file = tmp_path / "fix.bat"
    write_fix(file, make_plan(machine, PORTABLE), machine, PACK)
    data = file.read_bytes()
    assert data.count(b"\n") == data.count(b"\r\n") and not data.startswith(b"\xef\xbb\xbf")
    return data.decode("utf-8").split("\r\n")


def windows_arguments(line: str) -> list[str]:
    """A command line taken apart by the rules of the C runtime, for lines without escaped quotes."""
    return [quoted or plain for quoted, plain in re.findall(r'"([^"]*)"|(\S+)', line)]


@pytest.mark.parametrize("name", WINDOWS)
def test_every_label_is_there_and_every_command_comes_out_as_planned(name, tmp_path):
    lines = batch_lines(WINDOWS[name], tmp_path)
    labels = {line[1:] for line in lines if line.startswith(":")}
    jumps = {match for line in lines for match in re.findall(r"(?:goto|call) :(\w+)", line)}
    assert jumps <= labels and labels - jumps == {"stopped"} - jumps
    assert all(len(line) < 8191 for line in lines)
    # cmd.exe reads %% as one percent sign; a single one would begin a variable.
    for line in lines:
        rest = line.replace("%%", "")
        assert set(re.findall(r"%(\w*)%?", rest)) <= {"WHY", "REACHED", "ANSWER", "errorlevel"}, line
    ran = [
        windows_arguments(line.replace("%%", "%"))
        for line, after in pairwise(lines)
        if after.endswith("goto :stopped") and not line.startswith(("call ", "if ", "echo ", "rem "))
    ]
    plan = make_plan(WINDOWS[name], PORTABLE)
    wanted = [list(command) for step in plan.steps for command in step.commands]
    *changes, check = [command for command in ran if "download" not in command]
    assert changes == wanted and check[-1] == str(PACK / "kernels_check")


@pytest.mark.parametrize("name", WINDOWS)
def test_what_is_shown_in_a_terminal_is_what_runs(name):
    for step in make_plan(WINDOWS[name], PORTABLE).steps:
        for command in (*step.commands, *step.undo):
            assert windows_arguments(shown(command, "windows")) == list(command)


def test_an_argument_that_cmd_can_not_be_handed_is_refused():
    with pytest.raises(ValueError, match="cannot be handed"):
        shown(("python.exe", 'say "hello"'), "windows")


@pytest.fixture(scope="module")
def wine(tmp_path_factory):
    """Runs a batch file with wine's cmd.exe; returns its exit code, what it said, and each call of Python."""
    program = shutil.which("wine")
    if program is None:
        pytest.skip("wine is not installed: the .bat is only parsed")
    folder = tmp_path_factory.mktemp("wine")
    home = tmp_path_factory.mktemp("A&B (x)")
    # The trace of started processes holds each command line as cmd.exe made it.
    variables = {"WINEPREFIX": str(folder / "prefix"), "WINEDEBUG": "-all,+process", "DISPLAY": ""}

    def windows_path(path: Path) -> str:
        return "Z:" + str(path).replace("/", "\\")

    decides = folder / "decides.bat"
    python = home / "python.exe"
    python.write_bytes(_program_that_starts(windows_path(decides)))

    def run(file: Path, answer: str, fails: str = "") -> tuple[int, str, list[list[str]]]:
        # From a pipe wine's `set /p` reads nothing.
        typed = folder / "typed.txt"
        typed.write_bytes(answer.encode())
        rule = f'if "%~5"=="{fails}" exit 9\r\n' if fails else ""
        decides.write_bytes(f"@echo off\r\n{rule}exit 0\r\n".encode())
        done = subprocess.run(
            [program, "cmd", "/c", file.name],
            cwd=file.parent,
            stdin=typed.open("rb"),
            capture_output=True,
            check=False,
            env=os.environ | variables,
            timeout=120,
        )
        traced = re.findall(
            r'CreateProcessInternalW app L"[^"]*python\.exe" cmdline L"(.*)"\r?$',
            done.stderr.decode("utf-8", errors="replace"),
            re.MULTILINE,
        )
        calls = [windows_arguments(line.replace('\\"', '"').replace("\\\\", "\\")) for line in traced]
        return done.returncode, done.stdout.decode("utf-8", errors="replace"), calls

    run.python = windows_path(python)
    run.folder = home
    run.windows = windows_path
    return run


def _program_that_starts(batch_file: str) -> bytes:
    """A Windows program that runs a batch file with its own arguments and returns its exit code.

    It is distlib's launcher, which pip brings: it starts what follows it in the same file.
    """
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as empty:
        empty.writestr("__main__.py", "")
    shebang = f"#!c:\\windows\\system32\\cmd.exe /c {batch_file}\r\n".encode()
    return (folder_of_pip() / "_vendor" / "distlib" / "t64.exe").read_bytes() + shebang + archive.getvalue()


@pytest.fixture
def batch_file(wine):
    """A fix for a Python in a folder with signs that cmd.exe takes for itself."""
    own = replace(WINDOWS_313.python, executable=wine.python)
    machine = replace(
        with_packages(WINDOWS_313, triton_windows=Package("3.6.0.post26"), sageattention=None), python=own
    )
    file = wine.folder / "fix.bat"
    shutil.rmtree(wine.folder / "fix_before", ignore_errors=True)
    plan = make_plan(machine, PORTABLE)
    # wine's trace cuts a line after 300 characters, so the address is a short one with the same signs.
    *start_of, _ = plan.steps[1].commands[0]
    short = replace(plan.steps[1], commands=((*start_of, "https://a.b/s%2Bcu130-cp310.whl#sha256=0f"),))
    plan = replace(plan, steps=(plan.steps[0], short))
    write_fix(file, plan, machine, Path("Z:" + str(PACK)))
    return SimpleNamespace(file=file, plan=plan)


def kinds(calls: list[list[str]]) -> list[str]:
    return [next(one for one in call if one in KINDS or one.endswith("kernels_check")) for call in calls]


KINDS = ("-c", "freeze", "download", "install")


def test_under_wine_the_batch_file_does_all_of_it(wine, batch_file):
    code, said, calls = wine(batch_file.file, "yes\r\n")
    assert code == 0, said
    check = str(Path("Z:" + str(PACK)) / "kernels_check")
    assert kinds(calls) == ["-c", "freeze", "download", "install", "-c", "install", "-c", check]
    # What Python was handed is what was planned, letter for letter.
    installs = [call for call in calls if "install" in call]
    assert installs == [list(command) for step in batch_file.plan.steps for command in step.commands]
    assert "m.version('torch') != '2.13.0+cu130'" in calls[0][-1]
    places = [
        said.index(one)
        for one in ("First: Keep", "1. Install", "Type yes", "Step 1 of 2", "Step 2 of 2", "Done.")
    ]
    assert places == sorted(places)
    back = said.rpartition("To go back")[2]
    for step in batch_file.plan.steps:
        assert all(shown(command, "windows") in back for command in step.undo)
    assert (wine.folder / "fix_before" / "packages.txt").exists()


def test_under_wine_a_no_changes_nothing(wine, batch_file):
    code, said, calls = wine(batch_file.file, "no\r\n")
    assert code == 1 and calls == [] and "Nothing was changed." in said


def test_under_wine_a_failure_stops_it_and_tells_the_way_back(wine, batch_file):
    code, said, calls = wine(batch_file.file, "yes\r\n", fails="install")
    assert code == 1 and "STOPPED: that command failed." in said
    # The first install failed: nothing after it ran, and only that step is to be undone.
    assert kinds(calls) == ["-c", "freeze", "download", "install"]
    back = said.rpartition("STOPPED")[2]
    assert '"triton-windows==3.6.0.post26"' in back and "sageattention" not in back


def test_under_wine_a_list_that_can_not_be_had_stops_it_before_any_change(wine, batch_file):
    code, said, calls = wine(batch_file.file, "yes\r\n", fails="freeze")
    assert code == 1 and "Nothing was changed." in said and kinds(calls) == ["-c", "freeze"]
    assert not (wine.folder / "fix_before" / "packages.txt").exists()


# The launch file.


def portable_folder(tmp_path: Path) -> Path:
    comfyui = tmp_path / "ComfyUI_windows_portable" / "ComfyUI"
    comfyui.mkdir(parents=True)
    (comfyui.parent / "run_nvidia_gpu.bat").write_text("stock")
    return comfyui


@pytest.mark.parametrize("flag", [False, True])
def test_the_portable_launch_file_stands_beside_the_stock_one_and_says_that_no_flag_is_needed(tmp_path, flag):
    comfyui = portable_folder(tmp_path)
    around = replace(PORTABLE, comfyui=str(comfyui))
    file = write_launcher(None, WINDOWS_313, around, flag=flag)
    assert file == comfyui.parent / "run_sagekit.bat"
    assert (comfyui.parent / "run_nvidia_gpu.bat").read_text() == "stock"
    text = file.read_bytes().decode()
    start_line = next(line for line in text.split("\r\n") if "main.py" in line)
    assert start_line.startswith(r".\python_embeded\python.exe -s ComfyUI\main.py --windows-standalone-build")
    assert ("--use-sage-attention" in start_line) == flag
    assert "Patch Sage Attention needs no" in text


@pytest.mark.parametrize("flag", [False, True])
def test_under_wine_the_portable_launch_file_starts_comfyui_from_any_folder(wine, flag, monkeypatch):
    home = wine.folder / f"portable {flag}"
    (home / "ComfyUI").mkdir(parents=True)
    (home / "python_embeded").mkdir()
    shutil.copy(wine.folder / "python.exe", home / "python_embeded")
    around = replace(PORTABLE, comfyui=str(home / "ComfyUI"), not_ascii={"TEMP": "C:\\\u0416"})
    file = write_launcher(None, WINDOWS_313, around, flag=flag)
    code, said, calls = wine(file, "\r\n")
    wanted = [
        "-s",
        "ComfyUI\\main.py",
        "--windows-standalone-build",
        *(["--use-sage-attention"] if flag else []),
    ]
    assert code == 0 and [call[1:] for call in calls] == [wanted], said
    assert (home / "sagekit_cache").is_dir()


def test_a_launch_file_never_replaces_a_stock_one(tmp_path):
    comfyui = portable_folder(tmp_path)
    stock = comfyui.parent / "run_nvidia_gpu.bat"
    with pytest.raises(UserError, match="is there already"):
        write_launcher(stock, WINDOWS_313, replace(PORTABLE, comfyui=str(comfyui)), flag=False)
    assert stock.read_text() == "stock"


def test_a_user_folder_with_other_letters_gets_plain_folders_for_compilers(tmp_path):
    around = replace(
        PORTABLE, comfyui=str(portable_folder(tmp_path)), not_ascii={"TEMP": "C:\\Users\\Ж\\Temp"}
    )
    text = write_launcher(None, WINDOWS_313, around, flag=False).read_text()
    assert 'set "TRITON_CACHE_DIR=%~dp0sagekit_cache"' in text and 'set "TEMP=%~dp0sagekit_cache"' in text


@pytest.mark.parametrize("flag", [False, True])
def test_the_launch_file_of_a_posix_system_starts_this_python(tmp_path, flag):
    comfyui = tmp_path / "it's ComfyUI"
    comfyui.mkdir()
    (comfyui / "main.py").write_text("import sys\nprint(sys.argv[1:])\n")
    machine = environment(Path(sys.executable))
    file = write_launcher(None, machine, Surroundings(kind="venv", comfyui=str(comfyui)), flag=flag)
    done = subprocess.run([str(file), "--port", "1"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str([*(["--use-sage-attention"] if flag else []), "--port", "1"])


SIGNS = ["a b", "R&D (x)", "100% %TEMP% !x!", "a^b, it's; c=d", "caf\u00e9 \u0416"]
MAIN = "import os, sys\nprint(os.getcwd())\nprint(sys.argv[1:])\n"


@pytest.mark.parametrize(
    "name", [*SIGNS, "a\nb", '$(touch ran) `touch ran` "$HOME" ; touch ran', "-x \\ 'y' \"z\""]
)
def test_the_sh_starts_comfyui_in_any_folder_and_nothing_else(tmp_path, name, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    comfyui = tmp_path / name / "ComfyUI"
    comfyui.mkdir(parents=True)
    (comfyui / "main.py").write_text(MAIN)
    python = tmp_path / name / "python"
    python.symlink_to(sys.executable)
    around = Surroundings(kind="venv", comfyui=str(comfyui), base=str(comfyui))
    file = write_launcher(None, environment(python), around, flag=False)
    done = subprocess.run([str(file), "a b", "$x"], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout == f"{comfyui}\n{['a b', '$x']}\n" and done.stderr == ""
    assert {one.name for one in tmp_path.iterdir()} == {name}


def test_with_a_base_directory_it_lies_there_and_names_it_and_the_user_folder(tmp_path):
    base, comfyui = tmp_path / "my base", tmp_path / "ComfyUI"
    for folder in (base, comfyui):
        folder.mkdir()
    (comfyui / "main.py").write_text(MAIN)
    layout = Layout(comfyui, base, tmp_path / "users")
    around = read_surroundings(environment(Path(sys.executable)), layout)
    file = write_launcher(None, environment(Path(sys.executable)), around, flag=True)
    assert file == base / "run_sagekit.sh"
    done = subprocess.run([str(file)], capture_output=True, text=True, check=True, cwd="/")
    options = ["--base-directory", str(base), "--user-directory", str(tmp_path / "users")]
    assert done.stdout == f"{comfyui}\n{[*options, '--use-sage-attention']}\n"
    unknown = Surroundings(base=str(base))
    with pytest.raises(UserError, match="not known until ComfyUI has run"):
        write_launcher(None, environment(Path(sys.executable)), unknown, flag=False)


def launched(lines: list[str], place: str) -> tuple[str, list[str]]:
    """The folder and the command of a written .bat, read by cmd.exe's rules."""
    variables = {"~dp0": "", "TEMP": "elsewhere", "x": "y"}
    (folder,) = [line.partition("/d ")[2] for line in lines if line.startswith("cd ")]
    (start_line,) = [line for line in lines if "main.py" in line]
    assert start_line.endswith(" %*")
    there = folder.replace("%~dp0", place.replace("%", "%%"))
    return (
        shells.of_cmd(there, variables, batch=True)[0],
        shells.of_cmd(start_line.removesuffix(" %*"), variables, batch=True),
    )


@pytest.mark.parametrize("name", SIGNS)
@pytest.mark.parametrize("kind", ["portable", "venv"])
def test_the_bat_starts_comfyui_in_any_folder_and_nothing_else(tmp_path, name, kind):
    comfyui = tmp_path / name / name
    comfyui.mkdir(parents=True)
    python = replace(WINDOWS_313.python, executable=rf"D:\{name}\python.exe", embedded=kind == "portable")
    machine = replace(WINDOWS_313, python=python)
    around = Surroundings(kind=kind, comfyui=str(comfyui), base=str(comfyui))
    elsewhere = tmp_path / "mine.bat"
    for file in (None, elsewhere):
        data = write_launcher(file, machine, around, flag=False).read_bytes()
        # Letters of its own are read only after the console was told that they are UTF-8.
        assert data.isascii() or data.startswith(b"@echo off\r\nchcp 65001 >nul\r\n")
        home = str(comfyui.parent if kind == "portable" else comfyui)
        folder, command = launched(data.decode().split("\r\n"), home)
        assert folder == home
        if kind == "portable":
            start = [r".\python_embeded\python.exe", "-s", rf"{name}\main.py", "--windows-standalone-build"]
            assert command == start
        else:
            assert command == [rf"D:\{name}\python.exe", "main.py"]


# Wine itself reads what %~dp0 stood for once more, and its trace has other letters as numbers.
@pytest.mark.parametrize(
    ("folder", "name"), [("a b", "a b"), ("R&D (x) !x!", "R&D (x)"), (SIGNS[3], SIGNS[3]), ("c d", SIGNS[2])]
)
def test_under_wine_the_bat_of_a_folder_with_signs_starts_comfyui_and_nothing_else(wine, folder, name):
    home = wine.folder / folder
    (home / name).mkdir(parents=True)
    (home / "python_embeded").mkdir()
    shutil.copy(wine.folder / "python.exe", home / "python_embeded")
    around = Surroundings(kind="portable", comfyui=str(home / name), base=str(home / name))
    code, said, calls = wine(write_launcher(None, WINDOWS_313, around, flag=False), "\r\n")
    assert code == 0 and [call[1:] for call in calls] == [
        ["-s", f"{name}\\main.py", "--windows-standalone-build"]
    ], said


def test_under_wine_nothing_starts_where_the_folder_is_gone(wine):
    (wine.folder / "python_embeded").mkdir(exist_ok=True)
    shutil.copy(wine.folder / "python.exe", wine.folder / "python_embeded")
    gone = str(wine.folder / "gone & away" / "ComfyUI")
    around = Surroundings(kind="portable", comfyui=gone, base=gone)
    file = write_launcher(wine.folder / "gone.bat", WINDOWS_313, around, flag=False)
    code, said, calls = wine(file, "\r\n")
    assert calls == [] and code == 1 and "not where it was" in said


def test_under_wine_the_lines_of_a_plan_run_from_the_folder_that_it_names(wine):
    """As they are copied from a page: the folder of the portable is known to who reads it alone."""
    home = wine.folder / "100% R&D (x)"
    (home / "python_embeded").mkdir(parents=True)
    shutil.copy(wine.folder / "python.exe", home / "python_embeded")
    own = replace(WINDOWS_313.python, executable=wine.windows(home) + r"\python_embeded\python.exe")
    machine = with_packages(
        replace(WINDOWS_313, python=own), triton_windows=Package("3.6.0.post26"), sageattention=None
    )
    (triton, *_), plan = (made := make_plan(machine, Surroundings("portable"))).steps, made
    told = plan.as_data(private=True)["steps"][0]
    assert told["shown"] and not any("R&D" in line for line in told["shown"])
    file = home / "typed.bat"
    file.write_text("@echo off\n" + "\n".join((*told["shown"], *told["undo_shown"])) + "\n", newline="\r\n")
    code, said, calls = wine(file, "")
    assert code == 0, said
    assert [call[1:] for call in calls] == [list(one[1:]) for one in (*triton.commands, *triton.undo)]


def test_without_a_comfyui_there_is_no_launch_file():
    with pytest.raises(UserError, match="in no ComfyUI"):
        write_launcher(None, WINDOWS_313, PORTABLE, flag=False)


def test_a_script_for_an_environment_without_pip_is_uvs_throughout(tmp_path):
    machine = with_packages(PLAIN_WINDOWS, triton_windows=Package("3.6.0.post26"))
    python = machine.python.executable
    for uv, text in {"uv": "uv pip", r"C:\uv\uv.exe": r"C:\uv\uv.exe pip"}.items():
        around = Surroundings(kind="desktop", pip=False, uv=uv)
        file = tmp_path / f"fix{len(uv)}.bat"
        write_fix(file, make_plan(machine, around), machine, PACK)
        script = file.read_text(encoding="utf-8")
        assert f"{text} install --python {python}" in script
        assert "freeze" in script and "-m" not in script.split("freeze")[0].splitlines()[-1]
        assert "pip download" not in script and "ensurepip" not in script
