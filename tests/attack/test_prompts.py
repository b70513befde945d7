"""Prompts by the hundred, with any settings, to a real server on both hosts: each ends, and nothing grows."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import base_directory, host, server, tiny_models, workflows
from support.server import Server

KERNELS = (
    "auto",
    "off",
    "sage2-int8-fp8",
    "sdpa-cudnn",
    "xformers",
    "of-a-later-version",
    "",
    None,
    7,
    ["a"],
)
# MiB that a server may take more at the end than after the first tenth of a long run: what its own caches of
# prompts and history take (5 to 30 without any node of ours).
GROWTH = 60


@pytest.fixture(scope="module", params=["newest", "oldest"])
def running(request, tmp_path_factory) -> Iterator[Server]:
    """A server without kernels and without launch flags."""
    oldest = request.param == "oldest"
    if reason := host.reason_to_skip(oldest):
        pytest.skip(reason)
    folder = (host.find_oldest() if oldest else host.find()).folder
    base = base_directory.prepare(tmp_path_factory.mktemp("base"))
    tiny_models.write(base / "models")
    with server.running(folder, base, environment={"SAGEKIT_STARTUP": "report"}) as one:
        yield one


def patches(chance) -> list[dict]:
    """One to three nodes of ours with any settings, most of them such as a user picks."""
    made = []
    for _ in range(chance.randrange(1, 4)):
        kind = chance.choice(("PatchSageAttention", "PatchSageAttention", "PatchFP16Accumulation"))
        inputs: dict[str, object] = {}
        if kind == "PatchSageAttention":
            values = {
                "kernel": KERNELS,
                "quality": ("exact", "balanced", "fast", "best", 0, None),
                "start_percent": (0.0, 0.3, 1.0, -5, 1e9, "0.2"),
                "end_percent": (1.0, 0.5, 0.0, "1", 2**70),
                "exact_first_blocks": (0, 1, 99, -1, "2"),
                "exact_last_blocks": (0, 1, 10**12),
                "of_a_later_version": (1, {"a": []}, "x" * 3000),
            }
            inputs = {name: chance.choice(some) for name, some in values.items() if chance.random() < 0.4}
        elif chance.random() < 0.7:
            inputs["enabled"] = chance.choice((True, False, "yes", 0, None))
        made.append({"class_type": kind, "inputs": inputs})
    return made


def resident(process_id: int) -> float:
    """MiB of memory of a process; 0.0 where the system does not tell."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process_id}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    return 0.0


def test_every_prompt_ends_the_answers_stay_json_and_nothing_grows(running, attack):
    chance, first = attack.random, 0.0
    count = attack.times(12, 1000)
    for number in range(count):
        workflow = workflows.sampling("wan", *patches(chance), seed=number, steps=1)
        identity = chance.choice([None, "one", "two", 3, {"a": 1}, float("inf")])
        try:
            running.run(workflow, identity)
        except server.ServerError as error:
            # What the host itself refuses by its schema is refused before anything of ours runs.
            assert "the workflow was refused: 400" in str(error), f"prompt {number}: {error}"
            attack.tried("prompts refused by ComfyUI itself")
        else:
            attack.tried("prompts")
        if number % 10 == 0:
            for route in ("report", "status"):
                json.loads(running.text(f"/sagekit/{route}"), parse_constant=pytest.fail)
        if number == count // 10:
            first = resident(running.process.pid)
    grown = resident(running.process.pid) - first
    assert "Traceback" not in "\n".join(running.lines_of_the_pack())
    assert count < 1000 or grown < GROWTH, f"{grown:.0f} MiB more after {count} prompts"
