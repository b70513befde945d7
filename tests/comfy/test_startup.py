"""The startup hook in a real server: whatever a kernel package does, ComfyUI starts and says what fails."""

import json
import shutil

import pytest
from support import host, kernel_packages, workflows

SAGE = "--use-sage-attention"
BLOCKS = ("asks for a kernel that does not work here", "cannot be imported here")


@pytest.fixture(scope="module")
def expected(plain) -> bytes:
    """The bits of a start without any flag."""
    return plain.latent(workflows.sampling("wan"))


def is_oldest(host_folder) -> bool:
    return host.version(host_folder) == "0.3.64"


def blocks(server) -> list[str]:
    """What the hook said, each with the lines that belong to it."""
    parts = server.log().split("SageKit: ")[1:]
    return [one.split("The whole picture")[0] for one in parts if any(block in one for block in BLOCKS)]


def starts_well(server, expected: bytes) -> None:
    assert "PatchSageAttention" in server.get("/object_info/PatchSageAttention")
    assert server.latent(workflows.sampling("wan")) == expected
    log = server.log()
    assert "Traceback" not in log and "PRESTARTUP FAILED" not in log and "IMPORT FAILED" not in log


@pytest.mark.parametrize(
    ("kernels", "words"),
    [
        ("none", "not-installed: needs sageattention"),
        ("broken sageattention", "DLL load failed while importing _qattn"),
        ("sageattention without triton", "No module named 'triton_that_is_not_there'"),
        ("sageattention without a module", "SM89 kernel is not available"),
        ("wrong sageattention", "wrong: error"),
        ("nan sageattention", "NaN or Inf"),
        ("raising sageattention", "ZeroDivisionError"),
        ("aborting sageattention", "crashed"),
    ],
)
def test_a_flag_whose_kernel_does_not_work_is_cleared_and_one_block_says_why(
    start, expected, host_folder, kernels, words
):
    if is_oldest(host_folder) and kernels not in ("broken sageattention", "aborting sageattention"):
        pytest.skip("the hook is the same there: two of the broken packages will do")
    with start(SAGE, kernels=kernels, SAGEKIT_STARTUP="on") as server:
        starts_well(server, expected)
        (block,) = blocks(server)
        assert words in block and "ComfyUI starts with PyTorch's attention instead" in block
        assert "Using sage attention" not in server.log()
        (notice,) = server.get("/sagekit/status")["notices"]
        assert (notice["kind"], notice["severity"]) == ("startup-fallback", "warn")
        assert "--use-sage-attention" in notice["text"] and words in notice["text"]


def test_a_kernel_that_hangs_is_given_up_after_its_limit(start, expected, host_folder):
    if is_oldest(host_folder):
        pytest.skip("a minute and a half: on the newest ComfyUI only")
    with start(SAGE, kernels="sleeping sageattention", SAGEKIT_STARTUP="on") as server:
        starts_well(server, expected)
        assert "timed-out" in blocks(server)[0]


def test_a_flag_whose_kernel_works_is_left_on_and_the_next_start_does_not_check_again(start, tmp_path):
    for checked in (True, False):
        with start(SAGE, kernels="right sageattention", base=tmp_path, SAGEKIT_STARTUP="on") as server:
            assert blocks(server) == [] and "Using sage attention" in server.log()
            assert ("checking the kernel behind --use-sage-attention" in server.log()) is checked
    stored = json.loads((tmp_path / "user" / "sagekit" / "verdicts.json").read_text())
    assert stored["verdicts"]["launch cpu"]["flag-sage"]["state"] == "ok"


