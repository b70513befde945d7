"""What the routes of the web side take when the report is full, inside ComfyUI's server.

    python bench/web.py [--calls 10000]

Twenty runs of so many calls in 64 classes are counted as a model does, then the answers are written as the
routes write them: the first time, and again, as a page that is open asks for them. Budget: 20 ms, because
the server answers nobody else meanwhile. Needs torch, no GPU and no ComfyUI.
"""

import argparse
import importlib
import json
import statistics
import time

from sampling_child import load_package

RUNS, CLASSES, READINGS = 20, 64, 50


def full_report(session, calls: int) -> None:
    """Counts the runs, each class with its times, its error and every kernel passed over."""
    report = importlib.import_module("sagekit.core.attention.report")
    routed = importlib.import_module("sagekit.core.attention.plan").Routed
    settings = importlib.import_module("sagekit.core.attention.settings")
    backends = importlib.import_module("sagekit.kernels.families").backends()
    call = importlib.import_module("sagekit.kernels.call").Call
    reason = importlib.import_module("sagekit.kernels.backend").Reason
    slower = (reason("slower", "less time than sdpa-cudnn (0.612 ms)", "1.31 ms"),)
    for _ in range(RUNS):
        one = report.Report(settings.Settings("auto", node_id="7"), session.runs)
        one.begin("WAN21")
        plans = [
            routed(
                name="sdpa-cudnn",
                kernel=None,
                call=call(1, 40, 40, 1024 + size, 1024 + size, 128, "bfloat16", "cuda", (9, 0), gpu="bench"),
                passed_over=tuple((name, slower) for name in backends),
                milliseconds=0.612,
                host_milliseconds=1.02,
                error=0.0023,
            )
            for size in range(CLASSES)
        ]
        for number in range(calls):
            one.count(plans[number % CLASSES])
        one.end()


def milliseconds(write) -> float:
    begin = time.perf_counter()
    write()
    return 1000 * (time.perf_counter() - begin)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=10_000)
    arguments = parser.parse_args()
    load_package()
    web_api = importlib.import_module("sagekit.app.routes")
    families = importlib.import_module("sagekit.kernels.families")
    environment = importlib.import_module("sagekit.machine").read_environment(families.sought())
    session = importlib.import_module("sagekit.core.session").of_this_process()
    session.proofs.environment = environment
    report = web_api.Report(session)
    session.runs.listeners.append(report.write)
    full_report(session, arguments.calls)
    routes = {
        "/sagekit/report": report.as_json,
        "/sagekit/status": lambda: json.dumps(web_api.for_a_page(web_api.status(session))),
    }
    print("| route | first | again, median | slowest | size |")
    print("|---|---|---|---|---|")
    for route, write in routes.items():
        first = milliseconds(write)
        later = [milliseconds(write) for _ in range(READINGS)]
        size, slowest = f"{len(write()) / 1024:.0f} KiB", max(later)
        print(f"| {route} | {first:.1f} ms | {statistics.median(later):.1f} ms | {slowest:.1f} ms | {size} |")


if __name__ == "__main__":
    main()
