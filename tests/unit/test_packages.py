"""What is read of the installed packages, from files alone."""

import pytest
from sagekit.kernels.families import installed, sought
from sagekit.machine import Build, Package, fork, missing, read_packages
from support.environments import install, write


def read(path: list[str], user: str | None = None):
    return read_packages(path, sought().distributions, user)


@pytest.fixture
def site(tmp_path, monkeypatch):
    """An empty site-packages that is the only one; returns a function that installs a package there."""
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    monkeypatch.setenv("KERNELS_CACHE", str(tmp_path / "cache"))
    installed.cache_clear()
    yield lambda name, version, files: install(tmp_path, name, version, files)
    installed.cache_clear()


def test_nothing_installed_is_an_empty_answer(site):
    assert installed() == {}


def test_version_build_and_compiled_modules_come_from_the_metadata(site):
    site(
        "sageattention",
        "2.2.0+cu130torch2.9.1.post3",
        {
            "sageattention/_qattn_sm89.pyd": "",
            "sageattention/_fused.cpython-312-x86_64-linux-gnu.so": "",
            "sageattention/core.py": "raise SystemExit('importing this would be a fault')",
        },
    )
    package = installed()["sageattention"]
    assert (package.version, package.build) == ("2.2.0", "cu130torch2.9.1.post3")
    assert package.modules == {"_qattn_sm89", "_fused"}
    assert package.release == (2, 2, 0)


@pytest.mark.parametrize(("source", "limit"), [("128", 128), ("256", 256), ("", None)])
def test_the_head_dim_limit_is_read_from_the_code_that_pads(site, source, limit):
    text = f"    elif head_dim_og > {source}:\n        raise ValueError('Unsupported')" if source else "pass"
    site("sageattention", "2.2.0", {"sageattention/core.py": text})
    assert installed()["sageattention"].head_dim_limit == limit


def test_either_of_two_packages_will_do():
    assert missing({"triton-windows": Package("3.6.0")}, "triton|triton-windows") == ()
    (reason,) = missing({}, "triton|triton-windows")
    assert str(reason) == "needs triton or triton-windows, got nothing"


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("triton_windows", "triton-windows"),
        ("flash_attn_3", "flash-attn-3"),
        ("comfy_kitchen", "comfy-kitchen"),
        ("pytorch_triton", "triton"),
        ("Xformers", "xformers"),
    ],
)
def test_a_package_is_known_however_its_folder_spells_it(site, folder, name):
    site(folder, "1.2.3", {})
    assert list(installed()) == [name]


def test_what_pip_left_half_removed_is_not_installed(site):
    site("~ageattention", "2.2.0", {})
    assert installed() == {}


def test_the_files_of_a_kernel_are_known_by_size_and_time_and_those_gone_as_gone(tmp_path):
    install(tmp_path, "sageattention", "2.2.0", {"sageattention/core.py": "abc", "sageattention/gone.py": ""})
    (tmp_path / "sageattention" / "gone.py").unlink()
    core, gone = read([str(tmp_path)])["sageattention"].files
    assert core == ("sageattention/core.py", 3, (tmp_path / "sageattention" / "core.py").stat().st_mtime_ns)
    assert gone == ("sageattention/gone.py", -1, 0)


def test_two_installations_are_one_package_with_a_copy(tmp_path):
    for version in ("1.0.6", "2.2.0+cu130torch2.9.1.post6"):
        install(tmp_path, "sageattention", version, {})
    package = read([str(tmp_path)])["sageattention"]
    assert {package.full_version, *package.copies} == {"1.0.6", "2.2.0+cu130torch2.9.1.post6"}


def test_a_folder_that_is_searched_twice_holds_no_copy(tmp_path):
    install(tmp_path / "lib", "sageattention", "2.2.0", {})
    (tmp_path / "lib64").symlink_to(tmp_path / "lib")
    path = [str(tmp_path / "lib"), str(tmp_path / "lib64"), str(tmp_path / "lib" / "..") + "/lib"]
    assert read(path)["sageattention"].copies == ()


def test_a_package_of_the_user_is_told_from_one_of_this_python(tmp_path):
    user, own = tmp_path / "user", tmp_path / "own"
    install(user, "triton", "3.5.0", {})
    install(own, "triton", "3.6.0", {})
    install(own, "torch", "2.11.0", {})
    packages = read([str(user), str(own)], str(user))
    assert (packages["triton"].version, packages["triton"].copies) == ("3.5.0", ("3.6.0",))
    assert [name for name, package in packages.items() if package.in_user_site] == ["triton"]


@pytest.mark.parametrize("folder", ["site", "sageattention-2.2.0-py3.12-linux-x86_64.egg"])
def test_an_installation_without_a_record_is_read_from_what_lies_there(tmp_path, folder):
    metadata = "EGG-INFO" if folder.endswith(".egg") else "sageattention.egg-info"
    files = {f"{metadata}/PKG-INFO": "Name: sageattention\nVersion: 2.2.0\n", "sageattention/_fused.so": ""}
    write(tmp_path / folder, files)
    package = read([str(tmp_path / folder)])["sageattention"]
    assert (package.version, package.modules) == ("2.2.0", {"_fused"})


@pytest.mark.parametrize(
    ("version", "build", "whose"),
    [
        ("2.2.0", "cu130torch2.10.0andhigher.post6", "woct0rdho wheel"),
        ("2.1.1", "cu124torch2.5.1", "woct0rdho wheel"),
        ("2.2.0.post3", "cu130torch2.10.0", "other wheel"),
        ("2.2.0", "cu130.torch2.13.0.sm89", "other wheel"),
        ("2.2.0", "cu13", "other wheel"),
        ("2.2.0", "", "upstream or local build"),
        ("2.2.0", "gitabc", "upstream or local build"),
        ("1.0.6", "", "1.x"),
    ],
)
def test_whose_sageattention_it_is_shows_in_its_version(version, build, whose):
    assert fork(Package(version, build)) == whose


@pytest.mark.parametrize(
    ("build", "meaning"),
    [
        ("cu128torch2.9.0andhigher.post4", Build((12, 8), (2, 9, 0), and_higher=True, post=4)),
        ("cu126torch2.6.0", Build((12, 6), (2, 6, 0))),
        ("cu130torch2.13.0", Build((13, 0), (2, 13, 0))),
        ("cu128torch271", Build((12, 8), (2, 7, 1))),
        ("cu128torch2.9.0cxx11abi1", Build((12, 8), (2, 9, 0))),
        ("cu130.torch2.13.0.sm120", Build((13, 0), (2, 13, 0), capability=(12, 0))),
        ("cu12", Build((12,))),
        ("", None),
        ("cpu", None),
        ("gitcu128", None),
    ],
)
def test_a_build_tag_is_taken_apart(build, meaning):
    assert Build.of(Package("2.2.0", build)) == meaning
