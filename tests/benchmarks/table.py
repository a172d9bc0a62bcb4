"""The results as tables in Markdown."""

from collections.abc import Iterable, Sequence
from typing import Any

from tests.benchmarks.cold_start import BARE, USUAL, WITHOUT_BYTECODE, WITHOUT_BYTECODE_OWN_BOTO3
from tests.benchmarks.warm import CONCURRENCY


def text(results: dict[str, Any]) -> str:
    """Return all tables, after a line with the date and the computer."""
    parts = [f"{results['date']}, {results['computer']}; medians"]
    parts += ["## Cold start to the first response", _cold(results["cold_start"])]
    parts += ["## Warm generation with an image of 1 MB", _warm(results["warm"])]
    parts += ["## Memory", *_memory(results["memory"])]
    parts += ["## Costs of an image", *_costs(results["costs"])]
    return "\n\n".join(parts) + "\n"


def _cold(table: dict[str, Any]) -> str:
    rows = [[BARE, "", f"{table['none'][BARE]['wall_ms']:.0f}", f"{table['none'][BARE]['cpu_ms']:.0f}", "", "", ""]]
    for event, handlers in table.items():
        for name, row in handlers.items():
            if event == "none":
                continue
            ratios = [
                f"{row['wall_ms'] / handlers[other]['wall_ms']:.2f}" if other in handlers else ""
                for other in (USUAL, WITHOUT_BYTECODE, WITHOUT_BYTECODE_OWN_BOTO3)
            ]
            rows.append([event, name, f"{row['wall_ms']:.0f}", f"{row['cpu_ms']:.0f}", *ratios])
    head = ["event", "handler", "ms", "CPU ms", "/ usual", "/ no bytecode", "/ no bytecode, own boto3"]
    return _markdown(head, rows)


def _warm(table: dict[str, Any]) -> str:
    usual = table[USUAL]
    rows = [
        [
            name,
            f"{row['p50_ms']:.1f}",
            f"{row['p99_ms']:.1f}",
            f"{row['cpu_ms']:.1f}",
            f"{row['cpu_ms'] / usual['cpu_ms']:.2f}",
            f"{row['per_second']:.1f}",
            f"{row['per_second'] / usual['per_second']:.2f}",
            f"{row['concurrent_p50_ms']:.0f}",
            f"{row['concurrent_p99_ms']:.0f}",
            f"{row['concurrent_cpu_ms']:.1f}",
        ]
        for name, row in table.items()
    ]
    concurrent = [f"{CONCURRENCY} concurrent: per second", "/ usual", "p50", "p99", "CPU ms"]
    return _markdown(["handler", "p50 ms", "p99", "CPU ms", "/ usual", *concurrent], rows)


def _memory(results: dict[str, Any]) -> Iterable[str]:
    rows = [
        [
            str(row["handler"]),
            str(row["n"]),
            str(row["megabytes"]),
            f"{row['response']:.0f}",
            f"{row['ready']:.0f}",
            f"{row['peak']:.0f}",
            f"{70 + 2.2 * row['response']:.0f}",
        ]
        for row in results["peaks"]
    ]
    head = ["handler", "images", "MB per image", "response MB", "ready MB", "peak MB", "70 + 2.2 x response"]
    yield _markdown(head, rows)
    tenth, half, all_requests = results["growth"]
    count = results["growth_requests"]
    yield (
        f"The gateway's memory was {tenth:.1f} MB after {count // 10} requests, {half:.1f} after {count // 2}, "
        f"{all_requests:.1f} after {count}."
    )


def _costs(results: dict[str, Any]) -> Iterable[str]:
    measured = [[name, f"{row['wall_ms']:.1f}", f"{row['cpu_ms']:.1f}"] for name, row in results["measured"].items()]
    yield _markdown(["in addition to the engine's time", "ms", "CPU ms"], measured)
    prices = results["images"]
    rows = [
        [
            f"{row['engine_seconds']} s",
            row["mode"],
            str(row["waiting"]),
            f"{row['billed_ms']:.0f}",
            f"{row['gigabyte_seconds']:.3f}",
            f"{row['lambda_dollars']:.6f}",
            f"{row['dollars']:.6f}",
            *(f"{row['dollars'] / price:.1%}" for price in prices.values()),
        ]
        for row in results["rows"]
    ]
    head = ["engine", "mode", "jobs waiting", "ms per image", "GB-s", "Lambda $", "with requests $"]
    yield _markdown([*head, *(f"part of {name} (${price:.4f})" for name, price in prices.items())], rows)


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    text = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    text.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    return "\n".join(text)
