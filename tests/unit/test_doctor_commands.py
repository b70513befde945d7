"""Commands that run as they are copied: of every plan, each in its shell, from the folder that it names."""

import json
import ntpath
import posixpath
from dataclasses import replace

import pytest
from sagekit.doctor.causes.answer import explain
from sagekit.doctor.commands.quoting import NotTypedError, for_sh, for_windows, in_batch
from sagekit.doctor.commands.remove import REMOVE
from sagekit.doctor.plan.plan import make_plan
from sagekit.machine import Environment, Package
from sagekit.machine.surroundings import Surroundings
from support import shells
from support.environments import WINDOWS_313, with_packages
from support.planned import ALL, KAGGLE, MACHINES, PLANS, PORTABLE, VENV, on_linux, on_windows, portable

ANNA = {"home": r"C:\Users\Anna Muster", "names": ("Anna Muster", "ANNAS-PC")}
ALICE = {"home": "/home/alice", "names": ("alice", "bigbox")}
ROOT = {"home": "/root", "names": (), "triton_cache": "/root/.triton/cache"}
# What a Windows or a POSIX system has itself.
WELL_KNOWN = {"curl.exe", "tar.exe", "xcopy", "mkdir", "del", "rm"}


def moved(environment: Environment, executable: str) -> Environment:
    return replace(environment, python=replace(environment.python, executable=executable))


def in_folder(folder: str, **more) -> tuple[Environment, Surroundings]:
    """A portable in a folder of that name, whose Triton has to be replaced."""
    python = folder + r"\python_embeded"
    environment = with_packages(
        portable("3.14.2", "2.12.1+cu130", GeForce_RTX_4080=(8, 9)), triton_windows=Package("3.6.0.post26")
    )
    around = Surroundings(
        "portable",
        folder=python,
        comfyui=folder + r"\ComfyUI",
        base=folder + r"\ComfyUI",
        triton_cache=r"C:\Users\Anna Muster\.triton\cache",
        triton_cache_there=True,
        triton_cache_writable=True,
        **(ANNA | more),
    )
    return moved(environment, python + r"\python.exe"), around


def linux_at(executable: str, **around) -> tuple[Environment, Surroundings]:
    machine = with_packages(
        on_linux("3.12.8", "2.13.0+cu130", "3.6.0", GeForce_RTX_4090=(8, 9)), sageattention=None
    )
    cache = {"triton_cache": "/home/alice/.triton/cache", "triton_cache_there": True}
    known = {"kind": "venv", "triton_cache_writable": True} | cache | ALICE
    return moved(machine, executable), Surroundings(**(known | around))


def windows_at(executable: str, **around) -> tuple[Environment, Surroundings]:
    machine = on_windows("3.12.10", "2.10.0+cu128", GeForce_RTX_3090=(8, 6))
    return moved(machine, executable), Surroundings(**({"kind": "venv"} | ANNA | around))


