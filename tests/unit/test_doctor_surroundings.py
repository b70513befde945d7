"""What the doctor reads around a Python, and what it says of it: each rule inside and outside its limit."""

import struct
from dataclasses import replace
from pathlib import Path

import pytest
from sagekit.doctor.plan import uv
from sagekit.doctor.plan.findings import findings
from sagekit.doctor.plan.plan import REPAIR, make_plan
from sagekit.kernels_check import other_python
from sagekit.machine import InstalledFile, Package
from sagekit.machine.dll import file_version
from sagekit.machine.layout import Layout
from sagekit.machine.surroundings import Around, Surroundings, read_surroundings
from sagekit.machine.user_error import UserError
from support.environments import LAPTOP, PLAIN_WINDOWS, RTX_4090, WINDOWS_313, sage, with_packages

PORTABLE = Surroundings(kind="portable", folder=r"C:\portable\python_embeded")
VENV = Surroundings(kind="venv")
NEW, OLD = {"msvcp140.dll": (14, 44, 35211, 0)}, {"msvcp140.dll": (14, 38, 33135, 0)}


def codes(machine, around) -> list[str]:
    return [one.mismatch.reason.code for one in findings(machine, around)]


def modules(name: str) -> Package:
    return sage("cu130torch2.10.0andhigher.post6", files=(InstalledFile(f"sageattention/{name}", 1, 1),))


ON_WINDOWS = replace(WINDOWS_313, python=replace(WINDOWS_313.python, embedded=False))
# The machine, what is around it, and the same with one fact changed.
CASES = {
    "other-python": (RTX_4090, replace(VENV, own_python="/x/python"), VENV),
    "externally-managed": (RTX_4090, replace(VENV, managed=True), VENV),
    "not-writable": (RTX_4090, replace(VENV, packages_writable=False), replace(VENV, packages_writable=True)),
    "pip-missing": (RTX_4090, replace(VENV, pip=False), VENV),
    "cpp-runtime": (WINDOWS_313, replace(PORTABLE, runtime=OLD), replace(PORTABLE, runtime=NEW)),
    "python-variable": (
        ON_WINDOWS,
        replace(VENV, variables={"PYTHONPATH": "x"}),
        replace(VENV, variables={"CUDA_PATH": "C:\\CUDA\\v13.0"}),
    ),
    "cuda-path": (
        ON_WINDOWS,
        replace(VENV, variables={"CUDA_PATH": "C:\\CUDA\\v11.8"}),
        replace(VENV, variables={"CUDA_PATH": "C:\\CUDA\\v12.1"}),
    ),
    "cc-variable": (ON_WINDOWS, replace(VENV, variables={"CC": "cl.exe"}), VENV),
    "linux-headers": (
        RTX_4090,
        replace(VENV, headers=False, compiler=True),
        replace(VENV, headers=True, compiler=True),
    ),
    "triton-cache": (
        RTX_4090,
        replace(VENV, triton_cache_writable=False),
        replace(VENV, triton_cache_writable=True),
    ),
    "not-ascii": (WINDOWS_313, replace(PORTABLE, not_ascii={"TEMP": "C:\\Users\\Ж"}), PORTABLE),
    "long-paths": (WINDOWS_313, replace(PORTABLE, long_paths=False), replace(PORTABLE, long_paths=True)),
    "other-pip": (RTX_4090, replace(VENV, other_pip="/usr/bin/pip"), VENV),
}


@pytest.mark.parametrize("code", CASES)
def test_a_fact_is_told_and_without_it_nothing_is(code):
    machine, around, without = CASES[code]
    assert codes(machine, around) == [code]
    assert codes(machine, without) == []


def test_modules_that_were_copied_from_another_python_are_told():
    wrong = with_packages(WINDOWS_313, sageattention=modules("_fused.cp312-win_amd64.pyd"))
    assert codes(wrong, PORTABLE) == ["modules-python"]
    for name in ("_fused.cp313-win_amd64.pyd", "_fused.pyd"):
        assert codes(with_packages(WINDOWS_313, sageattention=modules(name)), PORTABLE) == []
    linux = with_packages(RTX_4090, sageattention=modules("_fused.cpython-310-x86_64-linux-gnu.so"))
    assert codes(linux, VENV) == ["modules-python"]
    assert codes(with_packages(RTX_4090, sageattention=modules("_fused.abi3.so")), VENV) == []


def test_modules_of_another_python_are_replaced_by_the_plan():
    wrong = with_packages(WINDOWS_313, sageattention=modules("_fused.cp312-win_amd64.pyd"))
    plan = make_plan(wrong, PORTABLE)
    assert plan.outcome == REPAIR and [step.code for step in plan.steps] == ["install-sage"]


