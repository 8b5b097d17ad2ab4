"""Places of one run against places of the other: what both find strange stands at one corner."""

from __future__ import annotations

import math
from typing import Final

from markupsafe import Markup

from vae_anomaly.reports.charts.svg import Axis, at, drawing, group, line, short, tag
from vae_anomaly.reports.facts.compare import CompareFacts
from vae_anomaly.words import number_of

WHO_FLAGGED: Final = ("neither", "only-a", "only-b", "both")
"""Who flagged an item, by its number in `RankMap.points`."""

_HEIGHT: Final = 420  # pixels
_SHADES: Final = 5  # of cells, by the order of magnitude of how many items they hold
_MARKS: Final = {  # drawn around 0, 0
    "neither": tag("circle", r=2),
    "both": tag("circle", r=3.5),
    "only-a": tag("path", d="M0-5 4.8 3.6H-4.8z"),
    "only-b": tag("path", d="M0 5 4.8-3.6H-4.8z"),
}


def rank_chart(facts: CompareFacts) -> Markup:
    """Draw the places of all items: cells of many, and one by one those that a side flagged.

    The strangest item of a is at the left, the strangest of b at the bottom; items on the diagonal
    have the same place in both.
    """
    n = facts.n_common
    scale = Axis(1.0, max(2.0, float(n + 1)), log=True)
    return drawing(
        tag("defs", *(group([mark], id=f"mark-{name}") for name, mark in _MARKS.items())),
        _grid(scale),
        *([] if facts.ranks.is_complete else [_cells(facts, scale)]),
        line(0, 1, 1, 0, class_="ranks__diagonal"),
        _cuts(facts, scale),
        _points(facts, scale),
        line(0, 1, 1, 1, class_="chart__axis"),
        line(0, 0, 0, 1, class_="chart__axis"),
        height=_HEIGHT,
        label="Places in A against places in B",
        about=_about(facts),
        name="ranks",
        class_="ranks",
    )


def legend_mark(side: str) -> Markup:
    """Draw the mark of a side for the legend, in a box of its own."""
    return tag(
        "svg", group([_MARKS[side]], class_=f"ranks__mark ranks__mark--{side}"),
        viewBox="-7 -7 14 14", width=14, height=14, class_="ranks__legend-mark",
        aria_hidden="true",
    )  # fmt: skip


def _grid(scale: Axis) -> Markup:
    parts: list[Markup] = []
    for tick in scale.ticks(6):
        share = scale.place(tick)
        parts += [
            line(share, 0, share, 1, class_="chart__grid"),
            line(0, 1 - share, 1, 1 - share, class_="chart__grid"),
            tag("text", short(tick), x=at(share), y="100%", dy="1.5em", text_anchor="middle"),
            tag("text", short(tick), x=-8, y=at(1 - share), dy="0.32em", text_anchor="end"),
        ]
    return group(parts)


def _cells(facts: CompareFacts, scale: Axis) -> Markup:
    """Draw how many items lie where, darker for more."""
    edges = [scale.place(edge) for edge in facts.ranks.edges]
    most = math.log10(max(count for *_, count in facts.ranks.cells) + 1)
    cells = []
    for i, j, count in facts.ranks.cells:
        shade = math.ceil(_SHADES * math.log10(count + 1) / most)
        cells.append(
            tag(
                "rect",
                x=at(edges[i]),
                y=at(1 - edges[j + 1]),
                width=at(edges[i + 1] - edges[i]),
                height=at(edges[j + 1] - edges[j]),
                class_=f"ranks__cell ranks__cell--{shade}",
            )
        )
    return group(cells)


def _cuts(facts: CompareFacts, scale: Axis) -> Markup:
    """Draw where each side ends to flag, if one threshold decides it."""
    sides = facts.sides
    parts = []
    if len(facts.a.thresholds) == 1:
        x = scale.place(sides.both + sides.only_a + 0.5)
        words = tag("text", "A flags", x=at(x), y=-8, text_anchor="end", class_="strong")
        parts += [line(x, 0, x, 1, class_="ranks__cut"), words]
    if len(facts.b.thresholds) == 1:
        y = 1 - scale.place(sides.both + sides.only_b + 0.5)
        words = tag(
            "text", "B flags", x="100%", dx=-4, y=at(y), dy="1.2em", text_anchor="end",
            class_="strong",
        )  # fmt: skip
        parts += [line(0, y, 1, y, class_="ranks__cut"), words]
    return group(parts)


def _points(facts: CompareFacts, scale: Axis) -> Markup:
    """Draw items one by one, those that changed sides over the others."""
    order = {0: 0, 3: 1, 1: 2, 2: 3}
    points = sorted(facts.ranks.points, key=lambda point: order[point[2]])
    return group(
        tag(
            "use",
            href=f"#mark-{WHO_FLAGGED[who]}",
            x=at(scale.place(a)),
            y=at(1 - scale.place(b)),
            class_=f"ranks__mark ranks__mark--{WHO_FLAGGED[who]}",
        )
        for a, b, who in points
    )


def _about(facts: CompareFacts) -> str:
    rho = facts.correlation.estimate
    alike = f"Spearman's rank correlation is {rho:.2f}. " if math.isfinite(rho) else ""
    first = facts.overlaps[0]
    return (
        f"{number_of(facts.n_common, 'item')} by their place in both. {alike}Of the {first.k:,} "
        f"strangest of each, {first.shared:,} are in both."
    )
