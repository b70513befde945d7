"""The environment that dev.py makes: made once, mended where it was interrupted, and nobody else's."""

import io
import json
import os
import urllib.error
from pathlib import Path

import pytest
from sagekit.dev import MissingError, environment, installer, torch_builds

ALONE = environment.groups_for(None)


@pytest.fixture
def told(monkeypatch):
    lines = []
    for module in (environment, installer, torch_builds):
        monkeypatch.setattr(module, "say", lines.append)
    return lines


@pytest.fixture
def machine(tmp_path, monkeypatch, told):
    """An empty folder; making and installing leave what the real ones leave, and are kept in ``did``."""
    did = []

    def make(venv):
        did.append("make")
        python = installer.python_in(venv)
        python.parent.mkdir(parents=True)
        python.touch()
        site(venv).mkdir(parents=True)

    def install(python, arguments, extra_index=None):
        did.append(arguments[0])
        (site(python.parent.parent) / arguments[0]).touch()

    monkeypatch.setattr(environment, "VENV", tmp_path / "venv")
    monkeypatch.setattr(environment, "DEMO", tmp_path / "demo")
    monkeypatch.setattr(environment, "NAMED", None)
    monkeypatch.setattr(installer, "make", make)
    monkeypatch.setattr(installer, "install", install)
    monkeypatch.setattr(installer, "runs", lambda python, *rest: Path(python).exists())
    monkeypatch.setattr(torch_builds, "index", lambda: None)
    return did


@pytest.fixture
def host(tmp_path):
    (tmp_path / "requirements.txt").write_text("aiohttp\n")
    return environment.groups_for(tmp_path)


def site(venv: Path) -> Path:
    return venv / "lib" / "python3.11" / "site-packages"


def interrupt(monkeypatch, when):
    """The next call of ``installer.install`` or ``make`` does ``when`` and is then stopped."""
    name, act = when

    def stopped(*args):
        act()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(installer, name, stopped)
        with pytest.raises(KeyboardInterrupt):
            environment.environment(ALONE)


def test_it_is_made_and_filled_once(machine):
    python = environment.environment(ALONE)
    assert python.exists() and machine == ["make", "torch==2.13.0"] and environment.has_torch()
    environment.environment(ALONE)
    assert machine == ["make", "torch==2.13.0"]


def test_one_that_was_stopped_while_pip_installed_is_made_anew(machine, monkeypatch):
    def write_half():
        (site(environment.VENV) / "torch").mkdir()

    interrupt(monkeypatch, ("install", write_half))
    assert not environment.has_torch()
    environment.environment(ALONE)
    assert machine == ["make", "make", "torch==2.13.0"] and not (site(environment.VENV) / "torch").exists()


def test_one_that_was_stopped_while_pip_downloaded_goes_on(machine, monkeypatch):
    interrupt(monkeypatch, ("install", lambda: None))
    environment.environment(ALONE)
    assert machine == ["make", "torch==2.13.0"]


def test_one_that_was_stopped_while_it_was_made_is_made_anew(machine, monkeypatch):
    interrupt(monkeypatch, ("make", lambda: (environment.VENV / "bin").mkdir()))
    environment.environment(ALONE)
    assert machine == ["make", "torch==2.13.0"] and environment.has_torch()


def test_one_that_was_stopped_while_it_was_removed_is_ours_all_the_same(machine, monkeypatch):
    environment.environment(ALONE)
    (environment.VENV / environment.STAMP).write_text('{"tor')

    def stopped(folder):
        for one in (one for one in folder.iterdir() if one.is_file()):
            one.unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(environment.shutil, "rmtree", stopped)
        with pytest.raises(KeyboardInterrupt):
            environment.environment(ALONE)
    assert environment.environment(ALONE) == installer.python_in(environment.VENV)
    assert machine == 2 * ["make", "torch==2.13.0"]


def test_files_in_use_end_it_in_a_sentence(machine, monkeypatch):
    def in_use(folder):
        raise PermissionError(13, "in use", str(folder))

    environment.environment(ALONE)
    (environment.VENV / environment.STAMP).write_text('{"tor')
    with monkeypatch.context() as patch:
        patch.setattr(environment.shutil, "rmtree", in_use)
        with pytest.raises(MissingError, match="end what runs from it"):
            environment.environment(ALONE)


def test_one_whose_stamp_is_half_written_is_made_anew(machine):
    environment.environment(ALONE)
    (environment.VENV / environment.STAMP).write_text('{"tor')
    environment.environment(ALONE)
    assert machine == 2 * ["make", "torch==2.13.0"]


