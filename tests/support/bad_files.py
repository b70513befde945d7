"""What may lie under the name of a JSON file of ours: none of it may stop, end or slow a reader."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

_DEEP = 100_000


def texts() -> dict[str, str]:
    """What is no JSON, or JSON that is nobody's."""
    nested = {"deep lists": "[" * _DEEP + "]" * _DEEP, "deep objects": '{"a":' * _DEEP + "1" + "}" * _DEEP}
    return nested | {
        "nothing": "",
        "half a list": "[" * _DEEP,
        "half a file": '{"format": 1, "fingerprint": "x", "versions": {"to',
        "a text": '"verdicts"',
        "a number": "3",
        "null": "null",
        "a list": "[]",
        "NaN": '{"format": NaN, "fingerprint": 1}',
        "a long number": '{"format": ' + "9" * 400 + "}",
        "a number without an end": '{"format": 1e999}',
        "escapes": '{"' + '\\"' * _DEEP + '": ' + "[" * _DEEP,
        "bytes": "\udcff\udcfe{",
        "zeros": "\0" * 4096,
    }


def with_values(whole: dict) -> Iterator[tuple[str, str]]:
    """Whole files with one value at a time that cannot be there."""
    wrong = (None, True, -1, 10**30, 1e300, "", "x" * 20_000, [], {}, [[]], {"a": {"b": {"c": 1}}})
    for path in _paths(whole):
        for value in wrong:
            yield f"{'.'.join(path)} = {value!r:.20}", json.dumps(_changed(whole, path, value))
        yield f"without {'.'.join(path)}", json.dumps(_changed(whole, path, _changed))


def _paths(data: object, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(data, dict):
        for name, value in data.items():
            yield (*above, name)
            yield from _paths(value, (*above, name))


def _changed(data: dict, path: tuple[str, ...], value: object) -> dict:
    name, *rest = path
    if rest:
        return data | {name: _changed(data[name], tuple(rest), value)}
    if value is _changed:
        return {key: one for key, one in data.items() if key != name}
    return data | {name: value}


def makers() -> dict[str, Callable[[Path], None]]:
    """What is no file, by name; each makes it where nothing is."""
    found: dict[str, Callable[[Path], None]] = {
        "a folder": Path.mkdir,
        "a large file": lambda file: file.write_bytes(b" " * (9 << 20)),
        "a file with a hole": _with_a_hole,
    }
    if sys.platform != "win32":
        found |= {
            "a pipe": os.mkfifo,
            "a device without an end": lambda file: file.symlink_to("/dev/zero"),
            "a device that waits": lambda file: file.symlink_to("/dev/tty"),
            "a link to itself": lambda file: file.symlink_to(file),
        }
    return found


def _with_a_hole(file: Path) -> None:
    with open(file, "wb") as stream:
        stream.truncate(1 << 40)


def write(file: Path, text: str) -> None:
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