def test_a_missing_runtime_is_told_and_conda_has_its_own_way():
    missing = replace(PORTABLE, runtime={"msvcp140.dll": None})
    (finding,) = findings(WINDOWS_313, missing)
    assert "aka.ms/vs/17" in finding.mismatch.do and finding.mismatch.reason.came == "none"
    (finding,) = findings(WINDOWS_313, replace(missing, kind="conda"))
    assert "conda-forge vc14_runtime" in finding.mismatch.do
    # Exactly the oldest that will do.
    assert codes(WINDOWS_313, replace(PORTABLE, runtime={"msvcp140.dll": (14, 42, 0, 0)})) == []


def test_variables_that_an_embeddable_python_ignores_are_no_fault_of_it():
    assert codes(WINDOWS_313, replace(PORTABLE, variables={"PYTHONPATH": "x", "PYTHONHOME": "y"})) == []


def test_a_machine_without_cuda_needs_no_compiler():
    assert codes(LAPTOP, replace(VENV, headers=False, compiler=False)) == []


def test_pip_comes_first_where_it_is_missing_and_can_be_had():
    plan = make_plan(PLAIN_WINDOWS, replace(VENV, pip=False))
    assert plan.steps[0].code == "get-pip" and "ensurepip" in plan.steps[0].commands[0]
    assert not plan.stopped_by
    without = make_plan(PLAIN_WINDOWS, replace(VENV, pip=False, ensurepip=False))
    assert [one.mismatch.reason.code for one in without.stopped_by] == ["pip-missing"]


def test_where_uv_made_a_python_without_pip_the_commands_are_uvs_for_that_python():
    plan = make_plan(PLAIN_WINDOWS, replace(VENV, kind="desktop", pip=False, uv="uv"))
    assert not plan.stopped_by and "get-pip" not in [step.code for step in plan.steps]
    python = PLAIN_WINDOWS.python.executable
    for step in plan.steps:
        for command in (*step.commands, *step.undo):
            if "pip" in command:
                assert command[:2] == ("uv", "pip") and command[3:5] == ("--python", python)
                assert "-y" not in command and "-m" not in command
    with_pip = make_plan(PLAIN_WINDOWS, replace(VENV, kind="desktop", uv="uv"))
    assert all("uv" not in command for step in with_pip.steps for command in step.commands)
    # Where none was found, Desktop's Python gets its own pip, as Desktop itself gives it one.
    without = make_plan(PLAIN_WINDOWS, replace(VENV, kind="desktop", pip=False))
    assert without.steps[0].code == "get-pip" and without.steps[0].commands[0][-1] == "ensurepip"


def test_what_uv_has_no_words_for_is_left_out_and_what_is_not_pips_stays():
    assert uv.command(("python", "-s", "-m", "pip", "download", "x"), "uv") is None
    assert uv.command(("rm", "-r", "-f", "pip"), "uv") == ("rm", "-r", "-f", "pip")
    assert uv.command(("/a/kernels", "versions", "x"), "uv") == ("/a/kernels", "versions", "x")
    told = uv.command(("python", "-m", "pip", "uninstall", "-y", "x"), "/b/uv")
    assert told == ("/b/uv", "pip", "uninstall", "--python", "python", "x")


def test_a_finding_alone_is_something_to_repair_and_a_remark_is_not():
    assert make_plan(WINDOWS_313, replace(PORTABLE, runtime=OLD)).outcome == REPAIR
    assert make_plan(WINDOWS_313, replace(PORTABLE, long_paths=False)).outcome == "well"


# Reading.


def program(version: tuple[int, int, int, int] | None) -> bytes:
    """The bytes of a library as far as its version goes."""
    if version is None:
        return b"MZ" + b"\0" * 100
    a, b, c, d = version
    info = struct.pack("<IIIIII", 0xFEEF04BD, 0x00010000, a << 16 | b, c << 16 | d, 0, 0)
    return b"MZ" + b"\0" * 500 + "VS_VERSION_INFO".encode("utf-16-le") + b"\0\0" + info + b"\0" * 50


@pytest.mark.parametrize("version", [(14, 42, 34433, 0), (14, 0, 23026, 65535), None])
def test_the_version_of_a_library_is_read_from_the_file_itself(tmp_path, version):
    (tmp_path / "msvcp140.dll").write_bytes(program(version))
    assert file_version(tmp_path / "msvcp140.dll") == version


