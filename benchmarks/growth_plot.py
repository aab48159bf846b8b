"""Draw what benchmarks/growth.py measured: one panel per varied quantity, the same axes in all."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

# Colours of a light page, and those that replace them on a dark one.
PAPER, INK, FAINT, OWN, BEST = "#ffffff", "#1f2328", "#d1d9e0", "#0969da", "#bc4c00"
DARK = {PAPER: "#0d1117", INK: "#e6edf3", FAINT: "#3d444d", OWN: "#58a6ff", BEST: "#f0883e"}
COLUMNS = 3
# Text stays text, and the same numbers give the same file.
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "growth",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.facecolor": PAPER,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.color": FAINT,
    "ytick.labelcolor": INK,
    "grid.color": FAINT,
    "grid.linewidth": 0.5,
    "figure.facecolor": PAPER,
}


def plot(found: Mapping[str, Any]) -> str:
    """Return the plot as SVG.

    Args:
        found: what docs/speed.json holds.
    """
    with matplotlib.rc_context(STYLE):
        varied = list(dict.fromkeys(point["varied"] for point in found["points"]))
        rows = len(varied) // COLUMNS + 1
        figure = Figure(figsize=(9, 3 * rows), layout="constrained")
        panels = figure.subplots(rows, COLUMNS, sharey=True, squeeze=False).flatten().tolist()
        for panel, quantity in zip(panels, varied, strict=False):
            _draw(panel, quantity, [point for point in found["points"] if point["varied"] == quantity])
        for panel in panels[::COLUMNS]:
            panel.set_ylabel("seconds")
        *empty, last = panels[len(varied) :]
        for panel in (*empty, last):
            panel.set_axis_off()
        last.legend(*panels[0].get_legend_handles_labels(), loc="center", frameon=False, fontsize=11)
        drawn = io.StringIO()
        figure.savefig(
            drawn, format="svg", metadata={"Date": None, "Creator": None, "Title": "How cost grows"}
        )
    return _with_dark_colours(drawn.getvalue())


def _draw(panel: Axes, quantity: str, points: Sequence[Mapping[str, Any]]) -> None:
    amounts = [point["amount"] for point in points]
    panel.plot(
        amounts, [point["at_best"] for point in points],
        color=BEST, linestyle="--", linewidth=1.5, label="at the best batched rate", gid=f"best {quantity}",
    )  # fmt: skip
    panel.plot(
        amounts, [point["seconds"] for point in points],
        color=OWN, marker="o", markersize=5, linewidth=1.5, label="measured", gid=f"measured {quantity}",
    )  # fmt: skip
    panel.set_title(quantity)
    panel.set(xscale="log", yscale="log")
    panel.set_xticks(amounts, [str(amount) for amount in amounts])
    panel.xaxis.set_minor_locator(NullLocator())
    panel.yaxis.set_minor_locator(NullLocator())
    panel.yaxis.set_major_formatter(FuncFormatter(lambda seconds, _: f"{seconds:g}"))
    panel.grid(axis="y")


def _with_dark_colours(svg: str) -> str:
    """Add a style sheet for dark pages; where it is not read, the light colours stay, with their background."""
    rules = "".join(
        f'[style*="{name}: {light}"] {{ {name}: {dark} !important }}\n'
        for light, dark in DARK.items()
        for name in ("fill", "stroke")
    )
    style = f"<style>@media (prefers-color-scheme: dark) {{\n{rules}}}</style>\n"
    return svg.replace("<defs>", f"{style}<defs>", 1)
