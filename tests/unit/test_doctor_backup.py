"""Backups of a real venv: what is kept comes back, whatever is damaged, full or interrupted on the way."""

import errno
import io
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from sagekit.backup import disk, exchange, processes, snapshot, swap, tree
from sagekit.backup.place import find
from sagekit.kernels_check import backups as verbs
from sagekit.kernels_check import command

WRITES = {"os.mkdir", "os.link", "os.rename", "os.symlink", "os.chmod", "os.utime", "open"}
EVENTS = WRITES | {"os.remove", "os.rmdir", "os.truncate"}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    for script in (folder / "bin").glob("[aA]ctivate*"):
        script.unlink()
    site = next((folder / "lib").glob("python*/site-packages"))
    (site / "kept.py").write_text("VALUE = 1\n")
    (site / "read only.py").write_text("")
    (site / "read only.py").chmod(0o444)
    (site / "Ж.txt").write_bytes(b"letters")
    # A name that is no text, as an archive of another system unpacks to.
    (site / os.fsdecode(b"\xff.txt")).write_bytes(b"")
    (site / "outside").symlink_to("/usr")
    return folder


@pytest.fixture
def venv(made, tmp_path, capsys):
    folder = tmp_path / "my é env"
    shutil.copytree(made, folder, symlinks=True)
    site = next((folder / "lib").glob("python*/site-packages"))

    def call(*arguments: str) -> tuple[int, str, str]:
        code = command.main([*arguments, "--python", str(folder)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return SimpleNamespace(folder=folder, call=call, kept=site / "kept.py", home=Path(f"{folder}_backups"))


def value(venv) -> str:
    program = [str(venv.folder / "bin" / "python"), "-I", "-B", "-c", "import kept; print(kept.VALUE)"]
    return subprocess.run(program, capture_output=True, text=True, check=True).stdout.strip()


def content(folder: Path) -> dict:
    found = {}
    for path in sorted(folder.rglob("*")):
        about = path.lstat()
        what = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[str(path.relative_to(folder))] = (
            what,
            about.st_mode,
            path.is_file() and not path.is_symlink() and about.st_mtime_ns,
        )
    return found


def test_what_is_kept_comes_back_and_what_it_replaced_is_kept_until_forgotten(venv):
    before = content(venv.folder)
    assert venv.call("backup", "first")[0] == 0
    venv.kept.write_text("VALUE = 2\n")
    code, said, _ = venv.call("restore", "first")
    assert code == 0 and value(venv) == "1" and content(venv.folder) == before
    old = next(one.name for one in venv.home.glob("replaced_*"))
    assert old in said and old in venv.call("backups")[1]
    assert venv.call("restore", old)[0] == 0 and value(venv) == "2"
    left = next(one.name for one in venv.home.glob("replaced_*"))
    assert venv.call("forget", left)[0] == 0 and not list(venv.home.glob("replaced_*"))
    assert venv.call("forget", "first")[0] == 0
    assert "There is no backup" in venv.call("backups")[1]


def test_a_second_backup_shares_what_did_not_change_and_a_name_is_never_reused(venv):
    venv.call("backup", "one")
    venv.kept.write_text("VALUE = 22\n")
    venv.call("backup", "one")
    first, second = (next((venv.home / name).rglob("*.txt")).stat() for name in ("one", "one-no2"))
    assert first.st_ino == second.st_ino
    texts = [next((venv.home / name).rglob("kept.py")).read_text() for name in ("one", "one-no2")]
    assert texts == ["VALUE = 1\n", "VALUE = 22\n"]


def test_what_did_not_change_is_neither_read_nor_copied(venv, monkeypatch):
    venv.call("backup", "one")
    copied, copy = [], disk.copy
    monkeypatch.setattr(disk, "copy", lambda source, target: copied.append(source) or copy(source, target))
    assert "; 0 bytes new on the disk" in venv.call("backup", "two")[1] and copied == []
    venv.kept.write_text("VALUE = 5\n")
    assert "; 10 bytes new on the disk" in venv.call("backup", "three")[1] and copied == [str(venv.kept)]


def test_where_a_disk_can_not_share_files_each_backup_has_its_own(venv, monkeypatch):
    def refuse(source, target):
        raise OSError(errno.EPERM, "Operation not permitted", source)

    venv.call("backup", "one")
    monkeypatch.setattr(os, "link", refuse)
    assert "; 0 bytes new" not in venv.call("backup", "two")[1]
    files = [next((venv.home / name).rglob("kept.py")).stat() for name in ("one", "two")]
    assert files[0].st_ino != files[1].st_ino and venv.call("verify", "two")[0] == 0


def test_a_file_that_the_last_backup_has_lost_a_part_of_is_copied_anew(venv):
    venv.call("backup", "one")
    next((venv.home / "one").rglob("kept.py")).write_text("VAL")
    assert venv.call("backup", "two")[0] == 0 and venv.call("verify", "two")[0] == 0
    assert venv.call("verify", "one")[0] == 2


def test_the_newest_sound_backup_is_shared_with(venv):
    venv.call("backup", "one")
    venv.kept.write_text("VALUE = 22\n")
    venv.call("backup", "two")
    (venv.home / "three").mkdir()
    (venv.home / "three" / "manifest.json").write_text("{}")
    assert "; 0 bytes new on the disk" in venv.call("backup", "four")[1]


def test_a_folder_that_becomes_a_file_meanwhile_is_the_file(venv, monkeypatch):
    folder, scan, looks = venv.folder / "late", snapshot.tree.scan, []
    folder.mkdir()
    (folder / "inside").mkdir()
    (folder / "inside" / "a.txt").write_text("a")

    def change(where):
        looks.append(where)
        if len(looks) == 2:
            shutil.rmtree(folder)
            folder.write_text("a file now")
        return scan(where)

    monkeypatch.setattr(snapshot.tree, "scan", change)
    assert venv.call("backup", "one")[0] == 0 and len(looks) == 3
    assert (venv.home / "one" / "files" / "late").read_text() == "a file now"
    assert venv.call("verify", "one")[0] == 0


def test_links_are_kept_as_links_and_never_followed(venv):
    venv.call("backup", "one")
    assert not [path for path in (venv.home / "one").rglob("*") if path.is_symlink()]
    assert sum(1 for _ in (venv.home / "one").rglob("*")) < 40


def test_a_bit_flipped_is_found_by_verify_and_refused_by_restore(venv):
    venv.call("backup", "one")
    assert venv.call("verify", "one")[0] == 0
    file = next((venv.home / "one").rglob("kept.py"))
    data = bytearray(file.read_bytes())
    data[0] ^= 1
    file.write_bytes(data)
    code, said, _ = venv.call("verify", "one")
    assert code == 2 and "kept.py: its content is another" in said
    before = content(venv.folder)
    code, _, error = venv.call("restore", "one")
    assert code == 3 and "is damaged" in error and content(venv.folder) == before
    assert not list(venv.home.glob(".restoring*")) and not list(venv.home.glob("replaced*"))


@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff", b"cut"])
def test_a_damaged_manifest_is_one_clear_line_with_code_3(venv, damage):
    venv.call("backup", "one")
    file = venv.home / "one" / "manifest.json"
    file.write_bytes(file.read_bytes()[:-40] if damage == b"cut" else damage)
    before = content(venv.folder)
    for verb in ("verify", "restore"):
        code, _, error = venv.call(verb, "one")
        assert code == 3 and "manifest" in error and error.count("\n") == 1
    assert content(venv.folder) == before
    assert "damaged" in venv.call("backups")[1] and venv.call("backup")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("verify",), "needs a name"),
        (("restore", "none"), "There is no backup none"),
        (("restore", "../one"), "There is no backup"),
        (("forget", ".."), "There is no backup"),
        (("backup", "a/b"), "cannot be a backup's name"),
        (("backup", "NUL"), "cannot be a backup's name"),
        (("backup", "--plan"), "goes without --plan"),
    ],
)
def test_bad_input_is_a_clear_line_with_code_3(venv, arguments, words):
    before = content(venv.folder)
    code, _, error = venv.call(*arguments)
    assert code == 3 and words in error and error.count("\n") == 1 and content(venv.folder) == before


