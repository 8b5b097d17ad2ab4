"""Curves of a model as inline SVG: ROC, precision, losses, reliability, the latent map.

Each is a box with axes; lines are told apart by their dashes as well as by colour, so that they are
read in grey. Names and ticks stand outside of the box, where the style sheet leaves room.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from vae_anomaly.reports.charts.svg import Axis, at, curve, drawing, group, line, short, tag
from vae_anomaly.reports.facts.model import LatentMap
from vae_anomaly.reports.facts.training import LossCurves, RankingPoints

_HEIGHT: Final = 240  # pixels
_TICKS: Final = 5
_CHANCE_POINTS: Final = 40
_LEAST_FPR: Final = 1e-4
_MARGIN: Final = 0.04  # of a range, around the points of a map
_NAMES: Final = {
    "train_nll": "reconstruction, training",
    "val_nll": "reconstruction, validation",
    "train_kl": "KL, training",
    "val_kl": "KL, validation",
}
_DASHES: Final = {
    "train_nll": "first",
    "val_nll": "second",
    "train_kl": "first",
    "val_kl": "second",
}


@dataclass(frozen=True)
class Plot:
    """A drawing, and what stands beside it.

    Parameters
    ----------
    svg : Markup
    title : str
    key : tuple of (str, str)
        Style of each line, ``first``, ``second``, ``third``, ``point``, and what it is.
    note : str
        What is to be seen, in words.
    """

    svg: Markup
    title: str
    key: tuple[tuple[str, str], ...]
    note: str = ""


@dataclass(frozen=True)
class _Axes:
    """Two scales with their names; y counts from below."""

    x: Axis
    y: Axis
    x_name: str
    y_name: str
    x_percent: bool = True
    y_percent: bool = True

    def point(self, x: float, y: float) -> tuple[float, float]:
        return self.x.place(x), 1.0 - self.y.place(y)

    def line(self, xs: Iterable[float], ys: Iterable[float], style: str) -> Markup:
        points = [self.point(x, y) for x, y in zip(xs, ys, strict=True)]
        return curve(points, class_=f"plot__line plot__line--{style}", fill="none")

    def frame(self) -> Markup:
        """Draw grid, ticks and names."""
        across = [self._tick_x(tick) for tick in self.x.ticks(_TICKS)]
        up = [self._tick_y(tick) for tick in self.y.ticks(_TICKS)]
        names = [
            tag("text", self.x_name, x="50%", y="100%", dy="2.9em", text_anchor="middle"),
            tag("text", self.y_name, x="0%", y="0%", dx="-2.6em", dy="-0.9em", class_="strong"),
        ]
        return group([*across, *up, line(0, 1, 1, 1, class_="chart__axis"), *names])

    def _tick_x(self, tick: float) -> Markup:
        place = self.x.place(tick)
        text = tag(
            "text",
            _told(tick, percent=self.x_percent),
            x=at(place),
            y="100%",
            dy="1.5em",
            text_anchor="middle",
        )
        return group([line(place, 0, place, 1, class_="chart__grid"), text])

    def _tick_y(self, tick: float) -> Markup:
        place = 1.0 - self.y.place(tick)
        text = tag(
            "text",
            _told(tick, percent=self.y_percent),
            x=-8,
            y=at(place),
            dy="0.32em",
            text_anchor="end",
        )
        return group([line(0, place, 1, place, class_="chart__grid"), text])


def _told(tick: float, *, percent: bool) -> str:
    return f"{100 * tick:.4g}%" if percent else short(round(tick, 10))


def roc_plot(points: RankingPoints, name: str) -> Plot:
    """Draw recall over the false-positive rate, on a log axis where few alarms matter."""
    known = [fpr for fpr in points.fpr if fpr > 0]
    floor = max(_LEAST_FPR, min(known, default=_LEAST_FPR) / 2)
    axes = _Axes(Axis(floor, 1.0, log=True), Axis(0.0, 1.0), "false-positive rate", "recall")
    chance = [floor ** (1 - k / _CHANCE_POINTS) for k in range(_CHANCE_POINTS + 1)]
    xs, ys = _steps([max(fpr, floor) for fpr in points.fpr], points.recall)
    fpr, recall, _ = points.at
    note = (
        f"At the threshold {recall:.0%} of the anomalies are found, and {_percent(fpr)} of normal "
        "items flagged."
    )
    svg = drawing(
        axes.frame(),
        axes.line(chance, chance, "third"),
        axes.line(xs, ys, "first"),
        _point(axes, max(fpr, floor), recall),
        height=_HEIGHT, label="ROC", about=note, name=name, class_="plot",
    )  # fmt: skip
    key = (("first", "this model"), ("third", "chance"), ("point", "threshold in force"))
    return Plot(svg, "ROC", key, note)


def precision_plot(points: RankingPoints, name: str) -> Plot:
    """Draw precision over recall, with what chance would reach."""
    axes = _Axes(Axis(0.0, 1.0), Axis(0.0, 1.0), "recall", "precision")
    _, recall, precision = points.at
    note = (
        f"At the threshold {precision:.0%} of the flags are anomalies; they are "
        f"{_percent(points.base_rate)} of the items."
    )
    svg = drawing(
        axes.frame(),
        axes.line((0.0, 1.0), (points.base_rate, points.base_rate), "third"),
        axes.line(points.recall[1:], points.precision[1:], "first"),
        _point(axes, recall, precision),
        height=_HEIGHT, label="Precision over recall", about=note, name=name, class_="plot",
    )  # fmt: skip
    key = (("first", "this model"), ("third", "chance"), ("point", "threshold in force"))
    return Plot(svg, "Precision over recall", key, note)


def loss_plots(losses: LossCurves) -> tuple[Plot, ...]:
    """Draw reconstruction and KL over the steps of training, nats per item."""
    known = dict(losses.series)
    plots = []
    for title, names in (
        ("Reconstruction", ("train_nll", "val_nll")),
        ("KL divergence", ("train_kl", "val_kl")),
    ):
        shown = [(name, known[name]) for name in names if name in known]
        values = [v for _, series in shown for v in series if v is not None]
        if values:
            plots.append(_loss_plot(losses, title, shown, values))
    return tuple(plots)


def _loss_plot(
    losses: LossCurves,
    title: str,
    shown: Sequence[tuple[str, Sequence[float | None]]],
    values: Sequence[float],
) -> Plot:
    low, high = min(values), max(values)
    margin = _MARGIN * ((high - low) or 1.0)
    scale = Axis(low - margin, high + margin)
    axes = _Axes(
        Axis(0.0, float(losses.steps[-1])), scale, "step", "nats", x_percent=False, y_percent=False
    )
    lines = []
    for name, series in shown:
        pairs = [(s, v) for s, v in zip(losses.steps, series, strict=True) if v is not None]
        lines.append(axes.line([s for s, _ in pairs], [v for _, v in pairs], _DASHES[name]))
    best = axes.x.place(float(losses.best_step))
    note = f"The weights of step {losses.best_step:,} were kept."
    svg = drawing(
        axes.frame(),
        line(best, 0, best, 1, class_="plot__mark"),
        *lines,
        height=_HEIGHT, label=title, about=f"Over the steps of training. {note}",
        name=f"loss-{title.split(' ', maxsplit=1)[0].lower()}", class_="plot",
    )  # fmt: skip
    return Plot(svg, title, tuple((_DASHES[n], _NAMES[n]) for n, _ in shown), note)


def reliability_plot(probability: dict[str, Any]) -> Plot | None:
    """Draw how often items were anomalies over how likely that was said to be."""
    bins = probability.get("reliability") or ()
    if not bins:
        return None
    least = min(max(b["observed"]["low"], 1e-4) for b in bins)
    floor = 0.5 * min(least, *(b["predicted"] for b in bins))
    axes = _Axes(
        Axis(floor, 1.0, log=True), Axis(floor, 1.0, log=True),
        "probability, as predicted", "share of anomalies, as found")  # fmt: skip
    marks = []
    for one in bins:
        x = axes.x.place(one["predicted"])
        low, high = (
            1.0 - axes.y.place(max(one["observed"][end], floor)) for end in ("low", "high")
        )
        found = one["observed"]["estimate"]
        told = f"{one['n']:,} items: predicted {one['predicted']:.2%}, found {found:.2%}"
        marks.append(line(x, low, x, high, class_="plot__bar"))
        marks.append(_point(axes, one["predicted"], max(found, floor), told))
    note = "Points on the diagonal are honest; bars are 95 % intervals."
    svg = drawing(
        axes.frame(), axes.line((floor, 1.0), (floor, 1.0), "third"), *marks,
        height=_HEIGHT, label="Reliability", about=note, name="reliability", class_="plot",
    )  # fmt: skip
    return Plot(svg, "Reliability", (("third", "honest"), ("point", "items left out")), note)


def latent_plot(shown: LatentMap) -> Plot:
    """Draw where training normals lie at two latents, and the strangest of them."""
    xs = [x for x, _ in shown.points] + [x for _, x, _ in shown.marked]
    ys = [y for _, y in shown.points] + [y for _, _, y in shown.marked]
    axes = _Axes(
        _around(xs), _around(ys), shown.axes[0], shown.axes[1], x_percent=False, y_percent=False
    )
    dots = [
        tag("circle", cx=at(px), cy=at(py), r=1.6)
        for px, py in (axes.point(x, y) for x, y in shown.points)
    ]
    marks = [_point(axes, x, y, name) for name, x, y in shown.marked]
    note = (
        f"{len(shown.points):,} training normals at the two latents that vary most among them."
        + (" The strangest are marked." if marks else "")
    )
    svg = drawing(
        axes.frame(), group(dots, class_="plot__dots"), *marks,
        height=320, label="Latent map", about=note, name="latent-map", class_="plot",
    )  # fmt: skip
    key = (("dot", "training normals"), *([("point", "strangest held out")] if marks else []))
    return Plot(svg, "Latent map", key, note)


def held_out_plot(scores: Sequence[float], threshold: float, n: int) -> Plot:
    """Draw the share of held-out normals above each score, on a log axis, and the threshold."""
    rising = sorted(scores)
    shares = [(len(rising) - k) / len(rising) for k in range(len(rising))]
    floor = min(shares[-1], 10.0**-threshold) / 2
    high = max(rising[-1], threshold) * 1.05
    low = min(0.0, rising[0])
    axes = _Axes(
        Axis(low, high),
        Axis(floor, 1.0, log=True),
        "anomaly score, -log10 p",
        "share of normals above",
        x_percent=False,
    )
    stated = [10.0 ** -max(score, 0.0) for score in (low, 0.0, high)]
    place = axes.x.place(threshold)
    note = f"{n:,} held-out normals. The dashed line is what scores state: at 2, 1 in 100."
    svg = drawing(
        axes.frame(),
        axes.line((low, 0.0, high), (max(s, floor) for s in stated), "second"),
        axes.line(*_steps(rising, shares), "first"),
        line(place, 0, place, 1, class_="plot__threshold"),
        height=_HEIGHT, label="Held-out normals", about=note, name="held-out", class_="plot",
    )  # fmt: skip
    key = (("first", "held-out normals"), ("second", "stated"), ("threshold", "threshold in force"))
    return Plot(svg, "Scores of held-out normals", key, note)


def _steps(xs: Sequence[float], ys: Sequence[float]) -> tuple[list[float], list[float]]:
    """Return a staircase: at each x the value stays until the next one."""
    across, up = [xs[0]], [ys[0]]
    for x, before, y in zip(xs[1:], ys[:-1], ys[1:], strict=True):
        across += [x, x]
        up += [before, y]
    return across, up


def _point(axes: _Axes, x: float, y: float, told: str = "") -> Markup:
    px, py = axes.point(x, y)
    title = tag("title", told) if told else None
    return tag("circle", title, cx=at(px), cy=at(py), r=5, class_="plot__point")


def _around(values: Sequence[float]) -> Axis:
    low, high = min(values), max(values)
    margin = _MARGIN * ((high - low) or 1.0)
    return Axis(low - margin, high + margin)


def _percent(share: float) -> str:
    return f"{100 * share:.2g}%"
