"""Kernel packages that are absent or broken: the workflow runs, and one line says what is missing."""

import pytest
from support import workflows
from support.workflows import sage


@pytest.fixture(scope="module")
def broken(start):
    """A server whose sageattention raises when it is imported."""
    with start(kernels="broken sageattention") as running:
        yield running


def _said_about(server, kernel: str) -> str:
    """The one line in the whole log that says why a kernel did not run, after two more runs of it."""
    for _ in range(2):
        server.run(workflows.sampling("wan", sage(kernel)))
    (said,) = [line for line in server.lines_of_the_pack() if f"{kernel} did not run" in line]
    return said


@pytest.mark.parametrize(
    ("kernel", "package"),
    [
        ("sage1-int8-fp16", "sageattention"),
        ("sage2-int8-fp16", "sageattention"),
        ("sage3-fp4", "sageattn3"),
        ("flash2", "flash-attn"),
        ("xformers", "xformers"),
    ],
)
def test_naming_a_kernel_that_is_not_installed_says_once_which_package_is_missing(plain, kernel, package):
    said = _said_about(plain, kernel)
    assert "not-installed" in said
    assert f"needs {package}" in said


def test_a_kernel_package_that_does_not_import_leaves_the_bits_as_they_are(plain, broken):
    expected = plain.latent(workflows.sampling("wan"))
    assert broken.latent(workflows.sampling("wan", sage("auto"))) == expected
    assert broken.latent(workflows.sampling("wan", sage("sage1-int8-fp16"))) == expected


def test_naming_a_kernel_that_does_not_import_says_once_why_it_did_not_run(broken):
    # On a CPU it is never imported at all: a kernel for another device is refused before.
    assert "device: needs cuda, got cpu" in _said_about(broken, "sage1-int8-fp16")


def test_a_kernel_package_that_does_not_import_puts_no_traceback_in_the_log(broken):
    broken.run(workflows.sampling("wan", sage("sage1-int8-fp16")))
    assert "Traceback" not in broken.log()
