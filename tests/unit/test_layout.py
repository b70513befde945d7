"""Where a ComfyUI has its things, as a server says it and as a check by hand finds it."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from sagekit.check.verdicts import OK, Verdict
from sagekit.host import process
from sagekit.kernels_check import command
from sagekit.machine import layout
from sagekit.machine.layout import FILE_NAME, Layout


def folder(path: Path, *files: str) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    for file in files:
        (path / file).parent.mkdir(parents=True, exist_ok=True)
        (path / file).touch()
    return path


@pytest.fixture
def usual(tmp_path) -> Layout:
    comfyui = folder(tmp_path / "ComfyUI", "main.py", "custom_nodes/sagekit/__init__.py")
    return Layout(comfyui, comfyui, comfyui / "user", told=True)


@pytest.fixture
def apart(tmp_path) -> Layout:
    """custom_nodes and user beside each other, main.py elsewhere, as with --base-directory or Desktop."""
    comfyui = folder(tmp_path / "program" / "ComfyUI", "main.py")
    base = folder(tmp_path / "base", "custom_nodes/sagekit/__init__.py")
    return Layout(comfyui, base, folder(base / "user"), told=True)


def pack_of(one: Layout) -> Path:
    return one.base / "custom_nodes" / "sagekit"


def found(one: Layout) -> Layout:
    return layout.around([pack_of(one)])


def same(one: Layout, other: Layout) -> bool:
    return (one.comfyui, one.base, one.user) == (other.comfyui, other.base, other.user)


def test_a_server_says_it_and_main_py_is_not_looked_for_in_the_base(apart, monkeypatch):
    host = SimpleNamespace(
        __file__=str(apart.comfyui / "folder_paths.py"),
        base_path=str(apart.base),
        get_user_directory=lambda: str(apart.user),
    )
    monkeypatch.setitem(sys.modules, "folder_paths", host)
    assert process.folders() == apart
    assert apart.verdicts == apart.user / "sagekit" / "verdicts.json"


def test_in_the_usual_layout_the_packs_own_place_tells_all_and_nothing_is_written_down(usual):
    assert same(found(usual), usual) and usual.arguments == ()
    assert layout.tell(usual, pack_of(usual)) == "" and not usual.user.exists()


def test_with_a_base_directory_verdicts_are_found_at_once_and_main_py_once_a_server_ran(apart):
    before = found(apart)
    assert (before.comfyui, before.verdicts) == (None, apart.verdicts)
    assert layout.tell(apart, pack_of(apart)) == ""
    assert found(apart) == apart
    assert apart.arguments == ("--base-directory", str(apart.base))


@pytest.mark.parametrize("kind", ["usual", "apart"])
def test_a_user_directory_is_known_once_a_server_ran_and_forgotten_when_it_runs_without(
    kind, request, tmp_path
):
    one = request.getfixturevalue(kind)
    named = Layout(one.comfyui, one.base, folder(tmp_path / "users"), told=True)
    layout.tell(named, pack_of(one))
    assert found(one) == named and named.arguments[-2:] == ("--user-directory", str(named.user))
    layout.tell(one, pack_of(one))
    assert same(found(one), one)
    assert (one.base / "user" / "sagekit" / FILE_NAME).exists() == (kind == "apart")


@pytest.mark.parametrize("gone", ["main.py", "user"])
def test_what_no_longer_holds_is_not_believed(apart, tmp_path, gone):
    named = Layout(apart.comfyui, apart.base, folder(tmp_path / "users"), told=True)
    layout.tell(named, pack_of(apart))
    if gone == "main.py":
        (apart.comfyui / "main.py").unlink()
    else:
        named.user.rmdir()
    assert found(apart).user == apart.user and not found(apart).told


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"comfyui": 1, "user": null}', "\0", '{"comfyui": "x"'])
def test_a_note_that_is_none_is_as_if_there_were_none(apart, text):
    file = apart.user / "sagekit" / FILE_NAME
    folder(file.parent)
    file.write_text(text)
    assert found(apart) == Layout(None, apart.base, apart.user)


def test_a_link_in_custom_nodes_counts_as_where_it_is(usual, tmp_path):
    pack = folder(tmp_path / "checkout" / "sagekit")
    link = usual.base / "custom_nodes" / "linked"
    link.symlink_to(pack)
    assert same(layout.around([link, pack]), usual)


def test_custom_nodes_that_extra_model_paths_names_are_no_ones_base(usual, tmp_path):
    shared = folder(tmp_path / "shared", "custom_nodes/sagekit/__init__.py", "models/x")
    pack = shared / "custom_nodes" / "sagekit"
    assert layout.around([pack]) == Layout()
    assert layout.tell(usual, pack) == "" and not (shared / "user").exists()


def test_a_folder_that_cannot_be_written_is_told_and_costs_nothing(apart):
    (apart.user / "sagekit").write_text("a file")
    assert layout.tell(apart, pack_of(apart)) != ""


# The check by hand.


def checked(one: Layout, monkeypatch, capsys, *options: str) -> str:
    monkeypatch.setattr(sys, "argv", [str(pack_of(one) / "kernels_check"), *options])
    monkeypatch.setattr(command, "_check", lambda *arguments: {"sdpa-flash": Verdict(OK, 0.001)})
    command.main(list(options))
    return capsys.readouterr().out


def test_the_check_by_hand_keeps_verdicts_where_the_server_looks_and_says_where(apart, monkeypatch, capsys):
    said = checked(apart, monkeypatch, capsys)
    assert json.loads(apart.verdicts.read_text())["format"]
    assert f"kept for ComfyUI's next start in {apart.verdicts.parent}" in said
    # Nothing there says yet that a server looks there.
    assert "--user-directory looks" in said
    assert "--user-directory looks" not in checked(apart, monkeypatch, capsys)


def test_the_check_by_hand_keeps_them_in_a_user_directory_that_a_server_named(
    apart, monkeypatch, capsys, tmp_path
):
    named = Layout(apart.comfyui, apart.base, folder(tmp_path / "users"), told=True)
    (apart.comfyui / "comfyui_version.py").write_text('__version__ = "0.33.0"\n')
    layout.tell(named, pack_of(apart))
    data = json.loads(checked(apart, monkeypatch, capsys, "--json"))
    assert named.verdicts.is_file() and not apart.verdicts.exists()
    assert data["environment"]["comfyui"] == "0.33.0"


def test_a_pack_that_is_in_no_comfyui_keeps_nothing_and_says_so(tmp_path, monkeypatch, capsys):
    lost = Layout(None, folder(tmp_path, "custom_nodes/sagekit/__init__.py"))
    said = checked(lost, monkeypatch, capsys)
    assert "not kept" in said and "--store" in said and not (tmp_path / "user").exists()
