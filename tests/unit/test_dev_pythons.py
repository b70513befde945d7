"""Where dev.py looks for a ComfyUI and its Python, over the layouts that people have."""

import json
import os
import sys
from pathlib import Path

import pytest
from sagekit.dev import MissingError, comfyui, desktop, environment, pythons
from sagekit.dev.installer import python_in


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty one, and no environment that is active."""
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX", "COMFYUI_DIR"):
        monkeypatch.delenv(variable, raising=False)
    for variable in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "LOCALAPPDATA", "APPDATA", "ProgramData"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    monkeypatch.setattr(pythons.host, "holds_this_pack", lambda folder: False)
    monkeypatch.setattr(pythons.sys, "prefix", sys.base_prefix)
    return tmp_path / "home"


def comfyui_in(folder: Path) -> Path:
    (folder / "comfy").mkdir(parents=True)
    (folder / "main.py").touch()
    (folder / "comfyui_version.py").write_text('__version__ = "0.33.0"\n')
    return folder


def python(file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    return file


@pytest.mark.parametrize(
    "place", ["ComfyUI/.venv", "ComfyUI/venv", "venv", ".venv", "python_embeded", "python_embedded"]
)
def test_a_python_inside_or_beside_is_found(tmp_path, place):
    folder = comfyui_in(tmp_path / "ComfyUI")
    embedded = "embed" in place
    own = python(tmp_path / place / "python.exe" if embedded else python_in(tmp_path / place))
    assert pythons.of(folder) == [own]


@pytest.mark.parametrize("variable", ["VIRTUAL_ENV", "CONDA_PREFIX"])
def test_an_active_environment_comes_after_the_hosts_own(tmp_path, monkeypatch, variable):
    folder = comfyui_in(tmp_path / "ComfyUI")
    active = python(tmp_path / "active" / "bin" / "python")
    monkeypatch.setenv(variable, str(tmp_path / "active"))
    assert pythons.of(folder) == [active]
    own = python(python_in(folder / "venv"))
    assert pythons.of(folder) == [own, active]


def test_this_python_counts_where_the_pack_is_installed(tmp_path, monkeypatch):
    folder = comfyui_in(tmp_path / "ComfyUI")
    assert pythons.of(folder) == []
    monkeypatch.setattr(pythons.host, "holds_this_pack", lambda folder: True)
    assert pythons.of(folder) == [Path(sys.executable)]


@pytest.mark.parametrize(
    ("system", "place"),
    [
        ("win32", "LOCALAPPDATA/Comfy-Desktop"),
        ("darwin", "home/Library/Application Support/Comfy-Desktop"),
        ("linux", "XDG_DATA_HOME/Comfy-Desktop"),
        ("win32", "home"),
    ],
)
def test_an_install_of_comfy_desktop_is_found_with_its_python(tmp_path, monkeypatch, system, place):
    monkeypatch.setattr(desktop.sys, "platform", system)
    folder = comfyui_in(tmp_path / place / "ComfyUI-Installs" / "My ComfyUI" / "ComfyUI")
    own = python(python_in(folder / ".venv"))
    assert desktop.installs() == [folder] and pythons.of(folder) == [own]


@pytest.mark.parametrize(
    ("system", "programs", "settings"),
    [
        ("win32", "LOCALAPPDATA/Programs/ComfyUI/resources", "APPDATA/ComfyUI/config.json"),
        ("win32", "LOCALAPPDATA/Programs/@comfyorgcomfyui-electron/resources", "APPDATA/ComfyUI/config.json"),
        ("win32", "LOCALAPPDATA/Programs/ComfyUI/resources", "ProgramData/ComfyUI/machine-config.json"),
        (
            "darwin",
            "home/Applications/ComfyUI.app/Contents/Resources",
            "home/Library/Application Support/ComfyUI/config.json",
        ),
    ],
)
def test_comfyui_desktops_python_is_in_the_folder_that_its_settings_name(
    tmp_path, monkeypatch, system, programs, settings
):
    monkeypatch.setattr(desktop.sys, "platform", system)
    folder = comfyui_in(tmp_path / programs / "ComfyUI")
    own = python(python_in(tmp_path / "my files" / ".venv"))
    (tmp_path / settings).parent.mkdir(parents=True)
    (tmp_path / settings).write_text(json.dumps({"basePath": str(tmp_path / "my files")}))
    assert desktop.installs() == [folder] and pythons.of(folder) == [own]


@pytest.mark.parametrize("text", ["", "[]", '{"basePath": 3}', '{"basePath": ""}'])
def test_settings_that_name_no_folder_leave_the_default_one(home, tmp_path, monkeypatch, text):
    monkeypatch.setattr(desktop.sys, "platform", "win32")
    folder = comfyui_in(tmp_path / "LOCALAPPDATA" / "Programs" / "ComfyUI" / "resources" / "ComfyUI")
    (tmp_path / "APPDATA" / "ComfyUI").mkdir(parents=True)
    (tmp_path / "APPDATA" / "ComfyUI" / "config.json").write_text(text)
    own = python(python_in(home / "Documents" / "ComfyUI" / ".venv"))
    assert pythons.of(folder) == [own]


@pytest.fixture
def told(monkeypatch):
    lines = []
    monkeypatch.setattr(comfyui, "say", lines.append)
    return lines


def test_a_desktop_install_is_taken_where_no_other_comfyui_is_found(home, monkeypatch, told):
    monkeypatch.setattr(comfyui.host, "find", lambda: None)
    assert comfyui.found() is None
    folder = comfyui_in(home / "ComfyUI-Installs" / "one" / "ComfyUI")
    assert comfyui.found() == folder


def test_a_named_folder_without_a_comfyui_is_not_replaced_by_another(home, monkeypatch, told):
    comfyui_in(home / "ComfyUI-Installs" / "one" / "ComfyUI")
    monkeypatch.setenv("COMFYUI_DIR", str(home / "nothing"))
    with pytest.raises(MissingError, match="and comfy in it; set it to one"):
        comfyui.found()


def test_a_comfyui_that_is_not_whole_is_told_so(tmp_path):
    with pytest.raises(MissingError, match="has no requirements"):
        environment.groups_for(comfyui_in(tmp_path / "ComfyUI"))


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for git is a shell script")
@pytest.mark.parametrize(
    ("does", "words"),
    [("exec sleep 60", "did not answer in"), ("echo fatal: unable to go there >&2; exit 128", "git: unable")],
)
def test_a_network_that_does_not_answer_holds_nothing_up(tmp_path, monkeypatch, told, does, words):
    git = tmp_path / "bin" / "git"
    git.parent.mkdir()
    git.write_text(f"#!/bin/sh\n{does}\n")
    git.chmod(0o755)
    monkeypatch.setenv("PATH", f"{git.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(comfyui, "_SECONDS", 0.5)
    monkeypatch.setattr(comfyui.host, "CLONE", tmp_path / "ComfyUI")
    with pytest.raises(MissingError, match=words):
        comfyui.cloned()


def test_a_python_that_lacks_what_comfyui_needs_is_passed_over_by_name(tmp_path, monkeypatch, told):
    folder = comfyui_in(tmp_path / "ComfyUI")
    first, second = (python(python_in(tmp_path / place)) for place in ("ComfyUI/.venv", "venv"))
    lacks = ("", "ModuleNotFoundError: No module named 'aiohttp'")
    monkeypatch.setattr(
        comfyui, "torch_in", lambda one, *modules: lacks if one == first else ("2.9.0 cpu", "")
    )
    assert comfyui.python_for(folder) == (second, "2.9.0 cpu")
    assert str(first) in told[0] and "aiohttp" in told[0]


def test_what_a_python_has_is_asked_of_that_python(tmp_path):
    version, trouble = environment.torch_in(Path(sys.executable))
    assert version.endswith((" cpu", " cuda")) and trouble == ""
    assert environment.torch_in(Path(sys.executable), "no_such_module")[1].endswith("'no_such_module'")
    assert environment.torch_in(tmp_path / "python")[0] == ""
