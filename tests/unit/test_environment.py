"""What is read of a machine, from files alone: a real one, and others made of folders."""

import errno
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from sagekit.kernels.families import installed, sought
from sagekit.machine import (
    Driver,
    Environment,
    Gpu,
    Places,
    Python,
    Torch,
    fingerprint,
    read_environment,
    with_gpus_from_torch,
)
from support.environments import RTX_5090, WELL_MATCHED, WINDOWS_313, install, write

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def places(tmp_path) -> Places:
    """A Linux machine with nothing on it but a Python and this pack."""
    write(tmp_path, {"proc/sys/kernel/osrelease": "6.8.0-45-generic\n", "venv/bin/python": ""})
    return Places(
        executable=str(tmp_path / "venv" / "bin" / "python"),
        base=str(tmp_path / "venv"),
        path=(str(tmp_path / "site"),),
        user_site=None,
        hub_cache=str(tmp_path / "cache"),
        system="linux",
        proc=tmp_path / "proc",
        wsl_drivers=tmp_path / "wsl",
        pack=ROOT,
        visible=None,
    )


def here(places: Places) -> Path:
    return places.proc.parent


VERSION_FILE = """from typing import Optional

__all__ = ['__version__', 'debug', 'cuda', 'git_version', 'hip']
__version__ = '{version}'
debug = False
cuda: Optional[str] = {cuda}
git_version = '5c4886908584'
hip: Optional[str] = {hip}
"""


@pytest.mark.parametrize(
    ("version", "cuda", "hip", "expected"),
    [
        ("2.14.1+cu130", "'13.0'", "None", Torch("2.14.1", "cu130", "13.0", commit="5c4886908584")),
        ("2.9.1+cpu", "None", "None", Torch("2.9.1", "cpu", commit="5c4886908584")),
        ("2.9.1", "'12.8'", "None", Torch("2.9.1", "", "12.8", commit="5c4886908584")),
        ("2.9+rocm6.4", "None", "'6.4.4'", Torch("2.9", "rocm6.4", None, "6.4.4", commit="5c4886908584")),
    ],
)
def test_torch_and_its_cuda_come_from_the_text_of_its_version_file(places, version, cuda, hip, expected):
    write(here(places), {"site/torch/version.py": VERSION_FILE.format(version=version, cuda=cuda, hip=hip)})
    torch = read_environment(sought(), places=places).torch
    assert torch == expected
    assert torch.kind == ("cuda" if expected.cuda else "rocm" if expected.rocm else "cpu")


def test_the_version_file_of_an_older_torch_is_read_too(places):
    text = "__version__ = '2.0.1+cu118'\ndebug = False\ncuda = '11.8'\nhip = None\n"
    write(here(places), {"site/torch/version.py": text})
    assert read_environment(sought(), places=places).torch == Torch("2.0.1", "cu118", "11.8")


def test_without_a_version_file_the_metadata_say_which_torch_it_is(places):
    install(here(places) / "site", "torch", "2.9.1+cu128", {})
    assert read_environment(sought(), places=places).torch == Torch("2.9.1", "cu128", "12.8")


def test_no_torch_is_a_fact_and_no_fault(places):
    found = read_environment(sought(), places=places)
    assert (found.torch, found.driver, found.gpus, found.unread) == (None, None, (), ())


@pytest.mark.parametrize(
    "line",
    [
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024",
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  550.54.15  Release Build  (dvs@U16)  Thu",
    ],
)
def test_driver_and_gpus_of_a_linux_machine_are_read_from_proc(places, line):
    nvidia = {
        "version": f"{line}\nGCC version:  gcc version 13.3.0\n",
        "gpus/0000:01:00.0/information": "Model: \t\t NVIDIA GeForce RTX 4090\nIRQ:   \t\t 142\n",
        "gpus/0000:41:00.0/information": "Model: \t\t NVIDIA GeForce RTX 3090\nIRQ:   \t\t 143\n",
    }
    write(places.proc / "driver" / "nvidia", nvidia)
    found = read_environment(sought(), places=places)
    names = ("NVIDIA GeForce RTX 4090", "NVIDIA GeForce RTX 3090")
    assert found.driver == Driver("550.54.15", names)
    assert found.gpus == (Gpu(0, names[0]), Gpu(1, names[1]))


def test_under_wsl_the_driver_is_known_by_the_folder_it_is_shared_from(places):
    write(places.proc, {"sys/kernel/osrelease": "6.6.87.2-microsoft-standard-WSL2\n"})
    write(places.wsl_drivers, {"nv_dispi.inf_amd64_0a1b2c/x.dll": "", "iigd_dch.inf_amd64_ff/y.dll": ""})
    found = read_environment(sought(), places=places)
    assert (found.wsl, found.driver) == (True, Driver(store=("nv_dispi.inf_amd64_0a1b2c",)))
    assert found.gpus == ()
    assert found.unread == ("gpus: the driver names none, only torch can tell",)