def test_a_folder_that_is_no_environment_and_a_place_inside_it_are_refused(venv, tmp_path, capsys):
    (tmp_path / "plain").mkdir()
    assert command.main(["backup", "--python", str(tmp_path / "plain")]) == 3
    assert "is no Python environment" in capsys.readouterr().err
    code, _, error = venv.call("backup", "--to", str(venv.folder / "kept"))
    assert code == 3 and "is inside the environment" in error and not (venv.folder / "kept").exists()


def test_a_backup_elsewhere_is_found_again_without_being_told_where(venv, tmp_path):
    assert venv.call("backup", "far", "--to", str(tmp_path / "other disk"))[0] == 0
    venv.kept.write_text("VALUE = 3\n")
    assert venv.call("restore", "far")[0] == 0 and value(venv) == "1"


def test_a_file_that_changes_while_it_is_read_is_taken_as_it_is_in_the_end(venv, monkeypatch):
    copy, times = disk.copy, []

    def change(source, target):
        done = copy(source, target)
        if source.endswith("kept.py") and not times:
            times.append(source)
            venv.kept.write_text("VALUE = 12345\n")
        return done

    monkeypatch.setattr(disk, "copy", change)
    assert venv.call("backup", "one")[0] == 0 and times
    assert next((venv.home / "one").rglob("kept.py")).read_text() == "VALUE = 12345\n"
    assert venv.call("verify", "one")[0] == 0


