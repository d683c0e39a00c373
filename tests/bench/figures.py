"""Figures beside their baselines, the bounds they are held to, and the page and the pictures that show them."""

import math
import platform
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

DOCS = Path(__file__).parent.parent.parent / "docs"
INK, OURS, THEIRS = "#24292f", "#0969da", "#afb8c1"


@dataclass(frozen=True)
class Figure:
    """One measurement: what was found, beside what, and the bound of it where there is one."""

    what: str
    found: float
    unit: str
    baseline: str = ""
    beside: float = 0.0
    bound: str = ""
    holds: bool = True

    def row(self) -> str:
        """The figure as a row of a table."""
        verdict = ("holds" if self.holds else "**missed**") if self.bound else ""
        beside = f"{self.beside:,.2f}".rstrip("0").rstrip(".") if self.baseline else ""
        found = f"{self.found:,.2f}".rstrip("0").rstrip(".")
        return f"| {self.what} | {found} {self.unit} | {self.baseline} | {beside} | {self.bound} | {verdict} |"


def machine() -> str:
    """What it was measured on."""
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.processor(),
    )
    memory = psutil.virtual_memory().total / 2**30
    load = ", ".join(f"{each:.1f}" for each in psutil.getloadavg())
    return (
        f"{psutil.cpu_count()} cores of {model or platform.machine()}, {memory:.0f} GB, Linux {platform.release()}, "
        f"Python {platform.python_version()}; load averages at the end {load}"
    )


def write_page(figures: Sequence[Figure], latencies: dict[str, list[float]], rows: int) -> None:
    """Write docs/performance.md and its pictures."""
    (DOCS / "performance-latency.svg").write_text(distribution(latencies))
    (DOCS / "performance-rates.svg").write_text(bars([figure for figure in figures if figure.unit.startswith("/s")]))
    table = "\n".join(figure.row() for figure in figures)
    (DOCS / "performance.md").write_text(PAGE.format(machine=machine(), rows=f"{rows:,}", table=table))


PAGE = """# Performance

Written by `make bench`, which ends with 1 where a bound is missed. Each figure stands beside a baseline of its own run,
taken in turns with it, so that whatever else the machine did met both: compare the two, not the figure with another
machine's. The gateway is a process of its own with a log of {rows} records, the client another; Postgres fsyncs.

Measured on {machine}.

| what | found | baseline | beside | bound | |
| --- | --- | --- | --- | --- | --- |
{table}

![How long an execution takes, beside the docker binary and the floor](performance-latency.svg)

The floor is what no gateway can do without: the engine's own answer through aiodocker, and two bare commits, one after
the other, of a row of a record's size. The gateway, the docker binary and what the floor is made of have ten calls at a
time, in turns. Where each execution follows a run of the docker binary instead, it finds the processor's caches
emptied, as the floor does.

![Rates beside their baselines](performance-rates.svg)

What the figures rest on: [decision 30](decisions/0030-rows-at-a-glance.md) for verification,
[decision 32](decisions/0032-one-round-trip.md) for appends and executions, where it also says what the profiles show.
"""


def distribution(latencies: dict[str, list[float]]) -> str:
    """Draw which share of the calls took at most so long, on a logarithmic axis of milliseconds."""
    left, top, width, height, ticks = 60, 20, 640, 260, (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)
    low, high = _log(ticks[0]), _log(ticks[-1])

    def x(milliseconds: float) -> float:
        return left + width * (min(max(_log(milliseconds), low), high) - low) / (high - low)

    parts = [
        f'<line x1="{x(tick):.0f}" y1="{top}" x2="{x(tick):.0f}" y2="{top + height}" stroke="#d0d7de"/>'
        f'<text x="{x(tick):.0f}" y="{top + height + 18}" text-anchor="middle">{tick:g}</text>'
        for tick in ticks
    ]
    colours = (OURS, "#cf222e", "#57606a")
    for number, ((name, seconds), colour) in enumerate(zip(latencies.items(), colours, strict=True)):
        ordered = sorted(each * 1000 for each in seconds)
        points = " ".join(
            f"{x(each):.1f},{top + height * (1 - (place + 1) / len(ordered)):.1f}" for place, each in enumerate(ordered)
        )
        label = f"{name}: p50 {statistics.median(ordered):.1f} ms"
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
            f'<text x="{left + 8}" y="{top + 18 + 18 * number}" fill="{colour}">{label}</text>'
        )
    parts.append(f'<text x="{left + width / 2}" y="{top + height + 38}" text-anchor="middle">milliseconds</text>')
    return _svg(left + width + 20, top + height + 50, parts)


def bars(figures: Sequence[Figure]) -> str:
    """Draw each rate as a bar, its baseline's under it, both as shares of the larger."""
    parts, left, width = [], 330, 300
    for number, figure in enumerate(figures):
        y, most = 10 + 58 * number, max(figure.found, figure.beside)
        for offset, value, colour, name in (
            (0, figure.found, OURS, figure.what),
            (22, figure.beside, THEIRS, figure.baseline),
        ):
            long = width * value / most
            parts.append(
                f'<text x="{left - 8}" y="{y + offset + 14}" text-anchor="end">{name}</text>'
                f'<rect x="{left}" y="{y + offset}" width="{long:.0f}" height="18" fill="{colour}"/>'
                f'<text x="{left + long + 6:.0f}" y="{y + offset + 14}">{value:,.0f}/s</text>'
            )
    return _svg(left + width + 90, 20 + 58 * len(figures), parts)


def _log(value: float) -> float:
    return math.log10(max(value, 1e-6))


def _svg(width: float, height: float, parts: Iterable[str]) -> str:
    style = f'font-family="sans-serif" font-size="12" fill="{INK}"'
    box = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    drawn = "\n".join(parts)
    paper = '<rect width="100%" height="100%" fill="white"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {box} {style}>{paper}\n{drawn}\n</svg>\n'