class Registry:
    """As much of winreg as is used, over a dictionary: {key: {name: value}}."""

    HKEY_LOCAL_MACHINE = None

    def __init__(self, keys: dict[str, dict[str, str]]):
        self.keys = keys

    def OpenKey(self, above, key):  # noqa: N802
        if key == "Properties":
            raise PermissionError(errno.EACCES, "Access is denied")
        if above is None and "4d36e968-e325-11ce-bfc1-08002be10318" not in key:
            raise FileNotFoundError(key)
        return Key(self.keys if above is None else self.keys[key])

    def EnumKey(self, key, index):  # noqa: N802
        if index >= len(key.values):
            raise OSError(errno.ENOENT, "No more data is available")
        return list(key.values)[index]

    def QueryValueEx(self, key, name):  # noqa: N802
        if name not in key.values:
            raise FileNotFoundError(name)
        return key.values[name], 1


class Key:
    def __init__(self, values):
        self.values = values

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None


def adapter(provider: str, name: str, version: str) -> dict[str, str]:
    return {"ProviderName": provider, "DriverDesc": name, "DriverVersion": version}


@pytest.mark.parametrize(
    ("windows", "nvidia"),
    [
        ("32.0.15.7652", "576.52"),
        ("31.0.15.3623", "536.23"),
        ("32.0.15.8088", "580.88"),
        ("odd", None),
        ("32.0.15", None),
        ("32.0.15.x", None),
    ],
)
def test_driver_and_gpus_of_a_windows_machine_are_read_from_the_registry(places, windows, nvidia):
    registry = Registry(
        {
            "0000": adapter("Intel Corporation", "Intel(R) UHD Graphics", "31.0.101.2125"),
            "0001": adapter("NVIDIA", "NVIDIA GeForce RTX 3060 Laptop GPU", windows),
            "Configuration": {},
            "Properties": {},
            "0002": {"DriverDesc": "Microsoft Remote Display Adapter"},
        }
    )
    found = read_environment(sought(), places=replace(places, system="windows", registry=registry))
    assert found.driver == Driver(nvidia, ("NVIDIA GeForce RTX 3060 Laptop GPU",))
    assert found.gpus == (Gpu(0, "NVIDIA GeForce RTX 3060 Laptop GPU"),)


def test_a_windows_machine_without_nvidia_has_no_driver(places):
    registry = Registry({"0000": adapter("Intel Corporation", "Intel(R) UHD Graphics", "31.0.101.2125")})
    found = read_environment(sought(), places=replace(places, system="windows", registry=registry))
    assert (found.driver, found.unread) == (None, ())


def embedded(places: Places, *files: str) -> Places:
    folder = here(places) / "python_embeded"
    write(folder, dict.fromkeys(("python.exe", "python312._pth", *files), ""))
    program = str(folder / "python.exe")
    return replace(places, system="windows", registry=Registry({}), executable=program, base=str(folder))


LIBRARY = "libs/python{}{}.lib".format(*sys.version_info[:2])


@pytest.mark.parametrize(
    ("files", "has_headers"),
    [
        ((), False),
        (("include/Python.h",), False),
        ((LIBRARY,), False),
        (("include/Python.h", "libs/python39.lib"), False),
        (("include/Python.h", LIBRARY), True),
    ],
)
def test_an_embeddable_python_is_known_by_its_path_file_and_needs_both_folders(places, files, has_headers):
    python = read_environment(sought(), places=embedded(places, *files)).python
    assert (python.embedded, python.has_headers) == (True, has_headers)
    assert python.shown_executable == "python_embeded/python.exe"


def test_an_ordinary_python_is_not_embedded(places):
    python = read_environment(sought(), places=places).python
    assert (python.embedded, python.has_headers) == (False, None)
    assert python.minor == sys.version_info[:2]


@pytest.mark.parametrize(
    ("python", "tag"),
    [
        (Python("3.12.10"), "cp312"),
        (Python("3.13.0", free_threaded=True), "cp313t"),
        (Python("3.9.1"), "cp39"),
    ],
)
def test_a_python_names_its_wheels(python, tag):
    assert python.tag == tag


@pytest.mark.parametrize(
    ("executable", "shown"),
    [
        (r"C:\Users\alice\ComfyUI\python_embeded\python.exe", "python_embeded/python.exe"),
        (r"C:\Users\alice\python.exe", "python.exe"),
        ("/home/alice/comfy/venv/bin/python", "bin/python"),
        ("/home/alice/python3", "python3"),
        ("/usr/bin/python3", "bin/python3"),
        ("python", "python"),
        ("", ""),
    ],
)
def test_the_python_is_shown_without_whose_it_is(executable, shown):
    assert Python("3.12.10", executable=executable).shown_executable == shown


def test_the_host_is_known_by_the_text_of_its_version_file(places):
    write(here(places) / "ComfyUI", {"comfyui_version.py": '# generated\n__version__ = "0.33.0"\n'})
    found = read_environment(sought(), here(places) / "ComfyUI", ("use_sage_attention",), places)
    assert (found.comfyui, found.flags) == ("0.33.0", ("use_sage_attention",))


def with_unreadable_driver(places: Places) -> Places:
    write(places.proc, {"driver/nvidia/version/is a folder": ""})
    return places