def test_a_file_that_never_rests_is_refused_and_nothing_is_left(venv, monkeypatch):
    scan, count = snapshot.tree.scan, iter(range(10, 99))

    def change(folder):
        venv.kept.write_text(f"VALUE = {next(count)}\n")
        return scan(folder)

    monkeypatch.setattr(snapshot.tree, "scan", change)
    code, _, error = venv.call("backup", "one")
    assert code == 3 and "kept.py changes while it is read" in error
    assert not [one for one in venv.home.iterdir() if one.is_dir()]


def test_a_disk_without_room_is_refused_before_anything_is_written(venv, monkeypatch):
    venv.call("backup", "one")
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    for arguments in (("backup", "two"), ("restore", "one")):
        code, _, error = venv.call(*arguments)
        assert code == 3 and "too full" in error and "got 1 kB" in error
    assert sorted(one.name for one in venv.home.iterdir() if one.is_dir()) == ["one"]


def test_a_restore_is_refused_while_a_process_runs_from_the_folder(venv):
    venv.call("backup", "one")
    program = [str(venv.folder / "bin" / "python"), "-c", "print(flush=True); input()"]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        code, _, error = venv.call("restore", "one")
        child.communicate(b"\n")
    assert code == 3 and f"process {child.pid}" in error
    assert processes.running(find(venv.folder).folder) == []
    assert venv.call("restore", "one")[0] == 0


@pytest.mark.parametrize("lost", ["the folder", "its Python"])
def test_an_environment_that_is_gone_or_broken_comes_back(venv, lost):
    before = content(venv.folder)
    venv.call("backup", "one")
    # What is made anew beside others' files is nobody else's to write.
    venv.folder.parent.chmod(0o777)
    if lost == "the folder":
        shutil.rmtree(venv.folder)
    else:
        (venv.folder / "pyvenv.cfg").unlink()
        for program in (venv.folder / "bin").iterdir():
            program.unlink()
    code, _, error = venv.call("backup")
    assert code == 3 and "is no Python environment" in error
    assert "one  made" in venv.call("backups")[1] and venv.call("verify", "one")[0] == 0
    code, said, _ = venv.call("restore", "one")
    assert code == 0 and content(venv.folder) == before and value(venv) == "1"
    assert ("What it replaced is kept" in said) == (lost != "the folder")
    assert len(list(venv.home.glob("replaced_*"))) == (lost != "the folder")
    assert stat.S_IMODE(venv.folder.stat().st_mode) == 0o755