def test_a_host_replaces_the_torch_of_a_call_without_one_and_not_the_other_way(machine, host):
    environment.environment(ALONE)
    environment.environment(host)
    assert machine[2:] == [torch_builds.WITH_HOST[0]]
    environment.environment(ALONE)
    environment.environment(host)
    assert machine[3:] == [] and environment.has_torch()


def test_somebody_elses_is_used_where_it_has_what_is_needed(machine, monkeypatch):
    installer.python_in(environment.VENV).parent.mkdir(parents=True)
    installer.python_in(environment.VENV).touch()
    monkeypatch.setattr(environment, "torch_in", lambda python, *modules: ("2.9.0 cpu", ""))
    assert environment.environment(ALONE) == installer.python_in(environment.VENV)
    assert machine == []


def test_somebody_elses_without_what_is_needed_is_left_as_it_is(machine, told):
    environment.VENV.mkdir()
    (environment.VENV / "pyvenv.cfg").touch()  # Its python is a link to one that is gone.
    python = environment.environment(ALONE)
    assert python == installer.python_in(environment.DEMO / "venv") and machine[0] == "make"
    assert [one.name for one in environment.VENV.iterdir()] == ["pyvenv.cfg"]
    assert any("left as it is" in line for line in told)
    environment.environment(ALONE)
    assert machine == ["make", "torch==2.13.0"]


def test_one_that_the_user_names_is_never_passed_over_in_silence(machine, monkeypatch):
    monkeypatch.setattr(environment, "NAMED", "set")
    environment.VENV.mkdir()
    (environment.VENV / "pyvenv.cfg").touch()
    with pytest.raises(MissingError, match="SAGEKIT_VENV"):
        environment.environment(ALONE)
    assert machine == []


@pytest.mark.skipif(os.name == "nt", reason="its environments have no folder named by the version")
@pytest.mark.parametrize("change", ["another version", "gone"])
def test_an_update_of_the_systems_python_makes_it_anew(tmp_path, monkeypatch, told, change):
    monkeypatch.setattr(environment, "VENV", tmp_path / "venv")
    monkeypatch.setattr(installer, "install", lambda *arguments: None)
    monkeypatch.setattr(torch_builds, "index", lambda: None)
    environment.environment(ALONE)
    assert environment.has_torch()
    if change == "gone":
        installer.python_in(environment.VENV).unlink()
    else:
        (folder,) = environment.VENV.glob("lib/python*")
        folder.rename(folder.with_name("python3.0"))
    assert not environment.has_torch()
    assert installer.runs(environment.environment(ALONE), "-c", "") and environment.has_torch()


def test_the_first_sign_of_it_is_that_it_is_ours(machine, monkeypatch):
    interrupt(monkeypatch, ("make", lambda: None))
    assert json.loads((environment.VENV / environment.STAMP).read_text()) == {"unfinished": None}


@pytest.mark.parametrize(
    ("system", "gpu", "answer", "index", "lines"),
    [
        ("Linux", False, None, torch_builds.CPU_BUILDS, 0),
        ("Linux", False, urllib.error.URLError("refused"), None, 1),
        ("Linux", False, TimeoutError(), None, 1),
        ("Linux", False, urllib.error.HTTPError("", 403, "no", {}, None), None, 1),
        (
            "Linux",
            False,
            urllib.error.URLError("[SSL: CERTIFICATE_VERIFY_FAILED]"),
            torch_builds.CPU_BUILDS,
            0,
        ),
        ("Linux", True, AssertionError(), None, 0),
        ("Windows", False, AssertionError(), None, 0),
        ("Darwin", False, AssertionError(), None, 0),
    ],
)
def test_cpu_builds_are_asked_for_where_torch_would_bring_cuda_for_nothing(
    monkeypatch, told, system, gpu, answer, index, lines
):
    def ask(address, timeout):
        assert timeout <= 10
        if answer is None:
            return io.BytesIO()
        raise answer

    monkeypatch.setattr(torch_builds.platform, "system", lambda: system)
    monkeypatch.setattr(torch_builds, "has_nvidia_gpu", lambda: gpu)
    monkeypatch.setattr(torch_builds.urllib.request, "urlopen", ask)
    assert torch_builds.index() == index and len(told) == lines


