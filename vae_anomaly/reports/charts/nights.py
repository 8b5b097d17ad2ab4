"""A share by night: its interval, and where it is expected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

from vae_anomaly.metrics import Interval
from vae_anomaly.reports.charts.svg import Axis, at, drawing, group, line, tag

_HEIGHT: Final = 200  # pixels
_MOST_LABELS: Final = 15
_BAND: Final = 0.8  # of the room of a night


def rate_chart(
    rates: Sequence[Interval],
    usual: Sequence[tuple[float, float] | None],
    loud: Sequence[bool],
    *,
    name: str,
    label: str,
    about: str,
) -> Markup:
    """Draw a share of each of N nights, the oldest at the left.

    Parameters
    ----------
    rates : sequence of N Interval
        In [0, 1].
    usual : sequence of N (float, float) or None
        Where it is expected: drawn as a band.
    loud : sequence of N bool
        Which nights had an alarm: these stand out.
    name, label, about : str
        Id, what it is, and what is to be seen in it.
    """
    known = [rate for rate in rates if rate.estimate == rate.estimate]
    highest = max([0.001, *(rate.high for rate in known), *(band[1] for band in usual if band)])
    axis, n = Axis(0.0, highest), len(rates)
    parts: list[Markup] = [_grid(axis)]
    for place, (rate, band, is_loud) in enumerate(zip(rates, usual, loud, strict=True)):
        if band is not None:
            parts.append(_expected(place / n, 1 / n, band, axis))
        if rate.estimate == rate.estimate:
            parts.append(_rate((place + 0.5) / n, rate, axis, is_loud=is_loud))
    return drawing(
        *parts, _numbers(n), line(0, 1, 1, 1, class_="chart__axis"),
        height=_HEIGHT, label=label, about=about, name=name, class_="nights",
    )  # fmt: skip


def _grid(axis: Axis) -> Markup:
    parts: list[Markup] = []
    for tick in axis.ticks(4):
        y = 1 - axis.place(tick)
        parts += [
            line(0, y, 1, y, class_="chart__grid"),
            tag("text", f"{100 * tick:.6g}%",
                x=-8, y=at(y), dy="0.32em", text_anchor="end"),
        ]  # fmt: skip
    return group(parts)


def _expected(start: float, room: float, band: tuple[float, float], axis: Axis) -> Markup:
    low, high = (axis.place(end) for end in band)
    return tag(
        "rect", x=at(start + room * (1 - _BAND) / 2), y=at(1 - high), width=at(room * _BAND),
        height=at(max(high - low, 0.005)), class_="nights__usual",
    )  # fmt: skip


def _rate(x: float, rate: Interval, axis: Axis, *, is_loud: bool) -> Markup:
    low, middle, high = (1 - axis.place(end) for end in (rate.low, rate.estimate, rate.high))
    side = 9
    mark = (
        tag("rect", x=at(x), y=at(middle), width=side, height=side,
            transform=f"translate(-{side / 2} -{side / 2})")
        if is_loud else tag("circle", cx=at(x), cy=at(middle), r=4)
    )  # fmt: skip
    return group(
        [line(x, low, x, high), mark], class_=f"nights__rate{' nights__rate--loud' * is_loud}"
    )


def _numbers(n: int) -> Markup:
    """Write the number of each night, as the table has it; of many only some."""
    every = -(-n // _MOST_LABELS)
    return group(
        tag("text", str(place + 1), x=at((place + 0.5) / n), y="100%", dy="1.5em",
            text_anchor="middle")
        for place in range(0, n, every)
    )  # fmt: skip
