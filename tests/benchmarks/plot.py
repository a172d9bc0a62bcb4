"""A chart of the results."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from tests.benchmarks.cold_start import BARE, GATEWAY, USUAL, WITHOUT_BYTECODE, WITHOUT_BYTECODE_OWN_BOTO3
from tests.benchmarks.warm import CONCURRENCY, DIRECT

_COLORS = {
    GATEWAY: "#0b6e4f",
    USUAL: "#b0562a",
    WITHOUT_BYTECODE: "#cf8d62",
    WITHOUT_BYTECODE_OWN_BOTO3: "#e6bfa2",
    DIRECT: "#8a8f98",
}


def save(results: dict[str, Any], path: Path) -> None:
    """Draw cold starts, CPU time of a warm request, images per second, and peak memory."""
    mpl.use("agg")
    plt.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    figure, axes = plt.subplots(2, 2, figsize=(10, 6.4), constrained_layout=True)
    _cold(axes[0][0], results["cold_start"])
    warm = results["warm"]
    _bars(axes[0][1], {name: row["cpu_ms"] for name, row in warm.items()}, "CPU time of a warm generation, 1 MB (ms)")
    throughput = {name: row["per_second"] for name, row in warm.items()}
    _bars(axes[1][0], throughput, f"Images per second, {CONCURRENCY} concurrent requests")
    _memory(axes[1][1], results["memory"]["peaks"])
    figure.suptitle(f"image-gateway, {results['date']}: {results['computer']}", fontsize=9, color="#444444")
    figure.savefig(path, dpi=144)
    plt.close(figure)


def _cold(axes: Axes, table: dict[str, Any]) -> None:
    names = [GATEWAY, USUAL, WITHOUT_BYTECODE, WITHOUT_BYTECODE_OWN_BOTO3]
    events = [event for event in table if event != "none"]
    for position, name in enumerate(names):
        measured = {number: table[event][name] for number, event in enumerate(events) if name in table[event]}
        x = [number + (position - 1.5) * 0.2 for number in measured]
        bars = axes.bar(x, [row["wall_ms"] for row in measured.values()], 0.19, color=_COLORS[name], label=name)
        axes.bar_label(bars, fmt="%.0f", fontsize=6.5, padding=1)
    axes.axhline(table["none"][BARE]["wall_ms"], color="#444444", linewidth=0.8, linestyle=":", label="bare handler")
    axes.set_xticks(range(len(events)), events)
    axes.set_title("Cold start to the first response (ms)", fontsize=9, loc="left")
    # Leaves space for the legend above the bars.
    axes.set_ylim(0, 1.35 * max(row["wall_ms"] for event in events for row in table[event].values()))
    axes.legend(fontsize=7, frameon=False, ncols=2, loc="upper left")


def _bars(axes: Axes, values: dict[str, float], title: str) -> None:
    bars = axes.barh([*values], [*values.values()], color=[_COLORS[name] for name in values])
    axes.bar_label(bars, fmt="%.1f", fontsize=8, padding=2)
    axes.invert_yaxis()
    axes.set_title(title, fontsize=9, loc="left")


def _memory(axes: Axes, rows: list[dict[str, Any]]) -> None:
    for name in (GATEWAY, USUAL):
        points = sorted((row["response"], row["peak"]) for row in rows if row["handler"] == name)
        axes.plot([x for x, _ in points], [y for _, y in points], "o-", color=_COLORS[name], label=name, markersize=4)
    largest = max(row["response"] for row in rows)
    line = {"color": "#444444", "linewidth": 0.8, "label": "70 MB + 2.2 x response"}
    axes.plot([0, largest], [70, 70 + 2.2 * largest], ":", **line)
    axes.set_xlabel("size of the engine's response (MB)")
    axes.set_title("Peak memory of one request (MB)", fontsize=9, loc="left")
    axes.legend(fontsize=7, frameon=False)
