"""The report as text: Markdown tables with aligned columns, good in a terminal and in a README."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .results import Report, Row, Table

NO_REPLAY = "it has no replay of its own"


def figure(value: float | None, unit: str) -> str:
    """Write a figure with as many digits as are worth reading: 3 610 000 is 3.61 M."""
    if value is None:
        return "–"
    if unit == "%":
        return f"{value:.0f} %"
    if unit == "ms":
        return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
    if value >= 1e6:
        return f"{value / 1e6:.2f} M"
    if value >= 1e4:
        return f"{value / 1e3:.1f} k" if value < 1e5 else f"{value / 1e3:.0f} k"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def head(name: str, unit: str) -> str:
    return name if unit in ("", "/s") else f"{name}, {unit}" if unit != "%" else name


def cells(table: Table, row: Row) -> list[str]:
    columns = table.scenario.columns
    if row.missing:
        return [row.title, "none" if row.missing == NO_REPLAY else "missing", *[""] * (len(columns) - 1), "", ""]
    ratio = table.ratio(row)
    values = [figure(row.median(column.name), column.unit) for column in columns]
    mark = " *" if row.problems else ""
    return [
        row.title + mark,
        *values,
        f"{ratio:.2g}×" if ratio and ratio < 10 else f"{ratio:.0f}×" if ratio else "–",
        row.keeps,
    ]


def markdown(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for n, row in enumerate(rows):
        padded = [
            cell.ljust(width) if column in (0, len(row) - 1) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("| " + " | ".join(padded) + " |")
        if n == 0:
            rule = [
                ("-" * width if column in (0, len(row) - 1) else "-" * (width - 1) + ":")
                for column, width in enumerate(widths)
            ]
            lines.append("| " + " | ".join(rule) + " |")
    return lines


def table_lines(table: Table) -> list[str]:
    best = table.best_peer()
    names = [head(column.name, column.unit) for column in table.scenario.columns]
    rows = [["server", *names, "to best peer", "keeps"], *(cells(table, row) for row in table.rows)]
    lines = [f"### {table.scenario.title}", "", *markdown(rows), ""]
    notes = [f"Best peer by {table.key.name}: {best.title}."] if best else []
    without = [row.title for row in table.rows if row.missing == NO_REPLAY]
    if without:
        notes.append(f"No replay of their own: {', '.join(without)}.")
    for row in table.rows:
        if row.missing and row.missing != NO_REPLAY:
            notes.append(f"{row.title} is missing: {row.missing}.")
        elif row.problems:
            notes.append(f"\\* {row.title}: {'; '.join(dict.fromkeys(row.problems))}.")
    return lines + [line for note in notes for line in (note, "")]


def text(report: Report) -> str:
    """Return the whole report."""
    lines = [
        f"`{report.command}`, {time.strftime('%Y-%m-%d %H:%M')}, medians of {report.rounds} round{'s' if report.rounds > 1 else ''}",
        "",
    ]
    lines += [f"- {name}: {value}" for name, value in report.header.items()]
    lines += [f"- {name}: {value}" for name, value in report.versions.items()]
    lines += [f"- {name}: missing, {reason}" for name, reason in report.missing.items()]
    lines.append("")
    for table in report.tables:
        lines += table_lines(table)
    return "\n".join(lines).rstrip() + "\n"
