"""State has an owner: no module of the pack keeps what a run changes; the session and its parts do."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("app", "backup", "check", "core", "doctor", "host", "kernels", "kernels_check", "machine", "nodes")
FILES = [file for room in (*ROOMS, "knowledge") for file in sorted((ROOT / room).rglob("*.py"))]
FILES += [ROOT / "__init__.py", ROOT / "prestartup_script.py"]

# What makes something that is there to be changed.
STATEFUL = {
    *(
        "set",
        "list",
        "dict",
        "deque",
        "Counter",
        "defaultdict",
        "OrderedDict",
        "count",
        "local",
        "Lock",
        "RLock",
    ),
    *(
        "Event",
        "Queue",
        "WeakKeyDictionary",
        "WeakValueDictionary",
        "WeakSet",
        "Switch",
        "Session",
        "Compilations",
        "Caches",
        "Messages",
        "Proofs",
        "Times",
        "Runs",
    ),
}
CHANGES = {
    *("add", "append", "appendleft", "clear", "discard", "extend", "insert", "pop", "popitem", "popleft"),
    *("remove", "setdefault", "update"),
}
# Why a module keeps it all the same.
ALLOWED = {
    (
        "core/attention/graph.py",
        "_running",
    ): "torch keeps one operator for the process, which asks this thread's",
}


def state_of(source: str) -> set[str]:
    """Names that a module binds to what can be changed, and that anything in it may change."""
    tree = ast.parse(source)
    bound, made = set(), set()
    for node in tree.body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = {target.id for target in targets if isinstance(target, ast.Name)}
            bound |= names
            if (
                isinstance(node.value, ast.Call)
                and _name(node.value.func) in STATEFUL
                and not _filled(node.value)
            ):
                made |= names
    changed = set()
    for function in ast.walk(tree):
        if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        own = _own_names(function)
        for node in ast.walk(function):
            if isinstance(node, ast.Global):
                changed |= set(node.names)
            changed |= {name for name in _changed_by(node) if name in bound and name not in own}
    return made | changed


def _filled(call: ast.Call) -> bool:
    """A table that is there from the start, as ``dict(one=1)``: no state unless something changes it."""
    return bool(call.args or call.keywords) and _name(call.func) in {"set", "list", "dict", "Counter"}


def _changed_by(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGES:
        return _root(node.func.value)
    targets: list[ast.expr] = []
    if isinstance(node, (ast.Assign, ast.Delete)):
        targets = list(node.targets)
    elif isinstance(node, ast.AugAssign):
        targets = [node.target]
    parts = [one for one in targets if isinstance(one, (ast.Subscript, ast.Attribute))]
    return {name for one in parts for name in _root(one.value)}


def _root(node: ast.expr) -> set[str]:
    return {node.id} if isinstance(node, ast.Name) else set()


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _own_names(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> set[str]:
    """What a function calls by a name of its own, those of the functions in it included."""
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    names = {one.arg for one in [*every, arguments.vararg, arguments.kwarg] if one}
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        if isinstance(node, ast.arg):
            names.add(node.arg)
    return names


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_module_keeps_what_a_run_changes(file):
    name = file.relative_to(ROOT).as_posix()
    found = {one for one in state_of(file.read_text(encoding="utf-8")) if (name, one) not in ALLOWED}
    assert not found, f"{name} keeps {', '.join(sorted(found))}: give it an owner, as core/session.py does"


def test_what_is_allowed_is_there():
    for (name, one), why in ALLOWED.items():
        assert why and one in state_of((ROOT / name).read_text(encoding="utf-8")), (name, one)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("said = set()\n", {"said"}),
        ("runs: deque = deque(maxlen=3)\n", {"runs"}),
        ("KNOWN = {}\ndef put(x):\n    KNOWN[x] = 1\n", {"KNOWN"}),
        ("KNOWN = []\ndef put(x):\n    KNOWN.append(x)\n", {"KNOWN"}),
        ("now = 1\ndef put():\n    global now\n    now = 2\n", {"now"}),
        ("here = threading.local()\n", {"here"}),
        ("ONE = Thing()\ndef put(x):\n    ONE.x = x\n", {"ONE"}),
        ("TABLE = {1: 2}\ndef look(x):\n    return TABLE[x]\n", set()),
        ("TABLE = dict(a=1)\ndef look(x):\n    return TABLE[x]\n", set()),
        ("TABLE = {}\ndef look(TABLE):\n    TABLE[1] = 2\n", set()),
        ("import os\ndef put():\n    os.environ.pop('x')\n", set()),
    ],
)
def test_the_look_itself(source, found):
    assert state_of(source) == found
