"""Draw the report. Usage: python plot.py REPORT.json PICTURE, with an interpreter that has matplotlib.

Runs by itself in the benchmark's own virtual environment, so it imports nothing of the rest.
"""

# mypy: disable-error-code="import-not-found,import-untyped,no-any-return"
from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg" if sys.argv[2].endswith(".svg") else "agg")
import matplotlib.pyplot as plt
from matplotlib.patches import Patch

OURS, OURS_FULL, KEEPS, FORGETS = "#0b6e4f", "#5fb58c", "#8d979f", "#d3d9de"
INK, FAINT = "#20262c", "#6b747c"
SHORT = {
    "Socket.IO + express + better-sqlite3": "Socket.IO + better-sqlite3",
    "websockets.broadcast + aiosqlite": "websockets + aiosqlite",
    "FastAPI + uvicorn + aiosqlite": "FastAPI + aiosqlite",
}


def shown(value: float, unit: str) -> str:
    if unit in ("ms", "kB", "s"):
        return f"{value:,.0f} {unit}" if value >= 1000 else f"{value:.3g} {unit}"
    return f"{value / 1e6:.2f} M" if value >= 1e6 else f"{value / 1e3:.3g} k" if value >= 1e3 else f"{value:.3g}"


def color_of(row: dict[str, Any]) -> str:
    ours = {"chatkit": OURS, "chatkit-full": OURS_FULL}
    return ours.get(row["peer"], FORGETS if row["keeps"].startswith("nothing") else KEEPS)


def head(axes: Any, title: str, detail: str) -> None:
    axes.set_title(f"{title}\n", fontsize=9, loc="left", color=INK, fontweight="bold")
    axes.text(0, 1.02, detail, transform=axes.transAxes, fontsize=7.5, color=FAINT)


def bars(axes: Any, scenario: dict[str, Any]) -> None:
    """A bar a server, the best on top, the figure at its end; a server that is missing says so."""
    key, unit = scenario["key"], next(c["unit"] for c in scenario["columns"] if c["name"] == scenario["key"])
    rows = list(scenario["rows"])
    more = scenario["better"] == "more"
    rows.sort(key=lambda row: (row["median"][key] is None, (-1 if more else 1) * (row["median"][key] or 0)))
    largest = max((row["median"][key] or 0 for row in rows), default=0) or 1
    for place, row in enumerate(rows):
        value = row["median"][key]
        color = color_of(row)
        axes.barh(place, value or 0, color=color, height=0.72)
        label = (
            shown(value, unit)
            if value is not None
            else "no figure"
            if not row["missing"]
            else "none"
            if "no replay" in row["missing"]
            else "missing"
        )
        axes.text((value or 0) + largest * 0.015, place, label, va="center", fontsize=8, color=INK if value else FAINT)
    axes.set_yticks(range(len(rows)), [SHORT.get(row["title"], row["title"]) for row in rows], fontsize=8, color=INK)
    axes.invert_yaxis()
    axes.set_xlim(0, largest * 1.22)
    axes.set_xticks([])
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    title, _, detail = scenario["title"].partition(": ")
    head(axes, title, f"{detail + '; ' if detail else ''}{key}, {'more' if more else 'less'} is better")


def curve(axes: Any, scenarios: list[dict[str, Any]], prefix: str, title: str) -> None:
    """The server's CPU time for one delivery against the size, on logarithmic axes: flat is the aim."""
    lines: dict[str, list[tuple[int, float]]] = {}
    titles: dict[str, str] = {}
    colors: dict[str, str] = {}
    for scenario in scenarios:
        if scenario["name"].startswith(prefix):
            size = int(scenario["name"].removeprefix(prefix))
            for row in scenario["rows"]:
                if value := row["median"].get("server CPU a delivery"):
                    lines.setdefault(row["peer"], []).append((size, value))
                    titles[row["peer"]] = SHORT.get(row["title"], row["title"])
                    colors[row["peer"]] = color_of(row)
    for peer, points in lines.items():
        xs, ys = zip(*sorted(points), strict=True)
        axes.plot(
            xs, ys, marker="o", markersize=3.5, color=colors[peer], linewidth=2 if peer.startswith("chatkit") else 1.2
        )
    # Names at the ends, at least a line's height apart: a factor of 1.35 on this axis.
    place = 0.0
    for peer, points in sorted(lines.items(), key=lambda item: max(item[1])[1]):
        x, y = max(points)
        place = max(y, place * 1.35)
        axes.annotate(titles[peer], (x, y), xytext=(x * 1.25, place), va="center", fontsize=7.5, color=INK)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.margins(x=0.08)
    low, high = axes.get_xlim()
    axes.set_xlim(low, high * 12)
    axes.tick_params(labelsize=7.5, colors=FAINT)
    axes.grid(visible=True, color="#eceff1", linewidth=0.7)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    head(axes, title, "µs of server CPU a delivery; less is better, flat is the aim")


def main(report: dict[str, Any], picture: Path) -> None:
    scenarios = report["scenarios"]
    panels: list[Any] = [lambda axes, one=one: bars(axes, one) for one in scenarios if len(one["rows"]) > 2]
    for prefix, title in (("fanout-", "From few to many subscribers"), ("channels-", "From few to many channels")):
        if sum(one["name"].startswith(prefix) for one in scenarios) > 1:
            panels.append(lambda axes, prefix=prefix, title=title: curve(axes, scenarios, prefix, title))
    across = 2 if len(panels) > 1 else 1
    down = max(1, -(-len(panels) // across))
    plt.rcParams.update({"font.family": "DejaVu Sans", "svg.fonttype": "none", "svg.hashsalt": "chatkit"})
    figure, grid = plt.subplots(down, across, figsize=(6.2 * across, 2.75 * down + 0.6), squeeze=False)
    for axes, panel in zip(grid.flat, panels, strict=False):
        panel(axes)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    foot = f"{report['command']}   {report['at'][:10]}   {report['header']['machine']}   {report['header']['pinning']}"
    figure.text(0.01, 0.004, foot, fontsize=7, color=FAINT)
    legend = (
        ("chatkit, normal", OURS),
        ("chatkit, full", OURS_FULL),
        ("keeps messages", KEEPS),
        ("keeps nothing", FORGETS),
    )
    handles = [Patch(color=color, label=label) for label, color in legend]
    figure.legend(handles=handles, loc="upper right", ncols=4, fontsize=7.5, frameon=False, labelcolor=INK)
    figure.tight_layout(rect=(0, 0.02, 1, 0.985), h_pad=2.2)
    figure.savefig(picture, metadata={"Date": None} if picture.suffix == ".svg" else None)


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