COMFYUI = {"comfyui": "/home/alice/ComfyUI", "base": "/home/alice/ComfyUI"}
DESKTOP = {
    "comfyui": r"C:\Users\Anna Muster\AppData\Local\Programs\ComfyUI\resources\ComfyUI",
    "base": r"C:\Users\Anna Muster\Documents\ComfyUI",
}
# Where people have it; the place is the code that is wanted, and the Python as it is typed there.
LAYOUTS = {
    "a portable in a user's folder": (
        in_folder(r"C:\Users\Anna Muster\ComfyUI_windows_portable"),
        "portable",
        r".\python_embeded\python.exe",
    ),
    "a portable in a folder with signs": (
        in_folder(r"D:\100% A&B (x) ^!'s %TEMP% é"),
        "portable",
        r".\python_embeded\python.exe",
    ),
    "a venv in ComfyUI": (
        linux_at("/home/alice/ComfyUI/venv/bin/python", **COMFYUI),
        "comfyui",
        "venv/bin/python",
    ),
    "a venv beside ComfyUI": (
        linux_at("/home/alice/venv/bin/python", **COMFYUI),
        "comfyui",
        "../venv/bin/python",
    ),
    "a venv elsewhere": (linux_at("/home/alice/my envs/it's/bin/python", **COMFYUI), "venv", "bin/python"),
    "a venv in a folder with signs": (
        linux_at('/home/alice/ComfyUI/my $HOME `x` "v"/bin/python', **COMFYUI),
        "comfyui",
        "'my $HOME `x` \"v\"/bin/python'",
    ),
    "a venv named for its user": (
        linux_at("/home/alice/ComfyUI/alice-venv/bin/python", **COMFYUI),
        "venv",
        "bin/python",
    ),
    "the system's Python": (linux_at("/usr/bin/python3", kind="system"), "anywhere", "/usr/bin/python3"),
    "a Linux conda": (
        linux_at("/home/alice/miniconda3/envs/comfy/bin/python", kind="conda", **COMFYUI),
        "conda",
        "bin/python",
    ),
    "a notebook": (
        linux_at("/usr/bin/python3", kind="system", host="Kaggle", **ROOT),
        "anywhere",
        "/usr/bin/python3",
    ),
    "Desktop": (
        windows_at(r"C:\Users\Anna Muster\Documents\ComfyUI\.venv\Scripts\python.exe", **DESKTOP),
        "base",
        r".\.venv\Scripts\python.exe",
    ),
    "a Windows venv beside ComfyUI": (
        windows_at(r"D:\AI\venv\Scripts\python.exe", comfyui=r"D:\AI\ComfyUI", base=r"D:\AI\ComfyUI"),
        "comfyui",
        r"..\venv\Scripts\python.exe",
    ),
    "a Windows venv whose name needs quotes": (
        windows_at(r"D:\AI\my venv\Scripts\python.exe", comfyui=r"D:\AI\ComfyUI", base=r"D:\AI\ComfyUI"),
        "venv",
        r".\Scripts\python.exe",
    ),
    "a Windows conda": (
        windows_at(r"C:\Users\Anna Muster\miniconda3\envs\comfy\python.exe", kind="conda"),
        "conda",
        r".\python.exe",
    ),
    "a Windows Python of its own": (
        windows_at(r"C:\Users\Anna Muster\AppData\Local\Programs\Python\Python312\python.exe", kind="system"),
        "python",
        r".\python.exe",
    ),
}
MADE = {name: (make_plan(*machine), *machine) for name, (machine, _, _) in LAYOUTS.items()}
MADE |= {
    name: (PLANS[name], ALL[name], MACHINES[name][1] if name in MACHINES else PORTABLE) for name in PLANS
}


def parts_of(plan, private: bool):
    """Each list of commands: in full, as told, and why it is not."""
    told = plan.as_data(private=private)
    steps = zip((*plan.steps, *plan.options), (*told["steps"], *told["options"]), strict=True)
    for step, data in steps:
        yield step.commands, data["commands"], data["shown"], data["missing"]
        yield step.undo, data["undo"], data["undo_shown"], data["undo_missing"]


def read(line: str, system: str, home: str) -> list[str]:
    return shells.of_cmd(line) if system == "windows" else shells.of_sh(line, home)


