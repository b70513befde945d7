"""Time sampling steps of real architectures under several attention choices, side by side in one run.

    python bench/sampling.py --comfyui DIR --models wan,flux,sdxl --choices plain,auto,kitchen-int8 \\
        [--kjnodes DIR] [--steps 4] [--rounds 3] [--json FILE] [--device cpu --tiny]

A choice is `plain` (the host as it is), `core:NAME` (the host's own attention node, such as
`core:comfy kitchen attention`), `kj:MODE` (KJNodes' Sage node) or a value of our node's input `kernel`.
`ours:`, `core:` and `kj:` also take `compile` (their node for torch.compile), and `ours:` and `kj:` take
`fp16` (FP16 accumulation), alone or joined by plus signs: `ours:auto+compile+fp16`, `core:compile`,
`kj:compile+auto`. Whatever compiles starts from empty caches; "first image" is the warm-up step and the
other steps of one image at the step time.
"step ms" is the median time of one sampling step after the first, the device synchronised before each
reading, as where ComfyUI shows previews. "flowing ms" is the time of a step where nothing waits for the
device until the last one is done. Plain runs first and last: the distance between the two is the spread to
judge a ratio by. Where steps are short and a machine's pace changes from minute to minute (SDXL), `--rounds`
takes plain and the choices in turn several times over, and a second table has the medians of all readings.
The error is norm(out - plain) / norm(plain) of the final latent, same seed and noise.

Each model has a child process of its own. A kernel that kills it costs one row: a new child goes on with
the next choice.
"""

import argparse
import json
import os
import queue
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sampling_child import MARK, check_kernels, is_ours, parts_of, run_child


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--comfyui", type=Path, default=os.environ.get("COMFYUI_DIR"), help="the host's folder"
    )
    parser.add_argument("--kjnodes", type=Path, default=os.environ.get("KJNODES_DIR"), help="for kj: choices")
    parser.add_argument("--models", default="wan,flux,sdxl")
    parser.add_argument("--choices", default="plain,auto")
    parser.add_argument(
        "--quality", default="balanced", help="our node's quality, for every choice that is ours"
    )
    parser.add_argument(
        "--steps", type=int, default=4, help="steps of one sampling, the first one not counted"
    )
    parser.add_argument(
        "--image-steps", type=int, default=20, help='steps of the image in the column "first image"'
    )
    parser.add_argument(
        "--cfg", type=float, help="instead of each model's own; 1: one item, errors as they are"
    )
    parser.add_argument("--repeats", type=int, default=2, help="timed samplings of each choice")
    parser.add_argument("--rounds", type=int, default=1, help="how often plain and the choices take turns")
    parser.add_argument(
        "--limit", type=float, default=180, help="seconds after which a choice counts as hung"
    )
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument(
        "--tiny", action="store_true", help="small variants, to try the program without a GPU"
    )
    parser.add_argument("--json", type=Path, help="write every number here")
    parser.add_argument("--verdicts", type=Path, help="the kernel check's file, where there is one already")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--turns", help=argparse.SUPPRESS)
    parser.add_argument("--reference", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.comfyui is None:
        parser.error("--comfyui is needed: the folder that holds ComfyUI's main.py")
    if arguments.steps < 2:
        parser.error("--steps needs at least 2: the first step is not counted")
    return arguments


def choices_of(arguments: argparse.Namespace) -> list[str]:
    """The choices in the order they run: plain at both ends, and between two rounds."""
    named = [choice.strip() for choice in arguments.choices.split(",") if choice.strip()]
    one_round = ["plain", *(choice for choice in named if choice != "plain")]
    return [*(one_round * arguments.rounds), "plain"]


def events(child: subprocess.Popen[str], limit: float) -> Iterator[dict[str, Any]]:
    """The child's lines as they come; kills it and says so when none came for the limit's seconds."""
    lines: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        for line in child.stdout:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    while True:
        try:
            line = lines.get(timeout=limit)
        except queue.Empty:
            child.kill()
            yield {"kind": "hung"}
            return
        if line is None:
            return
        if line.startswith(MARK):
            yield json.loads(line.removeprefix(MARK))
        else:
            print(line, end="", file=sys.stderr)


def ending(code: int, hung: bool, limit: float) -> str:
    if hung:
        return f"hung for {limit:.0f} s, killed"
    if code < 0:
        return f"killed the process: {signal.Signals(-code).name}"
    return f"ended the process with code {code}"


def run_turns(
    name: str, turns: list[int], reference: Path, arguments: argparse.Namespace, result: dict
) -> list[int]:
    """Run one child over the turns, file its rows in the result, and return the turns still to be run."""
    own = ["--child", name, "--turns", ",".join(map(str, turns)), "--reference", str(reference)]
    command = [sys.executable, __file__, *sys.argv[1:], *own]
    current, hung = None, False
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, encoding="utf-8", errors="replace"
    ) as child:
        for event in events(child, arguments.limit):
            kind = event.pop("kind")
            if kind == "environment":
                result.update(event)
            elif kind == "start":
                current = event["turn"]
            elif kind == "row":
                file_row(name, event, arguments, result)
            elif kind == "hung":
                hung = True
    left = [turn for turn in turns if turn not in result["rows"]]
    # No turn begun means that the model could not be built: no other choice will fare better.
    lost = left if current is None else [turn for turn in left if turn == current]
    for turn in lost:
        failure = ending(child.returncode, hung, arguments.limit)
        file_row(name, {"turn": turn, "failure": failure}, arguments, result)
    return [turn for turn in left if turn not in lost]


