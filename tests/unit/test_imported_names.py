"""What needs a GPU, or is run by hand, is not run with every change: at least what it imports is there."""

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RARELY_RUN = sorted([*(ROOT / "tests" / "gpu").glob("*.py"), *(ROOT / "bench").glob("*.py")])


@pytest.mark.parametrize("file", RARELY_RUN, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_every_name_of_the_pack_that_it_imports_is_there(file):
    pytest.importorskip("torch", reason="torch is not installed")
    missing = [
        f"{node.module}.{one.name}"
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "sagekit"
        for one in node.names
        if not _is_there(node.module, one.name)
    ]
    assert not missing


def _is_there(module: str, name: str) -> bool:
    try:
        if hasattr(importlib.import_module(module), name):
            return True
        importlib.import_module(f"{module}.{name}")
    except ModuleNotFoundError as error:
        # A package that is not installed here is no fault of the name.
        return not (error.name or "").startswith("sagekit")
    return True
