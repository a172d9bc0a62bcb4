"""`make bench`: measure cold starts, warm requests, memory and costs; print tables, and save them, JSON and a chart."""

import argparse
import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.benchmarks import cold_start, costs, memory, plot, table, warm
from tests.benchmarks.environment import BenchmarkEnvironment

GROWTH_REQUESTS = 2_000


def main() -> None:
    """Measure, and write the results."""
    arguments = argparse.ArgumentParser(prog="make bench")
    arguments.add_argument("--python", required=True, help="Lambda's Python")
    arguments.add_argument(
        "--built", type=Path, required=True, help="folder that contains `build`, `runtime` and `packages`"
    )
    arguments.add_argument(
        "--results", type=Path, required=True, help="folder for results.json, results.md, results.png"
    )
    arguments.add_argument("--quick", action="store_true", help="fewer rounds: shows that it works, not how fast")
    options = arguments.parse_args()
    environment = BenchmarkEnvironment(options.python, options.built)
    environment.prepare_folders()
    with environment.servers():
        results = _run(environment, quick=options.quick)
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    text = table.text(results)
    (options.results / "results.md").write_text(text)
    plot.save(results, options.results / "results.png")
    print(text)
    print(f"Also in {options.results}: results.json, results.md, results.png")


def _run(environment: BenchmarkEnvironment, *, quick: bool) -> dict[str, Any]:
    growth_requests = GROWTH_REQUESTS // 50 if quick else GROWTH_REQUESTS
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "computer": f"{_cpu_model()}, {os.cpu_count()} cores, {platform.system()}, Python {environment.version}",
        "quick": quick,
        "cold_start": cold_start.run(environment, 0 if quick else 15),
        "warm": warm.run(environment, 20 if quick else 60, 1 if quick else 5),
        "memory": {
            "peaks": memory.peaks(environment, (1, 10) if quick else (1, 4, 10), (1,) if quick else (1, 4, 16)),
            "growth": memory.growth(environment, growth_requests),
            "growth_requests": growth_requests,
        },
        "costs": costs.run(environment, 5 if quick else 50),
        "stored": environment.stored(),
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


main()
