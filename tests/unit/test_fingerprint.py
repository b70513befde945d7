"""What makes a stored verdict outdated, and what does not."""

from dataclasses import replace

import pytest
from sagekit.kernels.families import sought
from sagekit.machine import (
    Environment,
    InstalledFile,
    Pack,
    Package,
    Places,
    fingerprint,
    read_environment,
)
from support.environments import RTX_4090, WELL_MATCHED, sage, with_packages, write


def file(size: int = 1, mtime: int = 1, name: str = "sageattention/_fused.pyd") -> Package:
    return sage("", files=(InstalledFile(name, size, mtime),))


SAME = with_packages(RTX_4090, sageattention=file())
CHANGES = {
    "pack version": replace(SAME, pack=Pack("0.2.0", "")),
    "pack code": replace(SAME, pack=Pack("", "abc")),
    "python": replace(SAME, python=replace(SAME.python, version="3.13.1")),
    "free-threaded python": replace(SAME, python=replace(SAME.python, free_threaded=True)),
    "headers": replace(SAME, python=replace(SAME.python, has_headers=True)),
    "driver": replace(SAME, driver=replace(SAME.driver, version="581.0")),
    "driver under WSL": replace(SAME, driver=replace(SAME.driver, store=("nv_dispi.inf_amd64_1",))),
    "GPU": replace(SAME, driver=replace(SAME.driver, gpus=("NVIDIA GeForce RTX 5090",))),
    "torch": replace(SAME, torch=replace(SAME.torch, version="2.12.0")),
    "CUDA of torch": replace(SAME, torch=replace(SAME.torch, cuda="12.8")),
    "nightly of torch": replace(SAME, torch=replace(SAME.torch, commit="abc")),
    "triton": with_packages(SAME, triton=Package("3.6.1")),
    "package gone": with_packages(SAME, triton=None),
    "package added": with_packages(SAME, xformers=Package("0.0.33")),
    "build": with_packages(SAME, sageattention=replace(file(), build="cu130")),
    "second copy": with_packages(SAME, sageattention=replace(file(), copies=("1.0.6",))),
    "file size": with_packages(SAME, sageattention=file(size=2)),
    "file time": with_packages(SAME, sageattention=file(mtime=2)),
    "file name": with_packages(SAME, sageattention=file(name="sageattention/_fused.so")),
}


def test_everything_that_can_change_a_verdict_changes_the_fingerprint():
    prints = {name: fingerprint(changed) for name, changed in CHANGES.items()}
    assert len({*prints.values(), fingerprint(SAME)}) == len(CHANGES) + 1, prints


def test_what_can_not_change_a_verdict_leaves_the_fingerprint_alone():
    other = replace(
        SAME,
        comfyui="0.34.0",
        flags=("use_sage_attention",),
        visible="1,0",
        release="6.9.0",
        unread=("x: y",),
        python=replace(SAME.python, version="3.12.9", executable="/elsewhere/python"),
        driver=replace(SAME.driver, gpus=tuple(reversed(SAME.driver.gpus))),
        packages=dict(reversed(SAME.packages.items())),
    )
    assert fingerprint(other) == fingerprint(SAME)


def test_a_fingerprint_is_short_and_made_of_any_machine():
    for machine in (Environment(), *WELL_MATCHED.values()):
        assert 16 <= len(fingerprint(machine)) <= 32


@pytest.mark.parametrize(
    ("path", "text", "same"),
    [
        ("check/probe.py", "b = 2\n", False),
        ("kernels/families/new.py", "", False),
        ("pyproject.toml", 'version = "0.2.0"\n', False),
        ("check/probe.py", "a = 1\r\n", True),
        ("knowledge/versions.json", "{}", True),
        ("nodes/patch.py", "c = 3\n", True),
    ],
)
def test_the_code_of_the_check_and_the_version_of_the_pack_are_part_of_it(tmp_path, path, text, same):
    pack = tmp_path / "pack"
    places = Places(pack=pack, hub_cache=str(tmp_path))
    write(pack, {"pyproject.toml": 'version = "0.1.0"\n', "check/probe.py": "a = 1\n"})
    before = read_environment(sought(), places=places)
    (pack / path).parent.mkdir(parents=True, exist_ok=True)
    (pack / path).write_bytes(text.encode())
    after = read_environment(sought(), places=places)
    assert before.pack.version == "0.1.0"
    assert (fingerprint(before) == fingerprint(after)) is same
