"""Packages that are there without being installed: copied, built in place, on PYTHONPATH, editable."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from sagekit.check.probe import Probe
from sagekit.check.verdicts import OK, WRONG
from sagekit.doctor import rules
from sagekit.doctor.plan.plan import NOT_JUDGED, WELL, make_plan
from sagekit.kernels.families import declare, installed, sought
from sagekit.machine import Package, fingerprint, read_packages
from support import kernel_packages
from support.environments import KAGGLE_T4, RTX_2080, RTX_4090, WELL_MATCHED, install, with_packages, write

FOLDER = Path(__file__).resolve().parents[2] / "kernels_check"
SAGE_2 = {
    "sageattention/__init__.py": "from .core import sageattn\n",
    "sageattention/core.py": "elif head_dim_og > 128:\n    raise ValueError()\n",
    "sageattention/_qattn_sm89.cpython-311-x86_64-linux-gnu.so": "compiled",
    "sageattention/_fused.cpython-311-x86_64-linux-gnu.so": "compiled",
}
SAGE_1 = {"sageattention/__init__.py": "from .core import sageattn\n", "sageattention/core.py": "pass\n"}
# One of each package: its module alone, as somebody copied it.
COPIED = {
    "triton": {"triton/__init__.py": "__version__ = '3.6.0'\nfrom .runtime import jit\n"},
    "sageattention": SAGE_2,
    "sageattn3": {"sageattn3/__init__.py": "from .api import sageattn3_blackwell\n"},
    "comfy-kitchen": {"comfy_kitchen/__init__.py": "def int8_attention(): ...\n"},
    "flash-attn": {
        "flash_attn/__init__.py": '__version__ = "2.8.3"\nfrom .flash_attn_interface import flash_attn_func\n'
    },
    "flash-attn-3": {"flash_attn_interface.py": "def flash_attn_func(): ...\n"},
    "fa3-fwd": {"fa3_fwd_interface.py": "def flash_attn_func(): ...\n"},
    "flash-attn-4": {"flash_attn/cute/__init__.py": "from .interface import flash_attn_func\n"},
    "xformers": {
        "xformers/__init__.py": "",
        "xformers/version.py": "__version__ = '0.0.33'\n",
        "xformers/ops/__init__.py": "from .fmha import memory_efficient_attention\n",
    },
    "kernels": {"kernels/__init__.py": "from .utils import get_kernel\n"},
}


@pytest.fixture
def read(tmp_path):
    """read(*folders) -> the packages; folders are names under a fresh one, in the order of the path."""
    known = sought().distributions
    return lambda *folders: read_packages([str(tmp_path / folder) for folder in folders], known)


@pytest.mark.parametrize("name", COPIED)
def test_a_module_without_metadata_counts(tmp_path, read, name):
    write(tmp_path / "site", COPIED[name])
    found = read("empty", "site")
    assert list(found) == [name] and found[name].as_module
    # Whatever it is made of is in the fingerprint, Triton's many files excepted.
    assert bool(found[name].files) is (name != "triton")


@pytest.mark.parametrize(
    ("name", "version"), [("triton", "3.6.0"), ("flash-attn", "2.8.3"), ("xformers", "0.0.33")]
)
def test_a_version_that_the_source_states_is_read(tmp_path, read, name, version):
    write(tmp_path / "site", COPIED[name])
    assert read("site")[name].version == version


@pytest.mark.parametrize(
    ("file", "text", "version"),
    [
        ("pyproject.toml", '[project]\nname = "sageattention"\nversion = "2.2.0"\n[tool.x]\n', "2.2.0"),
        ("pyproject.toml", '[project]\nname = "another"\nversion = "2.2.0"\n', ""),
        ("pyproject.toml", '[tool.x]\nname = "sageattention"\nversion = "2.2.0"\n', ""),
        ("setup.py", "setup(\n    name='sageattention',\n    version='2.2.0',\n)\n", "2.2.0"),
        ("setup.py", "setup(\n    name='sageattention',\n    version='2.2.0' + local,\n)\n", ""),
        ("setup.py", "setup(\n    name=NAME,\n    version='2.2.0',\n)\n", ""),
    ],
)
def test_a_source_tree_tells_its_version_where_that_is_certain(tmp_path, read, file, text, version):
    write(tmp_path / "tree", SAGE_2 | {file: text})
    found = read("tree")["sageattention"]
    assert (found.version, found.as_module) == (version, True)


def test_compiled_modules_and_what_the_code_says_are_read_without_metadata(tmp_path, read):
    write(tmp_path / "site", SAGE_2)
    found = read("site")["sageattention"]
    assert (found.version, found.release, found.modules) == ("", (), {"_qattn_sm89", "_fused"})
    assert found.head_dim_limit == 128
    assert found.shown == "version unknown (found as a module, without metadata)"


def test_a_tree_built_in_place_has_the_version_of_the_metadata_beside_it(tmp_path, read):
    egg_info = {"sageattention.egg-info/PKG-INFO": "Name: sageattention\nVersion: 2.2.0\n"}
    write(tmp_path / "tree", SAGE_2 | egg_info)
    found = read("site", "tree")["sageattention"]
    assert (found.version, found.as_module, found.modules) == ("2.2.0", False, {"_qattn_sm89", "_fused"})


def test_an_editable_install_has_its_version_in_one_place_and_its_modules_in_another(tmp_path, read):
    write(tmp_path / "tree", SAGE_2)
    # As pip leaves it with a .pth file, whose folder is on the path.
    install(tmp_path / "site", "sageattention", "2.2.0", {"__editable__.sageattention-2.2.0.pth": ""})
    found = read("site", "tree")["sageattention"]
    assert (found.version, found.as_module, found.copies) == ("2.2.0", False, ())
    assert found.modules == {"_qattn_sm89", "_fused"}


def test_an_editable_install_with_a_finder_is_followed_to_its_source(tmp_path, read):
    write(tmp_path / "my 'tree'", SAGE_2)
    place = str(tmp_path / "my 'tree'" / "sageattention")
    finder = "__editable___sageattention_2_2_0_finder.py"
    text = f"from x import y\nMAPPING: dict[str, str] = {{'other': '/else', 'sageattention': {place!r}}}\n"
    install(tmp_path / "site", "sageattention", "2.2.0", {finder: text})
    found = read("empty", "site")["sageattention"]
    assert (found.version, found.modules) == ("2.2.0", {"_qattn_sm89", "_fused"})


def test_a_module_that_comes_first_on_the_path_hides_what_is_installed(tmp_path, read):
    write(tmp_path / "tree", SAGE_2)
    install(tmp_path / "site", "sageattention", "1.0.6", SAGE_1)
    hidden, shown = read("tree", "site")["sageattention"], read("site", "tree")["sageattention"]
    assert (hidden.version, hidden.as_module, hidden.copies) == ("", True, ("1.0.6",))
    assert hidden.modules == {"_qattn_sm89", "_fused"}
    assert (shown.version, shown.as_module, shown.modules) == ("1.0.6", False, frozenset())


def test_metadata_whose_files_are_gone_tell_nothing_of_a_module_elsewhere(tmp_path, read):
    write(tmp_path / "tree", SAGE_2)
    install(tmp_path / "site", "sageattention", "1.0.6", {})
    found = read("site", "tree")["sageattention"]
    assert (found.version, found.as_module, found.copies) == ("", True, ())


@pytest.mark.parametrize(
    "files",
    [
        {"sageattention/core.py": "def sageattn(): ..."},
        {"sageattention/__init__.py": "my notes"},
        {"kernels/__init__.py": "CUDA = 1"},
        {"flash_attn/README.md": ""},
        {"flash_attn/cute/readme.md": ""},
        {"triton": "a file"},
        {"xformers/__init__.py": ""},
    ],
    ids=lambda files: next(iter(files)),
)
def test_a_folder_that_only_has_the_name_is_no_kernel(tmp_path, read, files):
    write(tmp_path / "site", files)
    assert read("site") == {}


def test_a_namespace_folder_does_not_hide_a_module_further_on(tmp_path, read):
    write(tmp_path / "first", {"sageattention/notes.txt": ""})
    write(tmp_path / "second", SAGE_2)
    assert read("first", "second")["sageattention"].modules == {"_qattn_sm89", "_fused"}


def test_what_one_package_brought_is_not_counted_as_another(tmp_path, read):
    install(tmp_path / "site", "triton_windows", "3.6.0.post26", COPIED["triton"])
    install(tmp_path / "site", "flash_attn", "2.8.3", COPIED["flash-attn"] | COPIED["flash-attn-4"])
    assert set(read("site")) == {"triton-windows", "flash-attn"}
    install(tmp_path / "xpu", "pytorch_triton_xpu", "3.4.0", COPIED["triton"])
    assert read("xpu") == {}


def test_a_rebuild_of_a_module_is_another_machine(tmp_path, read):
    write(tmp_path / "site", SAGE_2)
    before = fingerprint(replace(RTX_4090, packages=read("site")))
    assert fingerprint(replace(RTX_4090, packages=read("site"))) == before
    os.utime(tmp_path / "site" / "sageattention" / "_fused.cpython-311-x86_64-linux-gnu.so", ns=(5, 5))
    assert fingerprint(replace(RTX_4090, packages=read("site"))) != before


def reasons(package: Package) -> dict[str, list[str]]:
    packages = {"torch": Package("2.11.0"), "triton": Package("3.6.0"), "sageattention": package}
    return {backend.name: [one.code for one in backend.machine] for backend in declare(packages)}


def test_kernels_of_an_unknown_version_are_declared_and_left_to_the_check():
    modules = frozenset({"_qattn_sm89", "_fused"})
    of_2 = reasons(Package("", modules=modules, as_module=True))
    assert of_2["sage2-int8-fp8"] == of_2["sage2-int8-fp16-triton"] == []
    # That it has compiled modules is a fact, and so is which.
    assert of_2["sage2-int8-fp16"] == ["module"] and of_2["sage1-int8-fp16"] == ["version"]
    bare = reasons(Package("", as_module=True))
    assert bare["sage1-int8-fp16"] == bare["sage2-int8-fp16-triton"] == []


VERSIONED = ("sageattention", "sageattn3", "triton", "triton-windows")


@pytest.mark.parametrize(
    ("machine", "name"),
    [(kind, name) for kind, one in WELL_MATCHED.items() for name in VERSIONED if name in one.packages],
)
def test_no_rule_judges_a_version_that_is_not_known(machine, name):
    known = WELL_MATCHED[machine]
    unknown = replace(known.packages[name], version="", build="", as_module=True)
    found = rules.mismatches(with_packages(known, **{name.replace("-", "_"): unknown}))
    assert [one for one in found if one.about == name] == []


@pytest.mark.parametrize("machine", [RTX_4090, RTX_2080, KAGGLE_T4], ids=["RTX 4090", "RTX 2080", "T4"])
def test_the_plan_says_what_it_would_need_to_know_and_neither_too_old_nor_nothing_to_do(machine):
    unknown = replace(machine.packages["sageattention"], version="", build="", as_module=True)
    machine = with_packages(machine, sageattention=unknown)
    plan = make_plan(machine)
    assert (plan.outcome, plan.steps) == (NOT_JUDGED, ())
    assert "sageattention of unknown version" in plan.summary and "kernel check" in plan.summary
    told = {one.mismatch.reason.code: one for one in plan.findings}["version-unknown"]
    assert told.remark and "metadata or its source" in told.mismatch.reason.needed


def test_a_module_whose_version_the_source_states_is_judged_by_it():
    named = replace(RTX_4090.packages["triton"], as_module=True)
    passed = {"sageattention": True}
    assert make_plan(with_packages(RTX_4090, triton=named), passed=passed).outcome == WELL
    old = replace(named, version="2.1.0")
    (wrong,) = rules.mismatches(with_packages(RTX_4090, triton=old))
    assert wrong.reason.came == "2.1.0"


def test_no_command_of_a_plan_takes_out_what_pip_does_not_know():
    copies = replace(RTX_4090.packages["sageattention"], version="", as_module=True, copies=("1.0.6",))
    plan = make_plan(with_packages(RTX_4090, sageattention=copies))
    lines = [" ".join(command) for one in (*plan.steps, *plan.options) for command in one.commands]
    assert sum("uninstall -y sageattention" in line for line in lines) <= 1
    told = " ".join(f"{one.by_hand} {one.undo_by_hand}" for one in plan.options)
    assert "a module that pip did not install" in told


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """copied(kind) puts one of the fake packages on the path without its metadata."""
    pytest.importorskip("torch", reason="the probe's child needs torch, which is not installed")

    def copy(kind: str) -> Path:
        folder = kernel_packages.write(tmp_path / "site", kind, metadata=False)
        assert not list(folder.glob("*.dist-info"))
        monkeypatch.syspath_prepend(folder)
        installed.cache_clear()
        return folder

    yield copy
    installed.cache_clear()


@pytest.mark.parametrize(("kind", "state"), [("right sageattention", OK), ("wrong sageattention", WRONG)])
def test_the_child_of_the_check_tries_a_copied_kernel(copied, kind, state):
    copied(kind)
    with Probe("cpu", limit=60) as probe:
        verdict = probe.check("flag-sage")
    assert verdict.state == state, verdict


def test_the_manual_check_tells_of_it_and_names_no_folder(copied):
    folder = copied("right sageattention")
    told = "sageattention: version unknown (found as a module, without metadata)"
    for arguments in ([], ["--report"]):
        line = [sys.executable, str(FOLDER), *arguments]
        variables = {**os.environ, "PYTHONPATH": str(folder)}
        done = subprocess.run(line, capture_output=True, text=True, check=False, env=variables)
        assert told in done.stdout
        assert str(folder) not in done.stdout
    line = [sys.executable, str(FOLDER), "--json"]
    done = subprocess.run(line, capture_output=True, text=True, check=False, env=variables)
    package = json.loads(done.stdout)["environment"]["packages"]["sageattention"]
    assert (package["version"], package["as_module"]) == ("", True)
