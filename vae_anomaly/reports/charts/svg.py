"""What charts are drawn with: elements, scales, ticks.

Places are shares of the drawing's box, written in percent, so that a chart is as wide as there is
room and its text keeps its size. Lines through many points stand in a box of their own that is
stretched, and keep their width.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

Child = str | Markup | None
Attribute = str | float | None


def tag(name: str, *children: Child, **attributes: Attribute) -> Markup:
    """Return an element; text in it is escaped, what is None is left out.

    Parameters
    ----------
    name : str
    *children : str or Markup
        Text, or elements.
    **attributes
        ``class_`` is ``class``, ``stroke_width`` is ``stroke-width``.

    Examples
    --------
    >>> print(tag("text", "a < b", x="12%", text_anchor="end", class_=None))
    <text x="12%" text-anchor="end">a &lt; b</text>
    """
    stated = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_shown(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    inner = "".join(escape(child) for child in children if child is not None)
    end = f">{inner}</{name}>" if children else "/>"
    return Markup(f"<{name}{stated}{end}")  # noqa: S704 - every part was escaped


def group(children: Iterable[Markup], **attributes: Attribute) -> Markup:
    """Return elements as one group."""
    return tag("g", *children, **attributes)


def at(share: float) -> str:
    """Return a place in the box, in percent.

    Examples
    --------
    >>> at(0.125), at(1.0), at(1 / 3)
    ('12.5%', '100%', '33.333%')
    """
    return f"{_rounded(100 * share)}%"


def drawing(
    *children: Child, height: float, label: str, about: str, name: str, class_: str = ""
) -> Markup:
    """Return a chart: as wide as there is room, so many pixels high, and told to those who hear it.

    Parameters
    ----------
    *children : Markup
    height : float, pixels
    label, about : str
        What it is, and what is to be seen in it.
    name : str
        Unique in the page: its id.
    class_ : str
        Besides ``chart``.
    """
    return tag(
        "svg",
        tag("desc", about, id=f"{name}-about"),
        *children,
        id=name,
        class_=f"chart {class_}".strip(),
        role="img",
        height=height,
        aria_label=label,
        aria_describedby=f"{name}-about",
    )


def line(x1: float, y1: float, x2: float, y2: float, **attributes: Attribute) -> Markup:
    """Return a straight line between two places, y counted from above."""
    return tag("line", x1=at(x1), y1=at(y1), x2=at(x2), y2=at(y2), **attributes)


def curve(
    points: Sequence[tuple[float, float]], *, closed: bool = False, **attributes: Attribute
) -> Markup:
    """Return a line through points, y counted from above; it keeps its width when stretched."""
    steps = "L".join(f"{_rounded(100 * x)} {_rounded(100 * y)}" for x, y in points)
    path = tag(
        "path",
        d=f"M{steps}{'Z' if closed else ''}" if points else "",
        vector_effect="non-scaling-stroke",
        **attributes,
    )
    return tag(
        "svg",
        path,
        viewBox="0 0 100 100",
        preserveAspectRatio="none",
        width="100%",
        height="100%",
        overflow="visible",
    )


@dataclass(frozen=True)
class Axis:
    """Where values stand between two ends, as shares; on a log scale both ends are above 0."""

    low: float
    high: float
    log: bool = False

    def place(self, value: float) -> float:
        """Return the share of the way from low to high; never outside of it.

        Examples
        --------
        >>> Axis(0.0, 4.0).place(1.0), Axis(1.0, 100.0, log=True).place(10.0)
        (0.25, 0.5)
        """
        low, high = self._scaled(self.low), self._scaled(self.high)
        share = (self._scaled(value) - low) / (high - low) if high > low else 0.0
        return min(1.0, max(0.0, share))

    def ticks(self, most: int) -> tuple[float, ...]:
        """Return round values between the ends, at most so many: 1, 2 or 5 times a power of ten."""
        return self._decades(most) if self.log else self._steps(most)

    def _scaled(self, value: float) -> float:
        return math.log10(max(value, self.low)) if self.log else value

    def _decades(self, most: int) -> tuple[float, ...]:
        first, last = math.ceil(math.log10(self.low)), math.floor(math.log10(self.high))
        every = max(1, math.ceil((last - first + 1) / most))
        return tuple(10.0**power for power in range(first, last + 1, every))

    def _steps(self, most: int) -> tuple[float, ...]:
        if not self.high > self.low:
            return (self.low,)
        size = 10.0 ** math.floor(math.log10((self.high - self.low) / most))
        step = next(size * factor for factor in (1, 2, 5, 10) if self._count(size * factor) <= most)
        first = math.ceil(self.low / step - 1e-9)
        return tuple((first + k) * step for k in range(self._count(step)))

    def _count(self, step: float) -> int:
        return math.floor(self.high / step + 1e-9) - math.ceil(self.low / step - 1e-9) + 1


def short(value: float) -> str:
    """Return the number of a tick.

    Examples
    --------
    >>> short(1000), short(2.5), short(0.30000000000000004)
    ('1,000', '2.5', '0.3')
    """
    return f"{value:,.0f}" if value == round(value) else f"{value:g}"


def _shown(value: Attribute) -> str:
    return value if isinstance(value, str) else _rounded(value or 0.0)


def _rounded(value: float) -> str:
    text = f"{value:.3f}".rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text
