"""Logs as the doctor may be given them: cut, mixed, damaged; each is answered in time and as JSON."""

import json
import time
from pathlib import Path

from support.doctor_cases import FOLDER

# Seconds for one log of at most 200 kB on a busy machine; a pattern worse than linear takes minutes.
LIMIT = 20.0


def logs() -> list[bytes]:
    return [file.read_bytes() for file in sorted(Path(FOLDER).rglob("input.txt"))]


def mangled(chance, texts: list[bytes]) -> bytes:
    """One of the logs, or two, treated as a clipboard, a mail or a disk would."""
    text = chance.choice(texts)
    for _ in range(chance.randrange(1, 4)):
        way = chance.randrange(9)
        at = chance.randrange(len(text) + 1)
        if way == 0:
            text = text[:at]
        elif way == 1:
            text = text[at:]
        elif way == 2:
            other = chance.choice(texts)
            text = text[:at] + other[chance.randrange(len(other) + 1) :]
        elif way == 3:
            text = text.replace(b"\n", chance.choice((b"\r\n", b"\n> ", b"\r", b" ", b"\n\n")))
        elif way == 4:
            text = b"".join(text[one : one + 60] + b"\n" for one in range(0, len(text), 60))
        elif way == 5:
            text = text.decode("utf-8", "replace").encode(
                chance.choice(("utf-16", "utf-8-sig", "cp1252")), "ignore"
            )
        elif way == 6:
            damage = bytes(chance.randrange(256) for _ in range(40))
            text = text[:at] + damage + text[at:]
        elif way == 7:
            lines = text.splitlines(keepends=True)
            chance.shuffle(lines)
            text = b"".join(lines)
        else:
            text = text[at : at + 200] * chance.randrange(1, 300)
    return text[:200_000]


def test_every_log_is_answered_in_time_and_as_json(attack):
    from sagekit.doctor import values
    from sagekit.doctor.paste.paste import decode
    from sagekit.kernels.families import sought
    from sagekit.machine import read_environment
    from sagekit.machine.layout import Layout

    texts, chance = logs(), attack.random
    here, environment = (
        Layout(Path("/nowhere"), Path("/nowhere")),
        read_environment(sought(), Path("/nowhere"), ()),
    )
    for number in range(attack.times(25, 2500)):
        given = mangled(chance, texts)
        begun = time.monotonic()
        answers = values.explain_data(decode(given), environment, here, {}, private=True)
        taken = time.monotonic() - begun
        attack.tried("logs")
        assert taken < LIMIT, f"log {number} with seed {attack.seed}: {taken:.0f} s for {len(given):,} bytes"
        told = json.loads(json.dumps(answers, allow_nan=False))
        assert all(one["cause"] and "\x1b" not in json.dumps(one) for one in told), f"log {number}"