def test_the_cpu_index_is_asked_besides_the_configured_ones(monkeypatch, told):
    ran = []
    done = type("Done", (), {"returncode": 0, "stderr": ""})
    monkeypatch.setattr(installer, "runs", lambda *command: True)
    monkeypatch.setattr(installer.subprocess, "run", lambda command, **_: ran.append(command) or done)
    installer.install(Path("python"), ["torch==2.13.0"], torch_builds.CPU_BUILDS)
    (command,) = ran
    assert command[:4] == ["python", "-m", "pip", "install"]
    assert command[-3:] == ["--extra-index-url", torch_builds.CPU_BUILDS, "torch==2.13.0"]


@pytest.mark.parametrize(
    ("has_pip", "uv", "outer_pip", "first"),
    [
        (True, None, False, ["py", "-m", "pip"]),
        (False, "/bin/uv", True, ["/bin/uv", "pip", "install"]),
        (False, None, True, [installer.sys.executable, "-m", "pip", "--python", "py"]),
    ],
)
def test_one_without_pip_is_filled_by_uv_or_by_this_pythons_pip(monkeypatch, has_pip, uv, outer_pip, first):
    monkeypatch.setattr(installer, "runs", lambda python, *rest: has_pip and str(python) == "py")
    monkeypatch.setattr(installer, "_pip_reaches_out", lambda: outer_pip)
    monkeypatch.setattr(installer.shutil, "which", lambda name: uv if name == "uv" else None)
    assert installer._installer(Path("py"))[: len(first)] == first


def test_uv_is_told_what_pip_is_told_and_its_own_settings_come_first():
    told = installer._as_pip_is_told({"PIP_INDEX_URL": "a", "PIP_FIND_LINKS": "b  c", "PIP_CERT": ""})
    assert told.items() >= {("UV_DEFAULT_INDEX", "a"), ("UV_FIND_LINKS", "b,c")}
    assert "SSL_CERT_FILE" not in told and "UV_INDEX" not in told
    for own in ("UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        told = installer._as_pip_is_told({"PIP_INDEX_URL": "a", own: "mine"})
        assert [told[name] for name in told if name.startswith("UV_")] == ["mine"]


def test_a_python_without_ensurepip_makes_one_all_the_same(monkeypatch, told, tmp_path):
    find = installer.importlib.util.find_spec
    hidden = ("ensurepip", "virtualenv")
    monkeypatch.setattr(
        installer.importlib.util, "find_spec", lambda name: None if name in hidden else find(name)
    )
    monkeypatch.setattr(installer.shutil, "which", lambda name: None)
    installer.make(tmp_path / "venv")
    python = installer.python_in(tmp_path / "venv")
    assert installer.runs(python, "-c", "") and not installer.runs(python, "-m", "pip", "--version")
    assert installer.runs(*installer._installer(python)[:-5], "list")


@pytest.mark.skipif(not hasattr(os, "ST_NOEXEC"), reason="this system does not tell noexec")
def test_a_place_where_nothing_starts_is_told_so_before_the_download(monkeypatch, told, tmp_path):
    monkeypatch.setattr(installer, "_makers", lambda venv: iter([[installer.sys.executable, "-c", ""]]))
    monkeypatch.setattr(installer, "runs", lambda *command: True)
    installer.make(tmp_path)
    noexec = type("Mounted", (), {"f_flag": os.ST_NOEXEC})
    monkeypatch.setattr(installer.os, "statvfs", lambda folder: noexec)
    with pytest.raises(MissingError, match="lets programs start"):
        installer.make(tmp_path)


def test_a_python_with_nothing_to_make_one_says_what_to_do(monkeypatch, told, tmp_path):
    monkeypatch.setattr(installer, "_makers", lambda venv: iter(()))
    with pytest.raises(MissingError, match=r"apt install python3-venv; or install uv") as raised:
        installer.make(tmp_path)
    assert "pip install" not in str(raised.value)


@pytest.mark.parametrize(
    ("told_by_pip", "free", "words"),
    [
        ("WARNING: Retrying after connection broken by 'NewConnectionError'\nERROR: none", 2**40, "an index"),
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left", 2**40, "space"),
        ("Killed", 2**20, "space on the disk"),
        (
            "ERROR: Cannot install torch==2.13.0 because these conflict.\nERROR: ResolutionImpossible",
            2**40,
            "index that has torch==2.13.0 and all that it needs",
        ),
        (
            "ERROR: No matching distribution found for torch==2.13.0",
            2**40,
            "torch==2.13.0: the package index has none for Python 3.",
        ),
        ("", 2**40, "no reason was given"),
    ],
)
def test_what_pip_could_not_do_is_one_sentence(told_by_pip, free, words):
    said = installer._why(told_by_pip, free, Path("venv"))
    assert words.replace("an index", "a package index that answers") in said and "\n" not in said
