"""The Python of a ComfyUI is found and started, in environments that are really there."""

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from support import base_directory, host

ROOT = Path(__file__).resolve().parents[2]

# What dev.py does to find ComfyUI and its Python; nothing is ever made.
FIND = """
import sys
from dev import comfyui
comfyui.environment = lambda *arguments: sys.exit("no Python was found")
print(comfyui.python_for(comfyui.found())[0])
"""


@pytest.fixture(scope="module")
def packages(tmp_path_factory) -> Path:
    """What a ComfyUI needs, as modules that import and are nothing else."""
    folder = tmp_path_factory.mktemp("packages")
    for name in host.NEEDED:
        (folder / f"{name}.py").touch()
    (folder / "torch.py").write_text(
        "import types\n__version__ = '2.9.0'\ncuda = types.SimpleNamespace(is_available=lambda: False)\n"
    )
    return folder


@pytest.fixture
def root(tmp_path) -> Path:
    """The folder around a ComfyUI that this pack is installed in; the home beside it is empty."""
    (tmp_path / "home").mkdir()
    comfyui = comfyui_in(tmp_path / "my files" / "ComfyUI")
    base_directory.link(comfyui / "custom_nodes" / "sagekit", ROOT)
    return comfyui.parent


def comfyui_in(folder: Path) -> Path:
    (folder / "comfy").mkdir(parents=True)
    (folder / "custom_nodes").mkdir()
    (folder / "main.py").touch()
    return folder


def environment_in(folder: Path, packages: Path | None) -> Path:
    """A real one, without pip as uv makes them, and its Python."""
    venv.EnvBuilder(symlinks=os.name != "nt").create(folder)
    if packages:
        (site,) = [*folder.glob("lib/python*/site-packages"), *folder.glob("Lib/site-packages")]
        (site / "elsewhere.pth").write_text(f"{packages}\n")
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def found(folder: Path, **variables: str) -> list[str]:
    """What a dev.py says that is started in this folder, by an environment of its own; last, what it took."""
    home = next(one for one in folder.parents if (one / "home").is_dir()) / "home"
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "TEMP") if name in os.environ}
    # The link to the pack is known by the shell's word for the folder.
    told = {"HOME": str(home), "USERPROFILE": str(home), "PWD": str(folder), "PYTHONUTF8": "1"}
    this = [str(environment_in(home / "started with", None)), "-c", FIND]
    done = subprocess.run(
        this, cwd=folder, env=kept | told | variables, capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_the_environment_that_it_is_started_with_is_taken(tmp_path, root, packages):
    own = environment_in(tmp_path / "home/started with", packages)
    elsewhere = comfyui_in(tmp_path / "elsewhere")
    assert found(root / "ComfyUI/custom_nodes/sagekit", COMFYUI_DIR=str(elsewhere))[-1] == str(own)


@pytest.mark.parametrize("place", ["ComfyUI/.venv", "ComfyUI/venv", "venv", ".venv"])
def test_an_environment_inside_or_beside_is_taken(root, packages, place):
    own = environment_in(root / place, packages)
    assert found(root / "ComfyUI/custom_nodes/sagekit")[-1] == str(own)


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for the embedded Python is a shell script")
@pytest.mark.parametrize("name", ["python_embeded", "python_embedded"])
def test_the_portables_python_is_taken(root, packages, name):
    own = root / name / "python.exe"
    own.parent.mkdir()
    own.write_text(f'#!/bin/sh\nPYTHONPATH="{packages}" exec "{sys.executable}" "$@"\n')
    own.chmod(0o755)
    assert found(root / "ComfyUI/custom_nodes/sagekit")[-1] == str(own)


def test_an_install_of_comfy_desktop_is_taken(tmp_path, root, packages):
    comfyui = comfyui_in(tmp_path / "home/ComfyUI-Installs/My ComfyUI/ComfyUI")
    own = environment_in(comfyui / ".venv", packages)
    elsewhere = tmp_path / "sagekit"
    base_directory.link(elsewhere, ROOT)
    assert found(elsewhere)[-1] == str(own)


@pytest.mark.parametrize("variable", ["VIRTUAL_ENV", "CONDA_PREFIX"])
def test_the_active_environment_is_taken_where_the_hosts_own_lacks_torch(root, packages, variable):
    lacking = environment_in(root / "ComfyUI/.venv", None)
    active = environment_in(root / "active", packages)
    if os.name == "nt" and variable == "CONDA_PREFIX":
        pytest.skip("an environment of conda has its python.exe elsewhere than one of venv")
    *before, taken = found(root / "ComfyUI/custom_nodes/sagekit", **{variable: str(root / "active")})
    assert taken == str(active)
    assert any(line.startswith(f"Python: {lacking} passed over: ModuleNotFoundError") for line in before)
