"""`make bench`: cold starts, warm requests, memory and the bill; a table on stdout, JSON and a plot beside it."""

import argparse
import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.benchmarks import bill, cold_start, memory, plot, table, warm
from tests.benchmarks.stage import Stage

GROWTH = 2_000


def main() -> None:
    """Measure and write."""
    arguments = argparse.ArgumentParser(prog="make bench")
    arguments.add_argument("--python", required=True, help="Lambda's Python")
    arguments.add_argument("--built", type=Path, required=True, help="holds `build`, `runtime` and `packages`")
    arguments.add_argument(
        "--results", type=Path, required=True, help="folder for results.json, results.md, results.png"
    )
    arguments.add_argument("--quick", action="store_true", help="fewer rounds: shows that it works, not how fast")
    options = arguments.parse_args()
    stage = Stage(options.python, options.built)
    stage.lay_out()
    with stage.servers():
        results = _run(stage, quick=options.quick)
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    text = table.text(results)
    (options.results / "results.md").write_text(text)
    plot.save(results, options.results / "results.png")
    print(text)
    print(f"Also in {options.results}: results.json, results.md, results.png")


def _run(stage: Stage, *, quick: bool) -> dict[str, Any]:
    growing = GROWTH // 20 if quick else GROWTH
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": f"{_processor()}, {os.cpu_count()} cores, {platform.system()}, Python {stage.version}",
        "quick": quick,
        "cold_start": cold_start.run(stage, 0 if quick else 15),
        "warm": warm.run(stage, 20 if quick else 60, 1 if quick else 5),
        "memory": {
            "peaks": memory.peaks(stage, (1, 10) if quick else (1, 4, 10), (1,) if quick else (1, 4, 16)),
            "growth": memory.growth(stage, growing),
            "growth_requests": growing,
        },
        "bill": bill.run(stage, 5 if quick else 50),
        "stored": stage.stored(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


main()