def resolved(command: list[str], terminal, full) -> list[str]:
    """What a command means from the terminal's folder; only what is a path in full is one here."""
    path = ntpath if terminal.system == "windows" else posixpath
    if not terminal.place:
        return command
    if terminal.uv and command[:1] == ["pip"]:
        command = [terminal.uv, *command]
    seen = []
    for part, whole in zip(command, full, strict=True):
        if part.startswith("~"):
            seen.append(path.normpath(terminal.home + part[1:]))
        elif path.isabs(whole) and not path.isabs(part):
            seen.append(path.normpath(path.join(terminal.folder, part)))
        else:
            seen.append(part)
    return seen


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("private", [False, True], ids=["in full", "for others"])
def test_every_command_is_whole_parses_in_its_shell_and_is_the_planned_one(name, private):
    plan, environment, around = MADE[name]
    terminal = plan.for_others if private else plan.here
    for full, told, lines, missing in parts_of(plan, private):
        # All of a step's commands or none of them: a part of it does harm.
        assert len(told) == len(lines) == (0 if missing else len(full)), missing
        for command, seen, line in zip(full, told, lines, strict=False):
            assert "..." not in line and "\u2026" not in line
            ran = read(line, environment.system, around.home)
            home = around.home + seen[-1][1:] if seen[-1].startswith("~") else seen[-1]
            # sh has put the home folder in; Python does where there is none that does.
            assert ran in (seen, [*seen[:-1], home])
            assert resolved(seen, terminal, command) == list(command)
            if private and environment.system == "windows":
                assert shells.is_the_same_to_powershell(line), line


@pytest.mark.parametrize("name", MADE)
def test_every_command_starts_a_program_that_is_there(name):
    plan, environment, _ = MADE[name]
    path = ntpath if environment.system == "windows" else posixpath
    python = environment.python.executable
    # Those that a step's own first command installs, and what the terminal that is told has.
    there = {python, *(path.join(path.dirname(python), one) for one in ("kernels", "hf"))}
    there |= {plan.for_others.python, plan.uv} - {""}
    for full, told, _, _ in parts_of(plan, True):
        for command, seen in zip(full, told, strict=False):
            program = resolved(seen, plan.for_others, command)[0]
            assert program in there | WELL_KNOWN, program


@pytest.mark.parametrize("name", MADE)
def test_what_others_are_told_names_no_folder_and_nobody(name):
    plan, environment, around = MADE[name]
    text = json.dumps(plan.as_data(private=True), ensure_ascii=False).replace("\\\\", "\\").lower()
    for word in (around.home, around.comfyui, *around.names):
        assert not word or word.lower() not in text
    python = environment.python.executable
    if python and not python.startswith("/usr/bin/"):
        assert python.lower() not in text
    assert "c:\\" not in text and "d:\\" not in text and "/home/" not in text


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_terminal_is_opened_where_the_python_can_be_told_from(name):
    machine, place, program = LAYOUTS[name]
    plan = make_plan(*machine)
    data = plan.as_data(private=True)
    assert data["place"] == place and data["open_in"].endswith(".")
    shown = [line for _, _, lines, _ in parts_of(plan, True) for line in lines]
    own = [line for line in shown if "-m pip" in line]
    assert own and all(line.startswith(f"{program} ") for line in own)
    # All of these can be told.
    assert not any(missing for _, _, _, missing in parts_of(plan, True))


def test_nearly_every_command_can_be_told_to_others_and_the_rest_says_where_it_is_printed():
    missing = [
        (name, reason)
        for name, plan in PLANS.items()
        for full, _, _, reason in parts_of(plan, True)
        if full and reason
    ]
    # A cache in a folder that only a variable names.
    assert [name for name, _ in missing] == ["portable, Triton of another torch"]
    assert "kernels_check --plan" in missing[0][1]
    assert sum(len(lines) for plan in PLANS.values() for _, _, lines, _ in parts_of(plan, True)) > 150


def test_where_no_python_is_known_there_is_no_command():
    for kind, host, told in (("system", "", False), ("venv", "", True), ("system", "Kaggle", True)):
        plan = make_plan(moved(linux_at("x")[0], ""), Surroundings(kind, host))
        for private in (False, True):
            parts = [part for part in parts_of(plan, private) if part[0]]
            assert parts and all(bool(lines) is told for _, _, lines, _ in parts)
            assert all(("not known" in missing) is not told for *_, missing in parts)
    venv = make_plan(moved(linux_at("x")[0], ""), Surroundings("venv")).as_data()
    assert venv["place"] == "activated" and "activate" in venv["open_in"]


