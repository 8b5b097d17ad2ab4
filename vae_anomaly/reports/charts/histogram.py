"""Scores of a night with those of held-out normals behind them, and the threshold.

Counts are on a log scale: a night has thousands of good items and few bad ones, and both must be
seen. A bin of one item stands above the line; an empty one has no bar.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from markupsafe import Markup

from vae_anomaly.reports.charts.svg import Axis, at, curve, drawing, group, line, short, tag
from vae_anomaly.reports.facts.night import Histogram, NightFacts
from vae_anomaly.thresholds.record import one_in
from vae_anomaly.words import number_of

_HEIGHT: Final = 260  # pixels
_AXIS_HEIGHT: Final = 40
_LEAST: Final = 0.5  # items at the foot of a log scale: a bar of 1 can be seen
_HEADROOM: Final = 1.6
_GAP: Final = 0.1  # of a bin, between two bars
_MOST_TICKS: Final = 8


@dataclass(frozen=True)
class ScoreRange:
    """From where to where scores are drawn, and what stands at the last tick."""

    low: float
    high: float
    is_open: bool = False

    @property
    def scale(self) -> Axis:
        """Where a score stands."""
        return Axis(self.low, self.high)


def score_range(night: NightFacts) -> ScoreRange | None:
    """Return the range of scores on the page of a night; none where nothing can be drawn."""
    edges = night.histogram.edges
    if len(edges) < 2 or not edges[-1] > edges[0]:
        return None
    return ScoreRange(edges[0], edges[-1], night.histogram.is_open)


def score_histogram(night: NightFacts, threshold: float, noun: str) -> Markup:
    """Draw the scores of a night; what lies above the threshold is drawn once more, over it.

    Scripts move the threshold by the elements ``above-edge`` and ``threshold-line``.

    Parameters
    ----------
    night : NightFacts
        Its histogram has bins.
    threshold : float
        The one in force.
    noun : str
        What is counted, in the singular: ``image``.
    """
    histogram = night.histogram
    scale = Axis(histogram.edges[0], histogram.edges[-1])
    place = scale.place(threshold)
    counts = _counts(histogram)
    edge = tag("rect", id="above-edge", x=at(place), y="-1%", width="100%", height="102%")
    return drawing(
        _grid(counts),
        group([group(_bars(histogram, scale, counts), id="bars")], class_="histogram__night"),
        tag("clipPath", edge, id="above"),
        group([tag("use", href="#bars")], class_="histogram__above", clip_path="url(#above)"),
        curve(_outline(histogram, scale, counts), class_="histogram__normal"),
        line(0, 1, 1, 1, class_="chart__axis"),
        line(place, 0, place, 1, class_="histogram__in-force"),
        line(place, 0, place, 1, class_="histogram__line", id="threshold-line"),
        group(_hits(histogram, scale, noun), class_="histogram__hits"),
        height=_HEIGHT,
        label=f"How the scores of {number_of(night.n_scored, noun)} are spread",
        about=_about(night, threshold, noun),
        name="histogram",
        class_="histogram",
    )


def score_axis(shown: ScoreRange) -> Markup:
    """Draw the ticks of the scores, each with what it means, as a drawing of its own."""
    scale = shown.scale
    ticks = scale.ticks(_MOST_TICKS)
    labels = [
        group(
            [
                tag("text", _tick(tick, shown), x=at(scale.place(tick)), y=14, class_="strong"),
                tag("text", _meaning(tick), x=at(scale.place(tick)), y=32, class_="wide-only"),
            ]
        )
        for tick in ticks
    ]
    return tag(
        "svg",
        *labels,
        class_="chart histogram__axis",
        height=_AXIS_HEIGHT,
        aria_hidden="true",
    )


def _tick(tick: float, shown: ScoreRange) -> str:
    last = shown.is_open and abs(tick - shown.high) < 1e-9
    return f"{short(tick)}+" if last else short(tick)


def _meaning(tick: float) -> str:
    """Say a whole score as a share of normal items, short enough for a tick."""
    if tick <= 0:
        return "every one" if tick == 0 else ""
    return one_in(tick) if tick == round(tick) <= 6 else ""


def _counts(histogram: Histogram) -> Axis:
    most = max([1.0, *histogram.counts, *histogram.normal])
    return Axis(_LEAST, most * _HEADROOM, log=True)


def _grid(counts: Axis) -> Markup:
    """Draw a line and a number at each power of ten."""
    heights = [(tick, 1 - counts.place(tick)) for tick in counts.ticks(5)]
    lines = [line(0, y, 1, y, class_="chart__grid") for _, y in heights]
    labels = [
        tag("text", short(tick), x=-8, y=at(y), dy="0.32em", text_anchor="end")
        for tick, y in heights
    ]
    return group([*lines, *labels])


def _bars(histogram: Histogram, scale: Axis, counts: Axis) -> list[Markup]:
    return [
        _bar(scale.place(left), scale.place(right), counts.place(count))
        for (left, right), count in zip(pairwise(histogram.edges), histogram.counts, strict=True)
        if count > 0
    ]


def _bar(left: float, right: float, height: float) -> Markup:
    width = right - left
    return tag(
        "rect",
        x=at(left + _GAP / 2 * width),
        y=at(1 - height),
        width=at((1 - _GAP) * width),
        height=at(height),
    )


def _hits(histogram: Histogram, scale: Axis, noun: str) -> list[Markup]:
    """Return a bin's whole height each, with what a pointer that rests there is told."""
    bins = zip(pairwise(histogram.edges), histogram.counts, histogram.normal, strict=True)
    last = len(histogram.counts) - 1
    made = []
    for k, ((left, right), count, normal) in enumerate(bins):
        end = "and more" if histogram.is_open and k == last else f"to {short(right)}"
        told = f"Score {short(left)} {end}: {number_of(count, noun)}; of normals {normal:.3g}"
        x, width = scale.place(left), scale.place(right) - scale.place(left)
        made.append(tag("rect", tag("title", told), x=at(x), width=at(width), height="100%"))
    return made


def _outline(histogram: Histogram, scale: Axis, counts: Axis) -> Sequence[tuple[float, float]]:
    """Return the steps of the normals; none where there are no normals."""
    if not any(histogram.normal):
        return []
    heights = [1 - counts.place(count) for count in histogram.normal]
    places = [scale.place(edge) for edge in histogram.edges]
    steps = [
        point
        for (left, right), y in zip(pairwise(places), heights, strict=True)
        for point in ((left, y), (right, y))
    ]
    return [(places[0], 1.0), *steps, (places[-1], 1.0)]


def _about(night: NightFacts, threshold: float, noun: str) -> str:
    """Tell in words what the drawing shows."""
    edges, counts = night.histogram.edges, night.histogram.counts
    most = max(range(len(counts)), key=counts.__getitem__)
    return (
        f"Bars count the {noun}s of the night in each range of scores from {short(edges[0])} to "
        f"{short(edges[-1])}, on a log scale; most of them, {counts[most]:,}, lie between "
        f"{short(edges[most])} and {short(edges[most + 1])}. A line shows what as many normal "
        f"{noun}s would give, by {number_of(night.scoring.n_held_out, f'held-out normal {noun}')}. "
        f"Above the threshold of {threshold:.4g} lie {night.n_flagged:,}."
    )
