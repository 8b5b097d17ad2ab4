"""One look for every figure: the palette, light lines that guide, words that can be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vae_anomaly.reports.palette import LIGHT_COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PALE = LIGHT_COLOURS.grid


def new_figure(width: float, height: float, title: str) -> tuple[Figure, Axes]:
    """Return a figure of one plot with its title; width and height in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    dress(axes, title)
    return figure, axes


def dress(axes: Axes, title: str = "") -> None:
    """Give a plot the look of all others."""
    if title:
        axes.set_title(title, fontsize=11, color=LIGHT_COLOURS.text, loc="left", parse_math=False)
    axes.set_axisbelow(True)
    axes.grid(visible=True, color=_PALE, linewidth=0.8)
    axes.tick_params(colors=LIGHT_COLOURS.muted, labelsize=9)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_color(LIGHT_COLOURS.muted)
        label.set_fontsize(9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(_PALE)


def add_legend(axes: Axes) -> None:
    """Put the legend where it hides least."""
    axes.legend(frameon=False, loc="best", fontsize=9, labelcolor=LIGHT_COLOURS.text)
