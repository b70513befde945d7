"""SageAttention from the Hugging Face Hub: loaded from the cache where a user put it, never downloaded."""

import shutil
import socket
import sys
from dataclasses import replace

import pytest
from sagekit.check.check import changes, versions_of
from sagekit.check.probe import Probe
from sagekit.check.verdicts import NOT_IMPORTABLE, REFUSED
from sagekit.kernels.families import declare, hub, sought
from sagekit.kernels.families.hub import HUB_SAGE
from sagekit.knowledge.facts import table
from sagekit.machine import Places, fingerprint, read_environment, read_hub
from sagekit.machine.hub import cache_folder
from support.hub import ARCHS, FILES, REVISION, VARIANT, download, install_kernels, packages
from support.machines import BLACKWELL, CALL, HOPPER

FP16, FP8, HOPPERS = "hub-sage2-int8-fp16", "hub-sage2-int8-fp8", "hub-sage2-int8-fp8-sm90"
NAMES = {FP16, FP8, "hub-sage2-int8-fp8-acc-fp32+fp16", HOPPERS}
BYTES = {"__init__.py": "", "_sage_attention.abi3.so": ""}


def backend(name, found):
    return next(one for one in declare(found) if one.name == name)


def reasons(name, found, call=CALL):
    return [reason.with_code for reason in backend(name, found).reasons(call)]


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Puts a stand-in for `kernels` on the search path; returns a function that takes its version."""

    def install(version="0.17"):
        install_kernels(tmp_path / "site", version)
        monkeypatch.syspath_prepend(tmp_path / "site")
        import kernels

        return kernels

    hub._core.cache_clear()
    yield install
    hub._core.cache_clear()
    for name in ("kernels", "_stand_in_for_sage", "_stand_in_for_sage.core"):
        sys.modules.pop(name, None)


@pytest.fixture
def no_network(monkeypatch):
    def forbidden(*anything, **named):
        raise AssertionError("went to the network")

    for owner, name in ((socket.socket, "connect"), (socket.socket, "bind"), (socket, "getaddrinfo")):
        monkeypatch.setattr(owner, name, forbidden)


def test_without_the_package_and_without_a_download_both_are_named(tmp_path):
    assert {one.name for one in declare({}) if one.name.startswith("hub-")} == NAMES
    for name in NAMES:
        assert [reason.code for reason in backend(name, {}).machine] == [
            "not-installed",
            "not-installed",
            "not-downloaded",
        ]


def test_with_the_package_alone_the_download_is_what_is_missing(tmp_path):
    said = f"not-downloaded: needs a download of {HUB_SAGE} in the Hugging Face cache, got none"
    assert reasons(FP16, packages(tmp_path)) == [said]


@pytest.mark.parametrize("layout", ["kernels", "models"])
def test_a_download_of_either_layout_leaves_no_reason(tmp_path, layout):
    folder = download(tmp_path, layout)
    found = packages(tmp_path)
    one = found[HUB_SAGE]
    assert (one.version, one.build, one.folder, one.archs) == ("2", REVISION[:12], str(folder), tuple(ARCHS))
    assert reasons(FP16, found) == reasons(FP8, found) == reasons(HOPPERS, found, HOPPER) == []


def broken_link(repository):
    shutil.rmtree(repository / "blobs")


def no_build(repository):
    shutil.rmtree(repository / "snapshots" / REVISION / "build")


def no_module(repository):
    (repository / "snapshots" / REVISION / "build" / VARIANT / "_sage_attention_0123456.abi3.so").unlink()


def no_snapshot(repository):
    shutil.rmtree(repository / "snapshots")


def snapshots_that_are_a_file(repository):
    no_snapshot(repository)
    (repository / "snapshots").write_text("")


def a_file_in_its_place(repository):
    shutil.rmtree(repository)
    repository.write_text("")


@pytest.mark.parametrize(
    "damage",
    [broken_link, no_build, no_module, no_snapshot, snapshots_that_are_a_file, a_file_in_its_place],
)
def test_a_broken_cache_folder_is_a_reason_and_no_exception(tmp_path, damage):
    damage(download(tmp_path).parents[1])
    (said,) = reasons(FP16, packages(tmp_path))
    assert said.startswith("not-downloaded:") and said.endswith("got one that is not whole")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"backend": 1, "kernel-depends": 2}', "\x00"])
def test_metadata_that_can_not_be_read_leave_the_kernel_to_the_check(tmp_path, text):
    snapshot = download(tmp_path)
    (snapshot / "build" / VARIANT / "metadata.json").write_text(text)
    found = packages(tmp_path)
    assert (found[HUB_SAGE].version, found[HUB_SAGE].archs) == ("unknown", ())
    assert reasons(FP8, found) == reasons(FP8, found, BLACKWELL) == []


def test_of_several_downloads_the_last_whole_one_is_it(tmp_path):
    download(tmp_path, revision="a" * 40)
    last = download(tmp_path, "models", revision="b" * 40, version=3)
    # What a look at the metadata alone leaves behind, later than both.
    download(tmp_path, revision="c" * 40, files={})
    found = read_hub(str(tmp_path), [HUB_SAGE])[HUB_SAGE]
    assert (found.folder, found.full_version) == (str(last), "3+bbbbbbbbbbbb")


@pytest.mark.parametrize(
    ("archs", "name", "call", "code"),
    [
        (ARCHS, FP8, BLACKWELL, "capability"),
        ([*ARCHS, "12.0"], FP8, BLACKWELL, None),
        ([*ARCHS, "12.0"], FP8, replace(CALL, capability=(12, 1)), None),
        (["8.0", "12.0a"], FP8, replace(CALL, capability=(12, 1)), "capability"),
        (["8.9+PTX"], FP8, BLACKWELL, None),
        (["sm_next"], FP8, BLACKWELL, None),
        (ARCHS, FP16, replace(CALL, capability=(8, 6)), None),
        (ARCHS, FP16, BLACKWELL, "capability"),
        (["8.0", "8.9"], HOPPERS, HOPPER, "module"),
    ],
)
def test_a_gpu_that_the_build_has_no_code_for_is_refused(tmp_path, archs, name, call, code):
    download(tmp_path, backend={"type": "cuda", "archs": archs})
    found = [reason.code for reason in backend(name, packages(tmp_path)).reasons(call)]
    assert found == ([code] if code else [])


def test_a_new_download_has_another_fingerprint_and_is_told(tmp_path):
    def machine():
        return read_environment(sought(), places=Places(path=(), hub_cache=str(tmp_path)))

    none = machine()
    download(tmp_path, revision="a" * 40)
    first, again = machine(), machine()
    download(tmp_path, revision="b" * 40)
    second = machine()
    prints = [fingerprint(one) for one in (none, first, second)]
    assert len(set(prints)) == 3 and fingerprint(again) == prints[1]
    told = changes(versions_of(first), versions_of(second))
    assert told == [f"{HUB_SAGE} 2+{'a' * 12} -> 2+{'b' * 12}"]
    assert str(tmp_path) not in repr(second.as_data())


def test_what_python_leaves_beside_an_imported_file_is_no_new_download(tmp_path):
    snapshot = download(tmp_path)
    before = read_hub(str(tmp_path), [HUB_SAGE])
    cached = snapshot / "build" / VARIANT / "__pycache__"
    cached.mkdir()
    (cached / "core.cpython-312.pyc").write_text("")
    assert read_hub(str(tmp_path), [HUB_SAGE]) == before


HOME = "/home/alice/.cache/huggingface/hub"


@pytest.mark.parametrize(
    ("told", "folder"),
    [
        ({}, HOME),
        ({"XDG_CACHE_HOME": "/x"}, "/x/huggingface/hub"),
        ({"HF_HOME": "$XDG_CACHE_HOME/hf", "XDG_CACHE_HOME": "/x"}, "/x/hf/hub"),
        ({"HF_HOME": "/hf", "HUGGINGFACE_HUB_CACHE": "~/old"}, "/home/alice/old"),
        ({"HF_HUB_CACHE": "/new", "HUGGINGFACE_HUB_CACHE": "/old"}, "/new"),
        ({"KERNELS_CACHE": "/own", "HF_HUB_CACHE": "/new"}, "/own"),
    ],
)
def test_the_cache_is_where_the_packages_look_for_it(monkeypatch, told, folder):
    for name in ("KERNELS_CACHE", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ({"HOME": "/home/alice", "USERPROFILE": "/home/alice"} | told).items():
        monkeypatch.setenv(name, value)
    assert cache_folder().replace("\\", "/").endswith(folder)


@pytest.mark.parametrize("version", ["0.11", "0.17"])
@pytest.mark.parametrize("layout", ["kernels", "models"])
@pytest.mark.parametrize(
    ("name", "function", "fixed"),
    [
        (FP16, "sageattn_qk_int8_pv_fp16_cuda", {"pv_accum_dtype": "fp32"}),
        (FP8, "sageattn_qk_int8_pv_fp8_cuda", {"pv_accum_dtype": "fp32+fp32", "qk_quant_gran": "per_warp"}),
        (
            "hub-sage2-int8-fp8-acc-fp32+fp16",
            "sageattn_qk_int8_pv_fp8_cuda",
            {"pv_accum_dtype": "fp32+fp16", "qk_quant_gran": "per_warp"},
        ),
        (HOPPERS, "sageattn_qk_int8_pv_fp8_cuda_sm90", {"pv_accum_dtype": "fp32+fp32"}),
    ],
)
def test_the_declared_function_is_called_with_the_declared_keywords_and_no_network(
    tmp_path, stand_in, no_network, version, layout, name, function, fixed
):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    kernels = stand_in(version)
    folder = download(tmp_path / "cache", layout)
    kernel = backend(name, packages(tmp_path / "cache")).load()
    hnd = torch.zeros(1, 2, 5, 64, dtype=torch.float16)
    nhd = torch.zeros(1, 5, 2, 64, dtype=torch.float16).transpose(1, 2)
    for q, shape, laid_out in ((hnd, (1, 2, 5, 64), "HND"), (nhd, (1, 5, 2, 64), "NHD")):
        assert kernel.attend(q, q, q, mask=None, scale=0.5).shape == q.shape
        called = sys.modules["_stand_in_for_sage.core"].calls.pop()
        assert called == (function, shape, {"tensor_layout": laid_out, "sm_scale": 0.5} | fixed)
    assert kernels.loads == [folder]


def test_all_its_kernels_load_it_once(tmp_path, stand_in):
    kernels = stand_in()
    download(tmp_path / "cache")
    found = packages(tmp_path / "cache")
    for name in NAMES:
        backend(name, found).load()
    assert len(kernels.loads) == 1


def test_one_that_needs_another_kernel_of_the_hub_is_not_loaded(tmp_path, stand_in):
    kernels = stand_in()
    download(tmp_path / "cache", **{"kernel-depends": [{"repo-id": "kernels-community/other", "version": 1}]})
    with pytest.raises(ImportError, match="kernels-community/other"):
        backend(FP16, packages(tmp_path / "cache")).load()
    assert kernels.loads == []


@pytest.mark.parametrize(
    ("files", "state", "words"),
    [
        (FILES, REFUSED, "device: needs cuda, got cpu"),
        (BYTES | {"__init__.py": "import no_such_module\n"}, NOT_IMPORTABLE, "no_such_module"),
        (BYTES | {"__init__.py": "from . import core\n", "core.py": ""}, NOT_IMPORTABLE, "pv_fp16_cuda"),
    ],
    ids=["there", "broken", "without the function"],
)
def test_the_child_of_the_check_loads_it_too(tmp_path, monkeypatch, files, state, words):
    pytest.importorskip("torch", reason="the probe's child needs torch, which is not installed")
    install_kernels(tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setenv("KERNELS_CACHE", str(tmp_path / "cache"))
    download(tmp_path / "cache", files=files)
    with Probe("cpu", limit=40) as probe:
        verdict = probe.check(FP16)
    assert verdict.state == state and words in verdict.detail, verdict


def test_the_doctor_names_the_download_that_is_looked_for():
    assert table("wheels")["hub_kernel"]["name"] == HUB_SAGE