def test_a_kernel_that_was_only_copied_keeps_its_flag_and_a_rebuild_of_it_is_checked_anew(start, tmp_path):
    folder = kernel_packages.write(tmp_path / "copied", "right sageattention", metadata=False)
    base, variables = tmp_path / "base", {"PYTHONPATH": str(folder), "SAGEKIT_STARTUP": "on"}
    checking = "checking the kernel behind --use-sage-attention"
    for checked in (True, False):
        with start(SAGE, base=base, **variables) as server:
            assert blocks(server) == [] and "Using sage attention" in server.log()
            assert (checking in server.log()) is checked
            status = server.get("/sagekit/status")
            package = status["environment"]["packages"]["sageattention"]
            assert (package["version"], package["as_module"]) == ("", True)
            assert str(folder) not in json.dumps([status, server.get("/sagekit/plan")])
    stored = json.loads((base / "user" / "sagekit" / "verdicts.json").read_text())
    assert stored["verdicts"]["launch cpu"]["flag-sage"]["state"] == "ok"
    broken = "from .core import sageattn\n"
    (folder / "sageattention" / "__init__.py").write_text(broken)
    (folder / "sageattention" / "core.py").write_text("raise ImportError('built for another torch')\n")
    with start(SAGE, base=base, **variables) as server:
        (block,) = blocks(server)
        assert "importing sageattention" in server.log() and "built for another torch" in block


def test_a_change_of_what_is_installed_is_told_and_checked_again(start, tmp_path):
    with start(SAGE, kernels="right sageattention", base=tmp_path, SAGEKIT_STARTUP="on"):
        pass
    shutil.rmtree(tmp_path / "kernel_packages")
    with start(SAGE, kernels="newer sageattention", base=tmp_path, SAGEKIT_STARTUP="on") as server:
        assert "sageattention 1.0.6 -> 1.0.7" in server.log()
        assert "checking the kernel behind --use-sage-attention" in server.log()
        (notice,) = server.get("/sagekit/status")["notices"]
        assert (notice["kind"], notice["severity"]) == ("versions-changed", "info")
        assert "sageattention 1.0.6 -> 1.0.7" in notice["text"]


@pytest.mark.parametrize(
    "kernels", ["aborting sageattention", "sleeping sageattention", "wrong sageattention"]
)
def test_without_its_flag_a_package_whose_kernel_is_broken_is_let_in_and_nothing_is_said(
    start, expected, host_folder, kernels
):
    if is_oldest(host_folder) and kernels != "aborting sageattention":
        pytest.skip("the hook is the same there: one of the broken kernels will do")
    with start(kernels=kernels, SAGEKIT_STARTUP="on") as server:
        starts_well(server, expected)
        assert blocks(server) == [] and "checking" not in server.log()


def test_report_leaves_the_flag_on_and_off_says_nothing(start):
    for mode, said in (("report", 1), ("off", 0)):
        with start(SAGE, kernels="wrong sageattention", SAGEKIT_STARTUP=mode) as server:
            assert len(blocks(server)) == said
            assert server.get("/sagekit/status")["notices"] == []
            assert "Using sage attention" in server.log()


def test_a_console_that_is_not_utf8_and_a_user_folder_that_can_not_be_written(start, expected, tmp_path):
    (tmp_path / "user").mkdir()
    (tmp_path / "user" / "sagekit").write_text("a file where the folder should be")
    variables = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "SAGEKIT_STARTUP": "on"}
    with start(SAGE, kernels="wrong sageattention", base=tmp_path, **variables) as server:
        starts_well(server, expected)
        assert len(blocks(server)) == 1
        assert "cannot be kept" in server.log()


def test_status_tells_the_machine_without_a_path_of_it(plain):
    status = plain.get("/sagekit/status")
    assert status["environment"]["torch"]["version"] and status["environment"]["pack"]
    text = json.dumps(status)
    assert str(plain.base) not in text and "/home/" not in text and "site-packages" not in text


def test_plan_tells_what_to_do_without_a_path_of_the_machine(plain):
    plan = plain.get("/sagekit/plan")["plan"]
    assert plan["outcome"] == "nothing-fits" and plan["summary"]
    text = json.dumps(plan)
    assert str(plain.base) not in text and "/home/" not in text and "site-packages" not in text
