"""A file in kernels/families alone makes its kernels looked for, proven, chosen, offered and told of."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# What a contributor writes; it runs on a CPU, too, so that this test can run anywhere.
FAMILY = '''
"""A kernel that is made up: plain tensor operations under the name of a package."""

from ...machine import Distribution, Installed, Module, missing
from ..backend import Backend, Kernel
from ..family import Family, InComfyUI
from ..gpus import B200, HOPPER
from ..kinds import EXACT, Sparse


class _AnyDevice(Backend):
    def reasons(self, call):
        return [one for one in super().reasons(call) if one.code not in ("device", "capability")]


def _load():
    from made_up import made_up_attention

    def attend(q, k, v, *, mask=None, scale=None):
        return made_up_attention(q, k, v, scale)

    return Kernel(attend)


def _declare(packages: Installed):
    common = {
        "load": _load,
        "machine": missing(packages, "made-up"),
        "capabilities": HOPPER | B200,
        "dtypes": frozenset({"float16", "bfloat16", "float32"}),
        "imports": ("made_up",),
        "tolerance": 0.01,
        "gqa": False,
        "unit_stride": False,
    }
    return (
        _AnyDevice(name="made-up", title="Made up, exact", kind=EXACT, also_called=("their_name",), **common),
        _AnyDevice(name="made-up-sparse", title="Made up, sparse", kind=Sparse(tau=1.0), **common),
    )


FAMILY = Family(
    _declare,
    distributions=(Distribution("made-up", Module("made_up", b"made_up_attention")),),
    in_comfyui=(InComfyUI("made-up", ("made_up",), flag="use_made_up_attention", load=_load, exact=True),),
)
'''
PACKAGE = """
import torch


def made_up_attention(q, k, v, scale):
    scores = q.float() @ k.float().transpose(-2, -1) * (q.shape[-1] ** -0.5 if scale is None else scale)
    return (torch.softmax(scores, dim=-1) @ v.float()).to(q.dtype)
"""
METADATA = "Metadata-Version: 2.1\nName: made-up\nVersion: 7.8.9\n"

IN_A_CHILD = """
import importlib, importlib.util, json, sys
pack, host = sys.argv[1:]
spec = importlib.util.spec_from_file_location("sagekit", pack + "/__init__.py",
                                              submodule_search_locations=[pack])
sys.modules["sagekit"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["sagekit"])
of = lambda name: importlib.import_module("sagekit." + name)
told = {}

families = of("kernels.families")
told["installed"] = families.installed()["made-up"].full_version
machine = of("machine")
environment = machine.read_environment(families.sought())
told["in the environment"] = environment.as_data()["packages"]["made-up"]["version"]
without = {name: one for name, one in environment.packages.items() if name != "made-up"}
lacking = importlib.import_module("dataclasses").replace(environment, packages=without)
told["changes the fingerprint"] = machine.fingerprint(environment) != machine.fingerprint(lacking)

with of("check.probe").Probe("cpu") as probe:
    told["verdicts"] = {name: probe.check(name).state for name in ("made-up", "flag-made-up")}

sparse = families.backends()["made-up-sparse"]
told["sparse verdict"] = of("check.check").check([sparse], "cpu")["made-up-sparse"].state

dispatch, settings = of("core.attention.dispatch"), of("core.attention.settings").Settings
kernels = dispatch.Kernels(families.backends())
call = of("kernels.call").Call(1, 2, 2, 64, 64, 64, "float32", "cpu")
def planned(**named):
    plan = dispatch.plan(call, settings(**named), kernels)
    passed_over = {name: [one.code for one in reasons] for name, reasons in plan.passed_over}
    candidates = [one.name for one, _ in getattr(plan, "candidates", ())]
    return {"candidates": candidates, "passed over": passed_over}
qualities = list(of("kernels.select").BUDGETS)
told["auto"] = {quality: planned(kernel="auto", quality=quality) for quality in qualities}
told["sparse by name"] = {quality: planned(kernel="made-up-sparse", quality=quality) for quality in qualities}

model, sampling = of("dev.demo.model"), of("dev.demo.sampling")
torch = importlib.import_module("torch")
small = model.Model(model.Size(tokens=64, heads=2, dtype=torch.float32, blocks=2, steps=2), "cpu")
with torch.inference_mode():
    session = of("core.session").Session(families.backends())
    told["report"] = session.runs.data_of(sampling.sample(small, settings("made-up"), session).run)["classes"]