def test_a_library_that_is_missing_or_cut_off_has_no_version(tmp_path):
    assert file_version(tmp_path / "none.dll") is None
    (tmp_path / "cut.dll").write_bytes(program((14, 42, 1, 0))[:-65])
    assert file_version(tmp_path / "cut.dll") is None


class Registry:
    """winreg with one value."""

    HKEY_LOCAL_MACHINE = 0

    def __init__(self, value: int | None):
        self.value = value

    def OpenKey(self, key, path):  # noqa: N802
        if self.value is None:
            raise FileNotFoundError(2, path)
        return self

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None

    def QueryValueEx(self, key, name):  # noqa: N802
        assert name == "LongPathsEnabled"
        return self.value, 4


def around(tmp_path: Path, **more) -> Around:
    python = tmp_path / "python_embeded"
    (python / "Lib" / "site-packages").mkdir(parents=True, exist_ok=True)
    facts = {
        "environ": {"SystemRoot": str(tmp_path / "Windows"), "TEMP": "C:\\Temp"},
        "prefix": str(python),
        "base": str(python),
        "executable": str(python / "python.exe"),
        "packages": str(python / "Lib" / "site-packages"),
        "standard": str(python / "Lib"),
        "include": str(python / "include"),
        "path": (str(python / "Lib" / "site-packages"),),
        "home": str(tmp_path / "home"),
        "which": lambda name: None,
        "registry": Registry(0),
    }
    return Around(**facts | more)


def test_the_copy_beside_python_is_the_one_that_is_loaded(tmp_path):
    system = tmp_path / "Windows" / "System32"
    system.mkdir(parents=True)
    (system / "msvcp140.dll").write_bytes(program((14, 44, 1, 0)))
    assert read_surroundings(WINDOWS_313, None, around(tmp_path)).runtime["msvcp140.dll"] == (14, 44, 1, 0)
    (tmp_path / "python_embeded" / "msvcp140.dll").write_bytes(program((14, 29, 1, 0)))
    found = read_surroundings(WINDOWS_313, None, around(tmp_path))
    assert found.runtime["msvcp140.dll"] == (14, 29, 1, 0) and found.runtime["vcruntime140.dll"] is None
    assert codes(WINDOWS_313, found)[0] == "pip-missing" and "cpp-runtime" in codes(WINDOWS_313, found)


@pytest.mark.parametrize(("value", "allowed"), [(1, True), (0, False), (None, None)])
def test_long_paths_are_read_from_the_registry(tmp_path, value, allowed):
    place = around(tmp_path, registry=Registry(value))
    assert read_surroundings(WINDOWS_313, None, place).long_paths is allowed


def test_each_kind_of_python_is_told_apart(tmp_path):
    embedded, other = WINDOWS_313, RTX_4090
    assert read_surroundings(embedded, None, around(tmp_path)).kind == "portable"
    renamed = around(tmp_path, base=str(tmp_path / "python"))
    assert read_surroundings(embedded, None, renamed).kind == "embedded"
    assert read_surroundings(other, None, around(tmp_path)).kind == "system"
    assert read_surroundings(other, None, around(tmp_path, base="/usr")).kind == "venv"
    (tmp_path / "python_embeded" / "conda-meta").mkdir()
    assert read_surroundings(other, None, around(tmp_path)).kind == "conda"


def test_the_desktop_applications_environment_and_its_uv_are_found_by_their_folders(tmp_path):
    home = tmp_path / "Documents" / "ComfyUI"
    python = home / ".venv" / "Scripts" / "python.exe"
    python.parent.mkdir(parents=True)
    place = around(tmp_path, prefix=str(home / ".venv"), executable=str(python))
    assert read_surroundings(RTX_4090, None, place).kind == "venv"
    (home / "uv-cache").mkdir()
    found = read_surroundings(RTX_4090, None, place)
    assert (found.kind, found.uv, found.uv_alone) == ("desktop", "", "")
    # A terminal finds it by its name, and its folder may be the user's.
    on_path = replace(place, which=lambda name: f"/home/anna/bin/{name}")
    assert read_surroundings(RTX_4090, None, on_path).uv == "uv"
    # Installed, it brings uv beside the ComfyUI that it starts.
    comfyui = tmp_path / "Programs" / "resources" / "ComfyUI"
    bundled = comfyui.parent / "uv" / "win" / "uv.exe"
    bundled.parent.mkdir(parents=True)
    bundled.write_bytes(b"")
    (home / "uv-cache").rmdir()
    found = read_surroundings(RTX_4090, Layout(comfyui), place)
    assert (found.kind, found.uv_alone) == ("desktop", str(bundled))
    # One that pip put into the environment itself is nearer.
    (python.parent / "uv.exe").write_bytes(b"")
    assert read_surroundings(RTX_4090, Layout(comfyui), place).uv_alone == str(python.parent / "uv.exe")