def test_an_embedded_python_goes_back_with_the_python_of_its_own_backup_wherever_it_is(tmp_path, capsys):
    folder = tmp_path / "portable" / "python_embeded"
    (folder / "Lib").mkdir(parents=True)
    (folder / "python.exe").write_bytes(b"MZ")
    (folder / "python313._pth").write_text("python313.zip\n")
    # Named by the folder of ComfyUI portable, as well.
    assert command.main(["backup", "one", "--python", str(folder.parent)]) == 0
    kept = folder.parent / "python_embeded_backups" / "one" / "files" / "python.exe"
    assert f"{kept} -B -s " in capsys.readouterr().out and kept.read_bytes() == b"MZ"
    folder.parent.rename(tmp_path / "moved")
    moved = tmp_path / "moved" / "python_embeded"
    (moved / "python.exe").write_bytes(b"broken")
    assert command.main(["restore", "one", "--python", str(moved)]) == 0
    assert (moved / "python.exe").read_bytes() == b"MZ"


def test_a_venv_is_not_restored_where_it_would_not_work(venv, tmp_path):
    venv.call("backup", "one")
    for path in (venv.folder, venv.home):
        path.rename(tmp_path / f"other{path.name.removeprefix(venv.folder.name)}")
    assert command.main(["restore", "one", "--python", str(tmp_path / "other")]) == 3


def test_backup_verify_and_restore_run_isolated(venv):
    pack = Path(command.__file__).parent
    for arguments in (["backup", "one"], ["verify", "one"], ["restore", "one"], ["backups", "--json"]):
        line = [sys.executable, "-I", "-s", "-S", "-B", str(pack), *arguments, "--python", str(venv.folder)]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), arguments


def test_a_junction_is_a_link_and_nobody_looks_into_it(tmp_path, monkeypatch):
    # Windows alone has them: this is what its os.scandir says of one.
    monkeypatch.setattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", 0xA0000003, raising=False)
    about = SimpleNamespace(st_mode=stat.S_IFDIR | 0o777, st_reparse_tag=0xA0000003)
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "target")
    entry = SimpleNamespace(path=str(tmp_path / "link"), stat=lambda follow_symlinks: about)
    found, waiting = tree.Tree(), []
    tree._add(found, "link", entry, waiting)
    assert found.links == {"link": (tree.JUNCTION, str(tmp_path / "target"))}
    assert waiting == [] and found.folders == {}


def test_progress_is_shown_to_a_person_and_not_to_a_program(venv, monkeypatch):
    assert venv.call("backup", "one")[2] == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    said = venv.call("backup", "two")[2]
    assert "Copying: " in said and "100 % of " in said and said.endswith("\n")
    assert venv.call("backup", "three", "--json")[2] == ""


def test_its_own_python_says_which_other_one_restores_it(venv, monkeypatch):
    venv.call("backup", "one")
    monkeypatch.setattr(verbs.sys, "prefix", str(venv.folder))
    code, _, error = venv.call("restore", "one")
    assert code == 3 and "cannot take its own place" in error and "restore one --python" in error


def test_a_second_call_at_the_same_time_is_refused(venv):
    with find(venv.folder).locked():
        code, _, error = venv.call("backup")
    assert code == 3 and "is running" in error


