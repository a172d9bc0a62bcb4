"""The results as tables in Markdown."""

from collections.abc import Iterable, Sequence
from typing import Any

from tests.benchmarks.cold_start import BARE, USUAL, WITHOUT, WITHOUT_AND_SDK
from tests.benchmarks.warm import AT_ONCE


def text(results: dict[str, Any]) -> str:
    """All parts, with the machine and the date above."""
    parts = [f"{results['date']}, {results['machine']}; medians"]
    parts += ["## Cold start to the first answer", _cold(results["cold_start"])]
    parts += ["## Warm generation with an image of 1 MB", _warm(results["warm"])]
    parts += ["## Memory", *_memory(results["memory"])]
    parts += ["## Bill of an image", *_bill(results["bill"])]
    return "\n\n".join(parts) + "\n"


def _cold(table: dict[str, Any]) -> str:
    rows = [[BARE, "", f"{table['none'][BARE]['wall_ms']:.0f}", f"{table['none'][BARE]['cpu_ms']:.0f}", "", "", ""]]
    for event, handlers in table.items():
        for name, row in handlers.items():
            if event == "none":
                continue
            ratios = [
                f"{row['wall_ms'] / handlers[other]['wall_ms']:.2f}" for other in (USUAL, WITHOUT, WITHOUT_AND_SDK)
            ]
            rows.append([event, name, f"{row['wall_ms']:.0f}", f"{row['cpu_ms']:.0f}", *ratios])
    head = ["event", "handler", "ms", "CPU ms", "to usual", "to no bytecode", "to that with own boto3"]
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
            f"{row['crowd_p50_ms']:.0f}",
            f"{row['crowd_p99_ms']:.0f}",
            f"{row['crowd_cpu_ms']:.1f}",
        ]
        for name, row in table.items()
    ]
    crowd = [f"{AT_ONCE} at once: /s", "to usual", "p50", "p99", "CPU ms"]
    return _markdown(["handler", "p50 ms", "p99", "CPU ms", "to usual", *crowd], rows)


def _memory(found: dict[str, Any]) -> Iterable[str]:
    rows = [
        [
            str(row["handler"]),
            str(row["n"]),
            str(row["megabytes"]),
            f"{row['answer']:.0f}",
            f"{row['ready']:.0f}",
            f"{row['peak']:.0f}",
            f"{70 + 2.2 * row['answer']:.0f}",
        ]
        for row in found["peaks"]
    ]
    yield _markdown(["handler", "n", "MB each", "answer MB", "ready MB", "peak MB", "70 + 2.2 x answer"], rows)
    first, half, last = found["growth"]
    count = found["growth_requests"]
    yield (
        f"The gateway held {first:.1f} MB after {count // 10} requests, {half:.1f} after {count // 2}, "
        f"{last:.1f} after {count}."
    )


def _bill(found: dict[str, Any]) -> Iterable[str]:
    measured = [[name, f"{row['wall_ms']:.1f}", f"{row['cpu_ms']:.1f}"] for name, row in found["measured"].items()]
    yield _markdown(["beside the engine's time", "ms", "CPU ms"], measured)
    prices = found["images"]
    rows = [
        [
            f"{row['engine_seconds']} s",
            row["way"],
            str(row["waiting"]),
            f"{row['billed_ms']:.0f}",
            f"{row['gigabyte_seconds']:.3f}",
            f"{row['lambda_dollars']:.6f}",
            f"{row['dollars']:.6f}",
            *(f"{row['dollars'] / price:.1%}" for price in prices.values()),
        ]
        for row in found["rows"]
    ]
    head = ["engine", "way", "jobs waiting", "ms an image", "GB-s", "Lambda $", "with requests $"]
    yield _markdown([*head, *(f"of {name} (${price:.4f})" for name, price in prices.items())], rows)


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    text = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    text.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    return "\n".join(text)
