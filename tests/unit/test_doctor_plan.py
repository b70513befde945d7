"""The plan for each kind of machine as a golden file, and every file it names by packaging's own rules."""

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest
from packaging import tags
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import parse_wheel_filename
from packaging.version import Version
from sagekit.check.verdicts import Verdict
from sagekit.doctor import values
from sagekit.doctor.plan import plan, wheel
from sagekit.doctor.plan.plan import make_plan
from sagekit.doctor.text import plan_lines
from sagekit.knowledge.facts import table
from sagekit.knowledge.tables import minor_of_triton
from sagekit.machine import Environment, Gpu, Package, Python
from sagekit.machine.message import said
from support.environments import (
    RTX_4090,
    WELL_MATCHED,
    WINDOWS_313,
    with_gpus,
    with_packages,
    with_torch,
)
from support.planned import ALL, MACHINES, PLANS, PORTABLE, SAGE_3, on_windows, portable

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", PLANS)
def test_the_plan_is_the_golden_one(name):
    file = GOLDEN / f"{re.sub('[^a-z0-9.]+', '-', name.lower())}.txt"
    text = "\n".join(plan_lines(PLANS[name])) + "\n"
    # After a wanted change: SAGEKIT_WRITE_GOLDEN=1, then read the difference.
    if os.environ.get("SAGEKIT_WRITE_GOLDEN"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


def test_no_golden_file_is_left_over():
    names = {re.sub("[^a-z0-9.]+", "-", name.lower()) + ".txt" for name in PLANS}
    assert {file.name for file in GOLDEN.iterdir()} == names


def steps_of(name):
    return [*PLANS[name].steps, *PLANS[name].options]


def python_tags(environment: Environment) -> set[tags.Tag]:
    """What packaging says this Python takes, told for a machine that is not this one."""
    python = environment.python
    platforms = {
        ("windows", "AMD64"): ["win_amd64"],
        ("linux", "x86_64"): ["manylinux_2_28_x86_64", "linux_x86_64"],
        ("linux", "aarch64"): ["linux_aarch64"],
    }[environment.system, python.machine]
    abis = [f"cp{''.join(map(str, python.minor))}{'t' if python.free_threaded else ''}"]
    return set(tags.cpython_tags(python.minor, abis, platforms)) | set(
        tags.compatible_tags(python.minor, "cp" + "".join(map(str, python.minor)), platforms)
    )


def faults(file: str, environment: Environment) -> list[str]:
    """What packaging and the file's own name say against it on a machine."""
    name, version, _, wheel_tags = parse_wheel_filename(file)
    found = [] if wheel_tags & python_tags(environment) else ["tags"]
    build = re.match(
        r"cu(?P<cuda>\d\d)\d?(?:\.?torch(?P<torch>[\d.]*\d)(?P<higher>andhigher)?)?", version.local or ""
    )
    if build is None:
        return found if name == "sageattention" and str(version) == "1.0.6" else [*found, "no build"]
    if environment.torch.cuda.partition(".")[0] != build["cuda"]:
        found.append("cuda")
    built = build["torch"] if "." in build["torch"] else ".".join(build["torch"])
    minor = ".".join(built.split(".")[:2])
    specifier = SpecifierSet(f">={built}" if build["higher"] else f"=={minor}.*")
    return (
        found
        if specifier.contains(Version(environment.torch.version), prereleases=True)
        else [*found, "torch"]
    )


@pytest.mark.parametrize("name", PLANS)
def test_every_file_of_a_plan_fits_the_machine_by_packagings_own_rules(name):
    for step in steps_of(name):
        if step.wheel is not None:
            assert faults(step.wheel.file, ALL[name]) == [], step.wheel.file


def test_the_check_above_sees_a_file_that_does_not_fit():
    machine = ALL["portable 0.29, RTX 4090"]
    fitting = "sageattention-2.2.0+cu130torch2.10.0andhigher.post6-cp310-abi3-win_amd64.whl"
    assert faults(fitting, machine) == []
    assert faults(fitting.replace("cu130", "cu128"), machine) == ["cuda"]
    assert faults(fitting.replace("2.10.0andhigher", "2.9.1"), machine) == ["torch"]
    assert faults(fitting.replace("cp310-abi3", "cp310-cp310"), machine) == ["tags"]
    assert faults(fitting.replace("cp310-abi3", "cp314-abi3"), machine) == ["tags"]
    assert faults(fitting.replace("win_amd64", "linux_x86_64"), machine) == ["tags"]


def test_at_least_24_machines_and_most_of_them_get_a_file():
    assert len(MACHINES) >= 24
    assert sum(any(step.wheel for step in one.steps) for one in PLANS.values()) >= 15


@pytest.mark.parametrize("name", PLANS)
def test_triton_is_asked_for_by_a_specifier_that_belongs_to_torch(name):
    machine = ALL[name]
    for step in PLANS[name].steps:
        for change in step.changes:
            if change.name in ("triton", "triton-windows") and change.after:
                wanted = Requirement(change.after)
                assert wanted.name == ("triton-windows" if machine.system == "windows" else "triton")
                minor = minor_of_triton(machine.torch.release, machine.system)
                major, last = minor.split(".")
                # Some release of that minor version, and none of the next or the one before.
                found = [one for one in ("0", "1", "1.post27") if wanted.specifier.contains(f"{minor}.{one}")]
                assert found
                assert not wanted.specifier.contains(f"{major}.{int(last) + 1}.0")
                assert not wanted.specifier.contains(f"{major}.{int(last) - 1}.9")


PIP = ("-m", "pip")


@pytest.mark.parametrize("name", PLANS)
def test_every_pip_command_is_this_pythons_own_and_never_touches_torch(name):
    machine = ALL[name]
    for step in steps_of(name):
        for command in (*step.commands, *step.undo):
            if "pip" not in command:
                continue
            place = command.index("pip")
            if command[0] == PLANS[name].uv != "":
                # uv starts no Python: it is told which one it is for.
                assert command[place + 2 : place + 4] == ("--python", machine.python.executable)
                continue
            assert command[0] == machine.python.executable or not machine.python.executable
            assert command[place - 1 : place + 1] == PIP
            assert ("-s" in command[:place]) == machine.python.embedded
            assert not any(re.match(r"torch(vision|audio)?\b", part) for part in command[place + 1 :])
            if command[place + 1] == "install" and command[-1] != "kernels":
                assert "--no-deps" in command


@pytest.mark.parametrize("name", PLANS)
def test_every_step_can_be_undone_or_says_why_not(name):
    plan_ = PLANS[name]
    for step in plan_.steps:
        told = step.undo or step.undo_by_hand or step.code == "clear-triton-cache"
        assert told, step.code
        for change in step.changes:
            back = [command for command in step.undo if any(change.name in part for part in command)]
            verb = "uninstall" if change.before is None else "install"
            assert any(verb in command for command in back)
            if change.before is not None and change.name.startswith("triton"):
                assert any(f"{change.name}=={change.before}" in command for command in back)


def test_an_undo_of_a_known_build_names_the_very_file_it_came_from():
    step = PLANS["portable, sage for another torch"].steps[0]
    assert step.changes[0].before == "2.2.0+cu128torch2.7.1.post3"
    (command,) = step.undo
    address, _, checksum = unquote(command[-1]).partition("#sha256=")
    assert address.endswith("sageattention-2.2.0+cu128torch2.7.1.post3-cp39-abi3-win_amd64.whl")
    assert len(checksum) == 64


def test_a_build_that_no_index_has_is_not_replaced_by_a_script():
    machine = with_packages(WINDOWS_313, triton_windows=Package("3.6.0", "mine"))
    made = make_plan(machine, PORTABLE)
    assert made.steps == () and made.outcome == plan.NO_WAY_BACK
    assert [step.code for step in made.options] == ["replace-triton-windows"]
    assert "keep a copy" in made.options[0].undo_by_hand


@pytest.mark.parametrize("name", PLANS)
def test_upgrading_torch_is_never_among_the_steps_nor_the_first_answer(name):
    text = "\n".join(plan_lines(PLANS[name]))
    assert "upgrade torch" not in text.lower()
    # Only where torch itself has no code for the GPU is it the answer, and nothing else is then planned.
    if re.search(r"Install torch \d", text):
        assert PLANS[name].unfit[0].code.startswith("torch") and not PLANS[name].steps


def test_outcomes():
    outcomes = {name: one.outcome for name, one in PLANS.items()}
    assert outcomes["portable, all well"] == plan.WELL
    assert outcomes["linux H100, torch 2.13"] == plan.NOT_NEEDED
    assert outcomes["portable cu126, RTX 2080 with Kitchen"] == plan.NOT_NEEDED
    assert outcomes["portable 0.29, RTX 4090"] == plan.INSTALL
    assert outcomes["portable, sage for another torch"] == plan.REPAIR
    assert outcomes["portable, sage twice"] == plan.REPAIR
    assert outcomes["Kaggle P100"] == outcomes["linux ROCm"] == plan.NOT_FOR_THIS
    assert outcomes["windows, free-threaded"] == plan.NOTHING_FITS


@pytest.mark.parametrize("environment", WELL_MATCHED.values(), ids=WELL_MATCHED)
def test_a_machine_that_is_well_put_together_gets_no_step_that_changes_what_is_there(environment):
    assert all(change.before is None for step in make_plan(environment).steps for change in step.changes)


def test_sage_3_is_planned_only_where_it_is_asked_for():
    machine = SAGE_3["portable, Sage 3 asked for"]
    codes = [step.code for step in make_plan(machine, PORTABLE).steps]
    assert codes == ["python-headers", "install-triton", "install-sage"]
    assert [step.code for step in make_plan(machine, PORTABLE, sage3=True).steps] == [*codes, "install-sage3"]


def test_on_linux_the_hub_comes_before_building_from_source():
    codes = [step.code for step in PLANS["linux RTX 4090, torch 2.11"].options]
    assert codes == ["sage-in-an-index", "hub-kernel", "build-sage"]


def test_nothing_is_installed_that_would_serve_nothing_by_itself():
    assert PLANS["windows, torch 2.15"].steps == () and PLANS["windows, free-threaded"].steps == ()


def test_the_nearest_files_are_told_with_what_would_have_to_be_otherwise():
    ((file, against), *_) = PLANS["linux RTX 4090, torch 2.11"].refused
    assert file.capabilities == ("8.9",)
    assert [str(reason) for reason in against] == ["needs torch==2.13.0, got 2.11.0+cu130"]


@pytest.mark.parametrize("name", PLANS)
def test_the_data_are_ready_for_json(name):
    for private in (False, True):
        data = PLANS[name].as_data(private=private)
        assert json.loads(json.dumps(data)) == data


def test_the_plain_function_reads_this_machine_and_answers_for_json():
    data = values.plan_data(RTX_4090)
    assert json.loads(json.dumps(data))["outcome"] in (plan.NOT_JUDGED, plan.REPAIR)


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_tells_code_and_values_of_what_it_says(name):
    made = PLANS[name]
    codes = {one["text"]: one["code"] for one in said(made.texts())}
    steps = [*made.steps, *made.options]
    for text in (made.summary, *(step.title for step in steps), *(one.mismatch.do for one in made.findings)):
        assert codes[text] == text.code != ""
    for reason in (*made.unfit, *(one.reason for one in made.mismatches)):
        assert codes[str(reason)]


def test_what_names_a_folder_or_a_person_is_not_told_beside_the_text_either():
    error = "/home/anna/sageattention/_fused.so: undefined symbol: _ZN3c10"
    found = {"GPU": {"sage2-int8-fp8": Verdict("not-importable", None, error)}}
    told = values.plan_data(RTX_4090, found=found, private=True)["said"]
    assert "package-not-importable" not in {one["code"] for one in told} and told
    assert "anna" not in json.dumps(told)
    told = values.plan_data(RTX_4090, found=found)["said"]
    assert "package-not-importable" in {one["code"] for one in told}


# Every file against every Python and torch: the plain comparisons agree with packaging's.
PYTHONS = [Python(f"3.{minor}.1", machine="AMD64") for minor in range(9, 16)]
PYTHONS += [replace(python, machine="x86_64") for python in PYTHONS[1:5]]
PYTHONS += [Python("3.13.1", machine="AMD64", free_threaded=True)]
TORCHES = [
    "2.4.1",
    "2.5.1",
    "2.6.0",
    "2.7.0",
    "2.7.1",
    "2.8.0",
    "2.9.0",
    "2.9.1",
    "2.10.0",
    "2.12.1",
    "2.13.0",
]


@pytest.mark.parametrize("one", wheel.wheels(), ids=lambda one: one.file)
def test_the_plain_comparisons_agree_with_packaging_for_every_file(one):
    _, _, _, wheel_tags = parse_wheel_filename(one.file)
    for python in PYTHONS:
        system = "windows" if python.machine == "AMD64" else "linux"
        machine = replace(WINDOWS_313, python=python, system=system)
        codes = {reason.code for reason in wheel.reasons(one, machine)}
        fits = not codes & {"wheel-python", "wheel-platform"}
        assert fits == bool(wheel_tags & python_tags(machine)), (one.file, python)
    for version in TORCHES:
        codes = {reason.code for reason in wheel.reasons(one, with_torch(WINDOWS_313, f"{version}+cu130"))}
        assert ("wheel-torch" not in codes) == SpecifierSet(one.torch).contains(version), (one.file, version)


@pytest.mark.parametrize("one", wheel.wheels(), ids=lambda one: one.file)
def test_every_file_of_the_table_is_what_its_name_says(one):
    name, version, _, wheel_tags = parse_wheel_filename(one.file)
    assert (str(name), version) == (one.package, Version(one.version))
    assert {(tag.interpreter, tag.abi, tag.platform) for tag in wheel_tags} == {
        (one.python, one.abi, one.platform)
    }
    if one.url is not None:
        assert one.url.startswith(("https://github.com/", "https://huggingface.co/"))
        assert unquote(one.url).rpartition("/")[2] == one.file
    assert not one.sha256 or re.fullmatch("[0-9a-f]{64}", one.sha256)
    assert one.sha256 or not one.sha256_source
    assert one.source.startswith("https://") and one.capabilities
    assert set(one.capabilities) <= {"7.5", "8.0", "8.6", "8.7", "8.9", "9.0", "12.0"}


def test_every_row_of_the_other_tables_names_its_source():
    data = table("wheels")
    for part in (
        "triton_windows_python",
        "kitchen",
        "best_post",
        "hub_kernel",
        "build",
        "gpu_names",
        "headers",
        "runtime",
        "registry",
        "index",
        "fa3",
    ):
        assert data[part]["source"], part
    for part in ("triton", "serves_as_well", "also_there"):
        assert all(row["source"] for row in data[part]), part


def test_the_triton_of_a_torch_is_of_one_minor_version_and_has_the_newest_that_is_named():
    for row in table("wheels")["triton"]:
        minor = minor_of_triton(tuple(map(int, row["torch"].split("."))), "linux")
        assert {pin.rpartition(".")[0] for pin in row["linux"].values()} == {minor}
        if row["windows"] is not None:
            assert SpecifierSet(row["windows"]).contains(row["windows_newest"])


def test_gpus_are_known_by_name_where_torch_was_not_asked():
    for name, capability in {
        "NVIDIA GeForce RTX 5060 Ti": (12, 0),
        "NVIDIA RTX PRO 6000 Blackwell Workstation Edition": (12, 0),
        "NVIDIA H100 80GB HBM3": (9, 0),
        "NVIDIA RTX 6000 Ada Generation": (8, 9),
        "NVIDIA GeForce RTX 3050 Laptop GPU": (8, 6),
        "NVIDIA A100-SXM4-40GB": (8, 0),
        "Tesla T4": (7, 5),
        "NVIDIA GeForce GTX 1660 SUPER": (7, 5),
        "Quadro RTX 5000": (7, 5),
        "Tesla P100-PCIE-16GB": (6, 0),
        "NVIDIA RTX PRO 500 Blackwell Generation Laptop GPU": (12, 0),
        "NVIDIA GB10": (12, 1),
        "NVIDIA Thor": (11, 0),
        "NVIDIA B300 SXM6 AC": (10, 3),
        "NVIDIA GB200": (10, 0),
        "NVIDIA GH200 480GB": (9, 0),
        "NVIDIA H20": (9, 0),
        "NVIDIA L40S": (8, 9),
        "NVIDIA L4": (8, 9),
        "NVIDIA RTX 4000 SFF Ada Generation": (8, 9),
        "Orin": (8, 7),
        "NVIDIA GeForce RTX 2050": (8, 6),
        "NVIDIA RTX A500 Laptop GPU": (8, 6),
        "NVIDIA RTX A4500": (8, 6),
        "NVIDIA A10G": (8, 6),
        "NVIDIA A16": (8, 6),
        "NVIDIA A30": (8, 0),
        "NVIDIA A800-SXM4-80GB": (8, 0),
        "NVIDIA T1000 8GB": (7, 5),
        "NVIDIA GeForce MX450": (7, 5),
        "NVIDIA GeForce GTX 1630": (7, 5),
        "Quadro GV100": (7, 0),
        "NVIDIA GeForce GT 1030": (6, 1),
        "NVIDIA GeForce MX150": (6, 1),
        "Quadro P2000": (6, 1),
        "Tesla P40": (6, 1),
        "NVIDIA TITAN X (Pascal)": (6, 1),
        "NVIDIA GeForce GTX TITAN X": (5, 2),
        "Tesla M40": (5, 2),
        "NVIDIA GeForce GTX 750 Ti": (5, 0),
        "Tesla K80": (3, 7),
    }.items():
        machine = replace(WINDOWS_313, gpus=(Gpu(0, name),))
        assert plan.capabilities(machine) == {capability}, name
    for name in ("AMD Radeon RX 7900 XTX", "NVIDIA Something New 9999"):
        assert plan.capabilities(replace(WINDOWS_313, gpus=(Gpu(0, name),))) == frozenset()


def test_two_gpus_one_without_code_is_told():
    machine = with_gpus(
        on_windows("3.12.10", "2.6.0+cu126"), GeForce_RTX_3090=(8, 6), GeForce_RTX_5090=(12, 0)
    )
    chosen = wheel.choose(machine, "sageattention").wheel
    assert chosen.version == "2.2.0+cu126torch2.6.0.post3"
    assert any(
        "It has none for NVIDIA GeForce RTX 5090 (12.0)" in line for line in wheel.why(chosen, machine)
    )


def test_the_same_minor_version_of_cuda_is_preferred_where_there_are_two():
    for full, built in (("2.13.0+cu130", "cu130"), ("2.13.0+cu132", "cu132"), ("2.12.1+cu132", "cu132")):
        machine = portable("3.13.14", full, GeForce_RTX_5090=(12, 0))
        assert built in wheel.choose(machine, "sageattn3").wheel.file