def file_row(name: str, row: dict[str, Any], arguments: argparse.Namespace, result: dict) -> None:
    choice = choices_of(arguments)[row["turn"]]
    result["rows"][row.pop("turn")] = {"choice": choice, **row}
    outcome = row.get("failure") or f"{row['step_ms']:.1f} ms"
    print(f"{name}: {choice}: {outcome}", file=sys.stderr, flush=True)


def run_model(name: str, folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """All choices of one model, in as many children as it takes. Speed is plain's time over the choice's."""
    result: dict[str, Any] = {"model": name, "about": name, "environment": {}, "rows": {}}
    turns = list(range(len(choices_of(arguments))))
    while turns:
        turns = run_turns(name, turns, folder / f"{name}.pt", arguments, result)
    rows = [result["rows"][turn] for turn in sorted(result["rows"])]
    plain = [reading for row in rows if row["choice"] == "plain" for reading in row.get("steps_ms", ())]
    for row in rows:
        if "step_ms" in row:
            row["image_ms"] = row["first_ms"] + (arguments.image_steps - 1) * row["step_ms"]
        row["speed"] = statistics.median(plain) / row["step_ms"] if plain and "step_ms" in row else None
    return result | {"rows": rows}


def table(result: dict[str, Any]) -> str:
    """One model's rows as a Markdown table."""
    lines = [
        f"\n{result['about']}\n",
        "| choice | step ms | min - max | speed over plain | flowing ms | error | finite | peak GiB "
        "| warm-up s | first image s | calls |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        if "failure" in row:
            lines.append(f"| {row['choice']} | {row['failure'].replace('|', '/')} |" + " |" * 9)
            continue
        speed = "-" if row["speed"] is None else f"{row['speed']:.3f}"
        error = "-" if row.get("error") is None else f"{row['error']:.2e}"
        finite = {True: "yes", False: "NO", None: "-"}[row.get("finite")]
        peak = "-" if row["peak"] is None else f"{row['peak'] / 2**30:.2f}"
        calls = ", ".join(f"{kernel} {count}" for kernel, count in (row["calls"] or {}).items()) or "-"
        low, high = min(row["steps_ms"]), max(row["steps_ms"])
        times = f"{row['step_ms']:.1f} | {low:.1f} - {high:.1f} | {speed} | {row['flowing_ms']:.1f}"
        rest = f"{peak} | {row['first_ms'] / 1000:.2f} | {row['image_ms'] / 1000:.1f} | {calls}"
        lines.append(f"| {row['choice']} | {times} | {error} | {finite} | {rest} |")
    return "\n".join(lines)


def table_of_rounds(result: dict[str, Any]) -> str:
    """The medians of all readings of each choice, over those of plain's, as a Markdown table."""
    lines = [
        "\n| choice | readings | step ms | middle half | of plain | flowing ms | min - max | of plain |",
        "|---|---|---|---|---|---|---|---|",
    ]
    measured = [row for row in result["rows"] if "step_ms" in row]
    plain = None
    for choice in dict.fromkeys(row["choice"] for row in measured):
        rows = [row for row in measured if row["choice"] == choice]
        steps = [reading for row in rows for reading in row["steps_ms"]]
        flowing = [row["flowing_ms"] for row in rows]
        medians = statistics.median(steps), statistics.median(flowing)
        plain = plain or medians
        shares = [f"{own / other:.3f}" for own, other in zip(medians, plain, strict=True)]
        low, _, high = statistics.quantiles(steps, n=4)
        step = f"{medians[0]:.1f} | {low:.1f} - {high:.1f} | {shares[0]}"
        flow = f"{medians[1]:.1f} | {min(flowing):.1f} - {max(flowing):.1f} | {shares[1]}"
        lines.append(f"| {choice} | {len(steps)} | {step} | {flow} |")
    return "\n".join(lines)


def prove(folder: Path, arguments: argparse.Namespace) -> None:
    """The kernel check, once for all children: our node runs no kernel that has not passed it here."""
    choices = (choice.removeprefix("ours:") for choice in choices_of(arguments) if is_ours(choice))
    ours = [choice for choice in choices if parts_of(choice)[0]]
    if arguments.device == "cuda" and ours:
        print(check_kernels(folder, arguments.verdicts), file=sys.stderr)


def heading(facts: dict[str, Any]) -> str:
    """The machine and the versions, in two lines."""
    packages = ", ".join(f"{name} {version}" for name, version in facts["packages"].items())
    gpu = f" (capability {facts['capability']}), CUDA {facts['cuda']}" if facts["capability"] else ""
    return (
        f"{facts['date']}: {facts['device']}{gpu}, torch {facts['torch']}, Python {facts['python']}, "
        f"ComfyUI {facts['comfyui']}\n{packages}"
    )


def main() -> None:
    arguments = parse_arguments()
    if arguments.child:
        run_child(arguments, choices_of(arguments))
        return
    results = []
    with tempfile.TemporaryDirectory() as folder:
        prove(Path(folder), arguments)
        for name in arguments.models.split(","):
            result = run_model(name, Path(folder), arguments)
            if result["environment"] and not any(one["environment"] for one in results):
                print(heading(result["environment"]))
                print(
                    f"median of {arguments.repeats} samplings of {arguments.steps} steps, "
                    "the first step of each left out"
                )
            results.append(result)
            print(table(result), flush=True)
            if arguments.rounds > 1:
                print(table_of_rounds(result), flush=True)
    if arguments.json:
        facts = {"command": sys.argv[1:], "results": results}
        arguments.json.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