@pytest.mark.parametrize(
    ("environ", "host"),
    [({"KAGGLE_KERNEL_RUN_TYPE": "Interactive"}, "Kaggle"), ({"COLAB_RELEASE_TAG": "x"}, "Colab"), ({}, "")],
)
def test_notebooks_are_known_by_what_their_images_set(tmp_path, environ, host):
    assert read_surroundings(RTX_4090, None, around(tmp_path, environ=environ)).host == host


def test_the_systems_own_python_is_managed_and_a_virtual_environment_of_it_is_not(tmp_path):
    place = around(tmp_path)
    (Path(place.standard) / "EXTERNALLY-MANAGED").write_text("")
    assert read_surroundings(RTX_4090, None, place).managed
    assert not read_surroundings(RTX_4090, None, replace(place, prefix=str(tmp_path))).managed


def test_pip_and_ensurepip_are_found_where_they_lie(tmp_path):
    place = around(tmp_path)
    assert not read_surroundings(RTX_4090, None, place).pip
    for folder in (Path(place.packages) / "pip", Path(place.standard) / "ensurepip"):
        folder.mkdir()
        (folder / "__init__.py").write_text("")
    found = read_surroundings(RTX_4090, None, place)
    assert found.pip and found.ensurepip


def test_whether_a_folder_can_be_written_is_tried(tmp_path):
    place = around(tmp_path)
    found = read_surroundings(RTX_4090, None, place)
    assert found.packages_writable and found.triton_cache_writable and not found.triton_cache_there
    assert list(Path(place.packages).iterdir()) == []
    # Nobody can make a file there, not even root.
    locked = replace(place, packages="/proc/self", environ={"TRITON_CACHE_DIR": "/proc/self/triton"})
    found = read_surroundings(RTX_4090, None, locked)
    assert found.packages_writable is False and found.triton_cache_writable is False


def test_folders_with_other_letters_are_told_by_the_variable_that_names_them(tmp_path):
    environ = {"USERPROFILE": "C:\\Users\\Жанна", "TEMP": "C:\\Temp"}
    assert read_surroundings(WINDOWS_313, None, around(tmp_path, environ=environ)).not_ascii == {
        "USERPROFILE": "C:\\Users\\Жанна"
    }


def test_the_python_that_lies_with_comfyui_is_found_from_another_one(tmp_path):
    comfyui = tmp_path / "ComfyUI"
    comfyui.mkdir()
    place = around(tmp_path)
    own = tmp_path / "python_embeded" / "python.exe"
    own.write_text("")
    assert read_surroundings(WINDOWS_313, Layout(comfyui), place).own_python == ""
    another = replace(place, prefix="/usr", base="/usr")
    assert read_surroundings(RTX_4090, Layout(comfyui), another).own_python == str(own)


def test_a_virtual_environment_in_comfyui_is_its_own_also_through_links(tmp_path):
    comfyui = tmp_path / "ComfyUI"
    (comfyui / ".venv" / "bin").mkdir(parents=True)
    (comfyui / ".venv" / "bin" / "python").symlink_to("/usr/bin/env")
    link = tmp_path / "link"
    link.symlink_to(comfyui)
    inside = around(tmp_path, prefix=str(link / ".venv"))
    another = around(tmp_path, prefix="/usr")
    # Desktop has it in the base directory.
    for layout in (Layout(comfyui), Layout(None, comfyui), Layout(tmp_path / "elsewhere", comfyui)):
        assert read_surroundings(RTX_4090, layout, inside).own_python == ""
        assert read_surroundings(RTX_4090, layout, another).own_python.endswith("python")


def test_this_very_machine_can_be_read():
    found = read_surroundings(RTX_4090)
    assert found.packages_writable in (True, False) and found.pip and found.triton_cache


# The Python that a user names.


def test_a_folder_without_a_python_is_none(tmp_path):
    with pytest.raises(UserError, match="is no Python environment"):
        other_python.expect(tmp_path, Path("/pack"))


@pytest.mark.parametrize(
    "place", ["python.exe", "Scripts/python.exe", "bin/python", "python_embeded/python.exe"]
)
def test_another_python_is_answered_with_the_line_that_starts_it(tmp_path, place):
    file = tmp_path / place
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("")
    for named in (tmp_path, file):
        with pytest.raises(UserError, match="is another Python") as error:
            other_python.expect(named, Path("/pack"), "/usr/bin/python3")
        assert f"{file} -s /pack/kernels_check" in str(error.value)
        other_python.expect(named, Path("/pack"), str(file))