def test_the_desktop_applications_own_uv_is_called_pip_in_its_own_terminal_where_no_path_is_told():
    plan, around = PLANS["ComfyUI Desktop"], MACHINES["ComfyUI Desktop"][1]
    data = plan.as_data(private=True)
    assert data["place"] == "desktop" and "Desktop's own terminal" in data["open_in"]
    lines = [line for step in data["steps"] for line in (*step["shown"], *step["undo_shown"])]
    assert lines and all(line.startswith("pip ") for line in lines)
    assert all(r"--python .venv\Scripts\python.exe" in line for line in lines)
    full = [line for step in plan.as_data()["steps"] for line in step["shown"]]
    assert all(line.startswith(around.uv) for line in full)


def test_a_uv_that_is_on_path_is_called_by_its_name_and_told_for_which_python():
    machine, around = linux_at("/home/alice/ComfyUI/.venv/bin/python", pip=False, uv="uv", **COMFYUI)
    data = make_plan(machine, around).as_data(private=True)
    lines = [line for step in data["steps"] for line in step["shown"] if " pip " in line]
    assert data["place"] == "comfyui" and lines
    assert all(line.startswith("uv pip install --python .venv/bin/python ") for line in lines)


@pytest.mark.parametrize(("kind", "python"), [("venv", "python"), ("system", "")])
def test_uv_is_told_of_no_python_whose_path_is_not_known(kind, python):
    machine = moved(linux_at("x")[0], "")
    data = make_plan(machine, Surroundings(kind, pip=False, uv="uv")).as_data()
    told = [step for step in data["steps"] if step["code"].startswith("install")]
    assert told
    for step in told:
        assert all(f"--python {python} " in line for line in step["shown"])
        assert bool(step["shown"]) is bool(python) and ("not known" in step["missing"]) is not bool(python)


def test_what_is_known_of_a_package_names_nobody_to_others():
    error = "ImportError: /home/alice/ComfyUI/venv/lib/sageattention/_fused.so: undefined symbol: x"
    machine, around = linux_at("/home/alice/ComfyUI/venv/bin/python", **COMFYUI)
    machine = with_packages(machine, sageattention=Package("2.2.0"))
    plan = make_plan(machine, around, broken={"sageattention": error})
    assert "alice" in plan.as_data()["installed"][0]["known"]
    assert "undefined symbol" in plan.as_data(private=True)["installed"][0]["known"]
    text = json.dumps(plan.as_data(private=True))
    assert "alice" not in text, text[text.find("alice") - 200 :][:300]


def test_a_portable_that_somebody_only_described_has_its_commands_from_its_own_folder():
    machine = moved(portable("3.13.14", "2.13.0+cu130", GeForce_RTX_4090=(8, 9)), "")
    plan = make_plan(machine, Surroundings("portable"))
    for private in (False, True):
        data = plan.as_data(private=private)
        assert data["place"] == "portable"
        assert data["steps"][1]["shown"][0].startswith(r".\python_embeded\python.exe -s -m pip install")


def test_a_cache_is_emptied_by_a_line_that_finds_it_from_home_in_any_shell(tmp_path, monkeypatch):
    plan = make_plan(*LAYOUTS["a portable in a user's folder"][0])
    (command,) = plan.steps[-1].commands
    (line,) = plan.as_data(private=True)["steps"][-1]["shown"]
    assert line.endswith(r'"~\.triton\cache"') and command[-1] == r"C:\Users\Anna Muster\.triton\cache"
    (posix,) = make_plan(*LAYOUTS["a venv in ComfyUI"][0]).as_data(private=True)["steps"][-1]["shown"]
    assert posix == "rm -r -f ~/.triton/cache"
    # The line of Python itself, on what a user's folder may be called.
    cache = tmp_path / "it's $HOME & 100%" / ".triton" / "cache"
    cache.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(cache.parents[1]))
    monkeypatch.setenv("USERPROFILE", str(cache.parents[1]))
    for _ in range(2):  # Where there is none it is no fault.
        monkeypatch.setattr("sys.argv", ["-c", "~/.triton/cache"])
        exec(REMOVE)  # noqa: S102
        assert not cache.exists() and cache.parent.is_dir()