docs = of("dev.docs")
told["documented"] = [file.name for file, text in docs.pages().items() if "made-up" in text]
told["their name"] = of("core.attention.foreign_names").ours("their_name")
told["launch flags"] = [of("kernels.launch_flags").flags(), of("app.startup").FLAGS]
told["imported by ComfyUI"] = list(of("check.imports").HOST_IMPORTS)
if host:
    sys.path.insert(0, host)
    schema = of("nodes.patch_sage_attention").PatchSageAttention.define_schema()
    told["offered"] = next(one.options for one in schema.inputs if one.id == "kernel")
sys.stdout.write("@@" + json.dumps(told))
"""


@pytest.fixture(scope="module")
def pack(tmp_path_factory) -> Path:
    """A copy of the pack with one file more, beside a folder with the package that it is for."""
    pytest.importorskip("torch", reason="the check's child needs torch, which is not installed")
    folder = tmp_path_factory.mktemp("family") / "pack"
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(".*", "tests", "__pycache__", "node_modules"))
    (folder / "kernels" / "families" / "made_up.py").write_text(FAMILY, encoding="utf-8")
    for name, text in {"made_up/__init__.py": PACKAGE, "made_up-7.8.9.dist-info/METADATA": METADATA}.items():
        file = folder.parent / "site" / name
        file.parent.mkdir(parents=True)
        file.write_text(text, encoding="utf-8")
    return folder


def run(pack: Path, *arguments: str) -> str:
    site = str(pack.parent / "site")
    child = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": site},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert child.stdout, child.stderr
    return child.stdout


@pytest.fixture(scope="module")
def told(pack) -> dict:
    """What the copy finds, decides and says, as a process that loads it tells."""
    from support import host

    found = "" if host.reason_to_skip() else str(host.find().folder)
    return json.loads(run(pack, "-c", IN_A_CHILD, str(pack), found).partition("@@")[2])


def test_its_package_is_looked_for_and_a_verdict_depends_on_it(told):
    assert told["installed"] == told["in the environment"] == "7.8.9"
    assert told["changes the fingerprint"]


def test_it_is_proven_in_a_child_process_and_so_is_what_comfyui_does_with_it(told):
    assert told["verdicts"] == {"made-up": "ok", "flag-made-up": "ok"}
    assert "made_up" in told["imported by ComfyUI"]
    every, checked = told["launch flags"]
    assert "use_made_up_attention" in every and checked["use_made_up_attention"] == "flag-made-up"


@pytest.mark.parametrize("quality", ["exact", "balanced", "fast"])
def test_auto_considers_it(told, quality):
    assert told["auto"][quality]["candidates"] == ["made-up"]


@pytest.mark.parametrize("quality", ["exact", "balanced", "fast"])
def test_a_sparse_kernel_is_not_proven_and_chosen_by_no_quality_and_not_by_name(told, quality):
    assert told["sparse verdict"] == "refused"
    assert told["auto"][quality]["passed over"]["made-up-sparse"] == ["quality"]
    assert told["sparse by name"][quality] == {
        "candidates": [],
        "passed over": {"made-up-sparse": ["quality"]},
    }


def test_it_runs_where_it_is_named_and_the_report_says_so(told):
    assert told["report"] and {one["kernel"] for one in told["report"]} == {"made-up"}
    assert all(one["error"] < 0.01 for one in told["report"])


def test_the_readme_the_help_page_the_reference_and_the_page_get_it_from_one_command(told):
    written = {"README.md", "PatchSageAttention.md", "kernels.md", "foreign_values.js"}
    assert written <= set(told["documented"])


def test_a_workflow_of_another_pack_reaches_it(told):
    assert told["their name"] == "made-up"


def test_the_node_offers_it(told):
    if "offered" not in told:
        from support import host

        pytest.skip(host.reason_to_skip())
    assert {"made-up", "made-up-sparse"} < set(told["offered"])


def test_the_command_line_tells_of_it(pack):
    data = json.loads(run(pack, str(pack / "kernels_check"), "--json"))
    assert data["environment"]["packages"]["made-up"]["version"] == "7.8.9"
    assert all({"made-up", "made-up-sparse"} <= set(of_gpu) for of_gpu in data["kernels"].values())