BROKEN = {
    "release": lambda places: replace(places, proc=places.pack),
    "python": lambda places: replace(places, executable="/no/such/alice/python"),
    "packages": lambda places: replace(places, path=("/home/alice/\0",)),
    "driver": with_unreadable_driver,
    "pack": lambda places: replace(places, pack=places.proc),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_can_not_be_read_is_missing_and_said_and_takes_nothing_else_with_it(places, what):
    well = read_environment(sought(), places=places)
    found = read_environment(sought(), places=BROKEN[what](places))
    noted = {note.partition(":")[0] for note in found.unread}
    assert what in noted
    assert getattr(found, what) == getattr(Environment(), what)
    for other in {"release", "python", "packages", "driver", "pack"} - noted:
        assert getattr(found, other) == getattr(well, other)
    assert "alice" not in json.dumps(found.as_data())


def test_a_host_without_a_version_is_said(places):
    found = read_environment(sought(), here(places), places=places)
    assert (found.comfyui, found.unread) == (None, ("comfyui: No such file or directory",))


@pytest.mark.parametrize("machine", [Environment(), *WELL_MATCHED.values()])
def test_as_data_is_json_without_a_path_or_a_name_of_a_user(machine):
    text = json.dumps(machine.as_data())
    assert not any(secret in text for secret in ("alice", "C:", "\\\\", "/home", "portable"))
    assert json.loads(text)["system"] == machine.system


def test_as_data_names_what_a_person_would_ask_for():
    data = RTX_5090.as_data()
    assert data["python"]["tag"] == "cp313"
    assert data["torch"] == {"version": "2.10.0", "build": "cu130", "kind": "cuda", "cuda": "13.0"}
    assert data["driver"] == "581.29"
    gpu = {"index": 0, "name": "NVIDIA GeForce RTX 5090", "capability": "12.0", "memory_mib": 24576}
    assert data["gpus"] == [gpu]
    assert data["packages"]["sageattention"]["fork"] == "woct0rdho wheel"


READ_IN_A_CHILD = """
import importlib.util, json, subprocess, sys
def forbidden(*args, **kwargs):
    raise SystemExit("started a process")
subprocess.Popen.__init__ = forbidden
spec = importlib.util.spec_from_file_location("sagekit", sys.argv[1] + "/__init__.py",
                                              submodule_search_locations=[sys.argv[1]])
module = importlib.util.module_from_spec(spec)
sys.modules["sagekit"] = module
spec.loader.exec_module(module)
from sagekit.kernels.families import sought
from sagekit.machine import fingerprint, read_environment
found = read_environment(sought())
loaded = sorted({"torch", "numpy", "triton", "sageattention", "platform"} & set(sys.modules))
print(json.dumps([found.as_data(), fingerprint(found), loaded]))
"""


def read_in_a_child() -> list:
    command = [sys.executable, "-I", "-c", READ_IN_A_CHILD, str(ROOT)]
    child = subprocess.run(command, capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stderr
    return json.loads(child.stdout)


def test_this_machine_is_read_without_torch_and_without_a_process_and_stays_the_same():
    (data, first, loaded), (_, second, _) = read_in_a_child(), read_in_a_child()
    assert loaded == []
    assert data["unread"] in ([], ["gpus: the driver names none, only torch can tell"])
    assert data["python"]["version"] == sys.version.split()[0]
    assert (data["torch"] is None) == (installed().get("torch") is None)
    assert first == second


def fake_torch(available: bool, *gpus: SimpleNamespace) -> SimpleNamespace:
    cuda = SimpleNamespace(
        is_available=lambda: available, device_count=lambda: len(gpus), get_device_properties=gpus.__getitem__
    )
    return SimpleNamespace(cuda=cuda)


def properties(name: str, major: int, minor: int) -> SimpleNamespace:
    return SimpleNamespace(name=name, major=major, minor=minor, total_memory=24 * 2**30)


def test_torch_fills_in_capability_and_memory_of_what_it_can_use(monkeypatch):
    seen = fake_torch(True, properties("RTX 4090", 8, 9), properties("RTX 3090", 8, 6))
    monkeypatch.setitem(sys.modules, "torch", seen)
    filled = with_gpus_from_torch(WINDOWS_313)
    assert filled.gpus == (Gpu(0, "RTX 4090", (8, 9), 24576), Gpu(1, "RTX 3090", (8, 6), 24576))
    assert fingerprint(filled) == fingerprint(WINDOWS_313)


def test_where_torch_can_use_none_the_driver_still_names_them(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", fake_torch(False))
    filled = with_gpus_from_torch(WINDOWS_313)
    assert (filled.gpus, filled.driver) == ((), WINDOWS_313.driver)


def test_what_amd_calls_capability_is_not_taken_for_cudas(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", fake_torch(True, properties("RX 7900 XTX", 11, 0)))
    (gpu,) = with_gpus_from_torch(WELL_MATCHED["ROCm"]).gpus
    assert (gpu.capability, gpu.memory_mib) == (None, 24576)
