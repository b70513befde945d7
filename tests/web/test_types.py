"""The page's modules against the types of the host's own package."""

import shutil
import subprocess
from pathlib import Path

import pytest

TYPES = Path(__file__).resolve().parents[2] / "dev" / "types"


@pytest.fixture
def check():
    """check(*arguments) runs the type checker and gives back what it complains about."""
    node, compiler = shutil.which("node"), TYPES / "node_modules" / "typescript" / "bin" / "tsc"
    if node is None or not compiler.exists():
        pytest.skip(f"no {'node' if node is None else 'node_modules; run npm install'} in dev/types")

    def run(*arguments: str) -> str:
        command = [node, str(compiler), *arguments]
        return subprocess.run(command, cwd=TYPES, capture_output=True, text=True, check=False).stdout

    return run


def test_every_module_agrees_with_the_hosts_types(check):
    assert check("-p", ".") == ""


def test_a_call_that_the_host_does_not_have_is_a_complaint(check, tmp_path):
    wrong = tmp_path / "wrong.js"
    wrong.write_text('import { app } from "../../scripts/app.js";\napp.registerExtensions({});\n')
    (tmp_path / "tsconfig.json").write_text(
        f'{{"extends": "{(TYPES / "tsconfig.json").as_posix()}", '
        f'"include": ["wrong.js", "{(TYPES / "host.d.ts").as_posix()}"]}}'
    )
    assert "registerExtensions" in check("-p", str(tmp_path))