def in_a_fork(venv, arguments, hook) -> int:
    """Runs the command in a child where every touch of a file near the environment passes the hook."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    os.dup2(2, 1)
    sys.stdout = sys.stderr = io.StringIO()
    seen = [0]

    def audit(event, values):
        if event in EVENTS and any(str(venv.folder) in str(one) for one in values[:2]):
            seen[0] += 1
            hook(seen[0], event, values)

    sys.addaudithook(audit)
    os._exit(command.main([*arguments, "--python", str(venv.folder)]))


def killed_at(point):
    def hook(number, event, values):
        if number == point:
            os._exit(99)

    return hook


def full_from(point):
    def hook(number, event, values):
        writing = event in WRITES and (event != "open" or values[2] & (os.O_WRONLY | os.O_RDWR))
        if number >= point and writing:
            raise OSError(errno.ENOSPC, "No space left on device", str(values[0]))

    return hook


def exchanging(monkeypatch, how: str) -> None:
    """Folders change places as they do here, as in a C library without that call, or on a disk without it."""
    if how == "no call":
        monkeypatch.setattr(exchange, "is_there", lambda: False)
    elif how == "not on this disk":
        # To a flag that it does not know the system answers as a file system does that cannot exchange.
        monkeypatch.setattr(exchange, "_EXCHANGE", 1 << 20)


@pytest.fixture
def exchange_works(tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"of {name}").touch()
    if not exchange.exchange(str(tmp_path / "one"), str(tmp_path / "other")):
        pytest.skip("this system or file system cannot exchange two folders")
    assert [file.name for file in (tmp_path / "one").iterdir()] == ["of other"]


@pytest.mark.usefixtures("exchange_works")
def test_while_folders_change_places_there_is_an_environment_at_every_moment(venv, tmp_path):
    shutil.copytree(venv.folder, tmp_path / "next", symlinks=True)
    here, told = find(venv.folder), tmp_path / "told"
    looking = os.fork()
    if not looking:
        program, missed = str(venv.folder / "bin" / "python"), 0
        while not (tmp_path / "enough").exists():
            missed += not os.path.exists(program)
        told.write_text(str(missed))
        os._exit(0)
    with here.locked():
        prepared = str(tmp_path / "next")
        for _ in range(300):
            prepared = os.path.join(here.home, swap.swap(here, prepared))
    (tmp_path / "enough").touch()
    os.waitpid(looking, 0)
    assert told.read_text() == "0"


@pytest.mark.parametrize("how", ["no call", "not on this disk"])
def test_the_look_above_sees_the_moment_between_two_renames(venv, monkeypatch, how, tmp_path):
    exchanging(monkeypatch, how)
    shutil.copytree(venv.folder, tmp_path / "next", symlinks=True)
    here, there = find(venv.folder), []
    rename = os.rename
    monkeypatch.setattr(swap.os, "rename", lambda *both: (rename(*both), there.append(venv.folder.exists())))
    with here.locked():
        swap.swap(here, str(tmp_path / "next"))
    assert False in there and there[-1]


@pytest.mark.parametrize(
    ("verb", "how"),
    [
        ("backup", "as here"),
        ("forget", "as here"),
        ("restore", "as here"),
        ("restore", "no call"),
        ("restore", "not on this disk"),
    ],
)
def test_killed_at_every_point_the_environment_works_and_the_next_call_puts_things_right(
    venv, verb, how, monkeypatch, request
):
    if how == "as here" and verb == "restore":
        request.getfixturevalue("exchange_works")
    exchanging(monkeypatch, how)
    points, swapped = 0, False
    venv.call("backup", "old")
    arguments = [verb, "new" if verb == "backup" else "old"]
    while True:
        points += 1
        venv.kept.write_text(f"VALUE = {points + 100}\n")
        code = in_a_fork(venv, arguments, killed_at(points))
        gone = not venv.folder.exists()
        swapped |= gone
        # Only between two renames is there no environment at its place; the next call finishes it.
        if not gone:
            assert value(venv) in ("1", str(points + 100))
        assert venv.call("backups")[0] == 0
        assert value(venv) in ("1", str(points + 100))
        left = [one.name for one in venv.home.iterdir() if one.name.startswith(".")]
        assert left == [] and not (venv.home / "restore.json").exists()
        for name in ("old", "new"):
            if (venv.home / name).exists():
                assert venv.call("verify", name)[0] == 0
        if (venv.home / "new").exists():
            venv.call("forget", "new")
        for one in venv.home.glob("replaced_*"):
            venv.call("forget", one.name)
        if not (venv.home / "old").exists():
            venv.kept.write_text("VALUE = 1\n")
            venv.call("backup", "old")
        if code != 99:
            break
    assert code == 0 and points > {"backup": 18, "restore": 40, "forget": 12}[verb]
    assert swapped == (how != "as here")


@pytest.mark.parametrize("how", ["as here", "no call", "not on this disk"])
def test_killed_while_what_was_replaced_goes_back_both_are_kept(venv, how, monkeypatch, request):
    if how == "as here":
        request.getfixturevalue("exchange_works")
    exchanging(monkeypatch, how)
    venv.call("backup", "old")
    venv.kept.write_text("VALUE = 7\n")
    venv.call("restore", "old")
    point, code = 0, 99
    while code == 99:
        point += 1
        (old,) = [one.name for one in venv.home.glob("replaced_*")]
        code = in_a_fork(venv, ["restore", old], killed_at(point))
        assert venv.folder.exists() or how != "as here"
        assert venv.call("backups")[0] == 0
        (kept,) = venv.home.glob("replaced_*/lib/python*/site-packages/kept.py")
        assert {value(venv), kept.read_text()[8]} == {"1", "7"}
        assert not (venv.home / "restore.json").exists()
    assert code == 0 and point > 8


def refused_from(point):
    """What may not be written, by permissions or because another program holds it."""

    def hook(number, event, values):
        if number >= point and (event != "open" or values[2] & (os.O_WRONLY | os.O_RDWR)):
            raise PermissionError(errno.EACCES, "Permission denied", str(values[0]))

    return hook


def locked_at(point):
    """One file that another program holds for a moment, so that it can be neither read, written nor moved."""

    def hook(number, event, values):
        if number == point:
            raise PermissionError(errno.EACCES, "The process cannot access the file", str(values[0]))

    return hook


def touches(venv, arguments, tmp_path) -> int:
    """How often the command touches a file near the environment."""
    file = os.open(tmp_path / "count", os.O_RDWR | os.O_CREAT)
    assert in_a_fork(venv, arguments, lambda number, *_: os.pwrite(file, b"%6d" % number, 0)) == 0
    return int(os.pread(file, 6, 0))


@pytest.mark.parametrize("trouble", [full_from, refused_from, locked_at])
@pytest.mark.parametrize("verb", ["backup", "restore"])
def test_what_fails_at_any_point_loses_nothing(venv, verb, trouble, tmp_path):
    venv.call("backup", "old")
    before = content(venv.folder)
    arguments = ["backup", "new"] if verb == "backup" else ["restore", "old"]
    points = touches(venv, arguments, tmp_path)
    assert points > 15
    codes = set()
    for point in range(1, points + 1):
        if (venv.home / "new").exists():
            venv.call("forget", "new")
        for one in venv.home.glob("replaced_*"):
            venv.call("forget", one.name)
        venv.kept.write_text("VALUE = 7\n")
        changed = content(venv.folder)
        code = in_a_fork(venv, arguments, trouble(point))
        codes.add(code)
        # What fails can leave the journal of a swap half done; the next call settles it.
        assert venv.call("backups")[0] == 0
        now = content(venv.folder)
        assert now == changed or (verb == "restore" and now == before)
        assert code == 3 or (code == 0 and (verb == "backup" or now == before))
        assert [one.name for one in venv.home.iterdir() if one.name.startswith(".")] == []
        assert venv.call("verify", "old")[0] == 0
    assert 3 in codes
