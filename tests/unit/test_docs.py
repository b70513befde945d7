"""The documentation: what is written from the code is up to date, and what it names is there."""

import json
import re
from pathlib import Path

import pytest
from sagekit.dev import docs

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    file
    for file in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("web/docs/**/*.md")]
    if file.name != "CHANGELOG.md"  # What it tells of may be gone.
]
# Rooms of files by which a path in a text is told from any other word with a slash.
FOLDERS = {file.name for file in ROOT.iterdir() if file.is_dir() and file.name[0] != "."}


@pytest.mark.parametrize("file", docs.pages(), ids=lambda file: file.name)
def test_what_is_written_from_the_code_is_up_to_date(file):
    assert file.read_text(encoding="utf-8") == docs.pages()[file], "run: python dev.py docs"


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 90


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)#]*)(?:#[^)]*)?\)", text):
        assert (page.parent / target).exists(), target
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= anchors


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_of_the_pack_that_a_page_names_exist(page):
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"`([\w.-]+/[\w./-]*)`", text):
        if name.partition("/")[0] in FOLDERS - {"user"}:
            assert (ROOT / name).exists(), name


def test_each_promise_names_its_tests():
    text, _, tried = (
        (ROOT / "docs" / "promises.md").read_text(encoding="utf-8").partition("\n## What was tried")
    )
    assert re.search(r"`(tests/\w+/)`", tried)
    rows = re.findall(r"^\| (?!promise|---)(.+) \| (.+) \|$", text, re.M)
    assert len(rows) > 20
    for promise, tests in rows:
        assert re.search(r"`tests/\w+/test_\w+\.py`", tests), promise


def test_every_reason_of_a_call_is_explained_where_the_node_is():
    about_calls = {
        code
        for code, files in docs.codes(*docs.REASONS).items()
        if any(file.strip("`").split("/")[0] in {"core", "host", "kernels"} for file in files)
    }
    assert len(about_calls) > 20
    assert about_calls - docs.meanings().keys() == set()


@pytest.mark.parametrize("file", sorted(ROOT.glob("bench/results/*.json")), ids=lambda file: file.stem)
def test_a_measurement_says_where_it_was_taken_and_by_what(file):
    result = json.loads(file.read_text(encoding="utf-8"))
    assert all(result[name] for name in ("title", "gpu", "versions", "about", "columns", "rows"))
    assert re.fullmatch(r"20\d\d-\d\d-\d\d( and 20\d\d-\d\d-\d\d)?", result["date"])
    program = re.match(r"python (\S+)", result["command"])[1]
    assert (ROOT / program).exists()
    assert all(len(row) == len(result["columns"]) for row in result["rows"])


def test_the_checks_of_a_commit_are_those_of_the_tests():
    wanted = dict(re.findall(r"^(\S+)==(\S+)$", (ROOT / "requirements-dev.txt").read_text(), re.M))
    assert f"rev: v{wanted['ruff']}\n" in (ROOT / ".pre-commit-config.yaml").read_text()


@pytest.mark.parametrize("form", ["fault", "doctor", "measurement"])
def test_a_form_asks_for_the_report(form):
    text = (ROOT / ".github" / "ISSUE_TEMPLATE" / f"{form}.yml").read_text(encoding="utf-8")
    assert "--report" in text and "required: true" in text