def test_an_answer_to_an_error_has_the_commands_with_the_place_to_type_them_in():
    plan = make_plan(*LAYOUTS["a portable in a user's folder"][0])
    (answer,) = explain("SystemError: PY_SSIZE_T_CLEAN macro must be defined", plan, private=True)
    steps = plan.as_data(private=True)["steps"]
    codes = ("python-headers", "clear-triton-cache")
    assert list(answer.commands) == [line for one in steps if one["code"] in codes for line in one["shown"]]
    assert "python_embeded and ComfyUI" in answer.open_in
    (full,) = explain("SystemError: PY_SSIZE_T_CLEAN macro must be defined", plan)
    assert full.open_in == "" and any("Anna Muster" in line for line in full.commands)


AWKWARD = [
    "a b",
    "a&b",
    "100%",
    "%TEMP%",
    "!x!",
    "a^b",
    "it's",
    "(x)",
    "a;b,c=d",
    "\u00e9\u0416",
    "a`b",
    "$HOME",
    "#x",
]


@pytest.mark.parametrize("name", AWKWARD)
def test_every_sign_a_folder_may_have_arrives_as_it_is(name):
    variables = {"TEMP": "somewhere else", "x": "y", "HOME": "/elsewhere"}
    command = (rf"C:\{name}\python.exe", "-m", "pip", rf"D:\{name}")
    assert shells.of_cmd(in_batch(command), variables, batch=True) == list(command)
    if "%TEMP%" not in name:
        assert shells.of_cmd(for_windows(command), variables) == list(command)
    posix = (f"/home/{name}/python", "-m", "pip", f"/srv/{name}")
    assert shells.of_sh(for_sh(posix), "/home/x") == list(posix)


@pytest.mark.parametrize("name", ['say "x"', "a\nb", "a\\b", "~/x"])
def test_what_only_a_posix_name_may_have_arrives_too(name):
    posix = (f"/home/{name}/python", f"/srv/{name}")
    assert shells.of_sh(for_sh(posix), "/home/x") == list(posix)


def test_a_folder_that_the_prompt_would_read_as_a_variable_is_not_told_but_written():
    environment, around = in_folder(r"D:\%TEMP%")
    plan = make_plan(environment, around)
    for _, _, lines, missing in parts_of(plan, False):
        assert not lines and (not missing or "--write-fix" in missing)
    with pytest.raises(NotTypedError):
        for_windows(("python.exe", 'say "hello"'))


def test_the_notebooks_are_told_how_a_cell_takes_a_command():
    assert KAGGLE.host == "Kaggle" and VENV.host == ""
    data = make_plan(*LAYOUTS["a notebook"][0]).as_data(private=True)
    assert data["open_in"] == "In a cell of the notebook, each command with ! before it."


# The test itself sees what it is for.


def test_a_line_that_would_run_something_else_is_seen():
    for line in (r"C:\a&b\python.exe", "x (y)", "x > y", 'x "y'):
        with pytest.raises(AssertionError):
            shells.of_cmd(line)
    assert shells.of_cmd(r"C:\%TEMP%\x", {"TEMP": "t"}) == [r"C:\t\x"]
    for line in ('"C:\\x y\\python.exe" -m pip', "python.exe $x", 'python.exe "$x"'):
        assert not shells.is_the_same_to_powershell(line)


def test_nothing_of_a_well_matched_machine_is_withheld():
    assert make_plan(WINDOWS_313, PORTABLE).as_data(private=True)["steps"] == []
