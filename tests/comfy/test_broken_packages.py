"""Kernel packages that break while they are imported, in real starts of ComfyUI, which imports them all."""

import json

import pytest
from support import base_directory, kernel_packages, server, workflows
from support.kernel_packages import FAULT_WORDS, FAULTS

FLAGS = {"sageattention": "--use-sage-attention", "flash_attn": "--use-flash-attention"}
# In each start one package fails in one way and another in the next: both are asserted.
_KINDS = list(FAULTS)
PAIRS = [(fault, _KINDS[(number + 1) % len(_KINDS)]) for number, fault in enumerate(_KINDS)]
KEPT_OUT = "SageKit: the package {}{} cannot be imported here. It is kept out of this start"


@pytest.fixture
def begin(host_folder, tmp_path):
    """begin(faults, *flags, **variables) -> (exit code, log) of a start that ends where it would serve."""

    def run(faults: dict[str, str], *flags: str, **variables: str) -> tuple[int, str]:
        base = base_directory.prepare(tmp_path)
        packages = kernel_packages.write_broken(base / "kernel_packages", faults)
        # A package of these has five seconds to hang; torch, which comes first, has its own.
        environment = {"PYTHONPATH": str(packages), "SAGEKIT_STARTUP": "on", "SAGEKIT_IMPORT_LIMIT": "5"}
        return server.start_and_end(host_folder, base, *flags, environment=environment | variables)

    return run


def part_about(log: str, package: str) -> str:
    """What the log says of one package."""
    return log.partition(f"the package {package}")[2].partition("The whole picture")[0]


@pytest.mark.parametrize("flagged", FLAGS)
@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_comfyui_starts_and_says_what_is_kept_out_flag_or_not(begin, flagged, first, second):
    """Of the two packages one has its launch flag on and the other has not."""
    faults = {"sageattention": first, "flash_attn": second}
    code, log = begin(faults, FLAGS[flagged])
    assert code == 0 and "Traceback" not in log, log[-3000:]
    assert "Import times for custom nodes" in log and "Using sub quadratic optimization" in log
    for package, fault in faults.items():
        asked = f", which {FLAGS[package]} asks for," if package == flagged else ""
        assert KEPT_OUT.format(package, asked) in log
        about = part_about(log, package)
        assert FAULT_WORDS.get(fault, fault) in about and "fix: " in about
        assert ("starts with PyTorch's attention instead" in about) is bool(asked)


def test_every_package_that_comfyui_imports_is_kept_out_by_itself_and_a_sound_one_is_not(begin):
    faults = {"sageattn3": "abort", "xformers.ops": "segmentation fault", "flash_attn": "OSError"}
    code, log = begin({**faults, "sageattention": "nothing"})
    assert code == 0 and "Traceback" not in log
    for package in ("sageattn3", "xformers", "flash_attn"):
        assert KEPT_OUT.format(package, "") in log
    assert "the package sageattention" not in log


def test_a_mended_package_is_let_in_and_a_sound_one_is_imported_before_once(begin, tmp_path):
    for fault, tried, kept_out in (
        ("abort", True, True),
        ("abort", True, True),
        ("nothing", True, False),
        ("nothing", False, False),
    ):
        code, log = begin({"sageattention": fault})
        assert code == 0
        assert ("in a process of its own before ComfyUI does" in log) is tried
        assert (KEPT_OUT.format("sageattention", "") in log) is kept_out
    stored = json.loads((tmp_path / "user" / "sagekit" / "verdicts.json").read_text())
    assert stored["verdicts"]["imports"]["sageattention"]["state"] == "ok"


def test_a_package_that_hangs_is_waited_for_twice_and_not_a_third_time(begin):
    for said in ("importing sageattention in", "importing sageattention again in", ""):
        code, log = begin({"sageattention": "hang"})
        assert code == 0 and KEPT_OUT.format("sageattention", "") in log
        assert (said or "importing sageattention") in log or not said
    assert "importing sageattention" not in log and "It has hung 2 times" in log


def test_a_package_that_broke_since_it_was_imported_is_caught_while_it_raises(begin, tmp_path):
    """What it stands on is not watched: no verdict tells that it changed."""
    helper = tmp_path / "kernel_packages" / "sage_helper.py"
    helper.parent.mkdir(parents=True)
    helper.write_text("")
    assert begin({"sageattention": "import sage_helper"})[0] == 0
    helper.write_text("raise OSError('the driver is gone')\n")
    code, log = begin({"sageattention": "import sage_helper"}, "--use-sage-attention")
    assert code == 0, log[-3000:]
    assert "the driver is gone" in part_about(log, "sageattention")


def test_report_says_it_in_advance_and_lets_it_in_and_off_says_nothing(begin):
    code, log = begin({"sageattention": "OSError"}, SAGEKIT_STARTUP="report")
    assert code != 0 and "let in, and ComfyUI may stop" in log
    assert log.index("let in, and ComfyUI may stop") < log.index("Traceback")
    code, log = begin({"sageattention": "OSError"}, SAGEKIT_STARTUP="off")
    assert code != 0 and "SageKit: " not in log


def test_an_image_is_the_same_and_the_page_is_told(host_folder, tmp_path, plain):
    base = base_directory.prepare(tmp_path)
    from support import tiny_models

    tiny_models.write(base / "models")
    packages = kernel_packages.write_broken(base / "kernel_packages", {"sageattention": "segmentation fault"})
    environment = {"PYTHONPATH": str(packages), "SAGEKIT_STARTUP": "on"}
    with server.running(host_folder, base, environment=environment) as running:
        workflow = workflows.sampling("wan")
        assert running.latent(workflow) == plain.latent(workflow)
        notices = running.get("/sagekit/status")["notices"]
    (notice,) = [one for one in notices if one["kind"] == "package-kept-out"]
    assert "sageattention" in notice["text"] and "SIGSEGV" in notice["text"]
