"""Tables of operating points, for ``vae-anomaly threshold``."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from vae_anomaly.cli.console import fits_the_screen, print_table, print_words
from vae_anomaly.words import number_of

if TYPE_CHECKING:
    from vae_anomaly.evaluation import ScoredItems, Tuned
    from vae_anomaly.metrics import Interval

ENDS = ("", "_low", "_high")
TITLES = {
    "fpr": "FPR",
    "alarms_per_day": "false alarms in 1,000",
    "precision": "precision",
    "recall": "recall",
    "cost": "cost an item",
}


def records(tuned: Tuned) -> list[dict[str, object]]:
    """Return the candidates as plain values, without what cannot be said."""
    rows = tuned.table.to_dict("records")
    return [{str(k): v for k, v in row.items() if v == v and v is not None} for row in rows]


def print_tuned(tuned: Tuned, items: ScoredItems, daily: bool) -> None:
    """Print the table of operating points and what the chosen one means."""
    left = "".join(f"; {n:,} left out ({why})" for why, n in items.left_out.items())
    click.echo(f"From {items.source}: {number_of(len(items), 'score')}{left}")
    titles = titles_of(daily=daily)
    shown = [name for name in titles if tuned.table[name].notna().any()]
    points = tuned.table.to_dict("records")
    above = "flagged when" if "bound" in tuned.table.columns else "score above"
    header = ["policy", above, *(titles[name] for name in shown)]
    rows = [_row(point, shown) for point in points]
    if not fits_the_screen(rows, header):
        header = [title.replace(" a", "\na").replace(" in", "\nin") for title in header]
        rows = [_stacked(point, shown) for point in points]
    print_table(rows, header, "Operating points, strictest first; > is chosen; 95 % intervals")
    if tuned.threshold.is_nested:
        _print_nested(tuned, titles)
    print_words(tuned.words)


def nested_record(tuned: Tuned) -> dict[str, object]:
    """Return `nested_estimate` as plain values."""
    return {name: asdict(figure) for name, figure in nested_estimate(tuned).items()}


def nested_estimate(tuned: Tuned) -> dict[str, Interval]:
    """Return what a threshold tuned on labels is worth on items that did not choose it."""
    return tuned.threshold.figures(tuned.volume) if tuned.threshold.is_nested else {}


def _print_nested(tuned: Tuned, titles: dict[str, str]) -> None:
    print_words(
        "The table counts each point on the very items that chose it, which flatters the chosen "
        "one. NESTED ESTIMATE, what to expect of it on new items (it was chosen again 5 times, "
        "each time without the items that judged it):"
    )
    for name, figure in nested_estimate(tuned).items():
        click.echo(f"    {titles[name]:<24}{figure_text(name, figure)}")
    click.echo()


def titles_of(*, daily: bool) -> dict[str, str]:
    """Return the titles of figures; without a daily volume alarms count in a thousand items."""
    return TITLES | ({"alarms_per_day": "false alarms a day"} if daily else {})


def _row(point: dict[Any, Any], shown: list[str]) -> list[str]:
    """Return a point on one line."""
    from vae_anomaly.metrics import Interval

    mark = "> " if point["chosen"] else "  "
    policy = mark + point["policy"] + (" (extrapolated)" if point["extrapolated"] else "")
    known = {name: Interval(*(point[name + end] for end in ENDS)) for name in shown}
    figures = [figure_text(name, figure) for name, figure in known.items()]
    return [policy, point.get("bound") or f"{point['threshold']:.3f}", *figures]


def _stacked(point: dict[Any, Any], shown: list[str]) -> list[str]:
    """Return a point with what was asked, and each interval, on a line below."""
    policy, *figures = _row(point, shown)
    lines = re.sub(r" (?=[\d(])", "\n  ", policy)  # what was asked for, and (extrapolated)
    return [lines, figures[0], *map(_interval_below, figures[1:])]


def _interval_below(figure: str) -> str:
    estimate, _, ends = figure.partition(" (")
    return f"{estimate}\n{ends[:-1]}" if ends else figure


def figure_text(name: str, figure: Interval | None, *, between: str = "-", sign: str = "") -> str:
    """Say a figure with its interval: ``1.3% (1.0-1.7)`` or ``126 (94-165)``, ``-`` if not known.

    Parameters
    ----------
    name : str
        One of `TITLES`.
    figure : Interval, optional
        A NaN is not known.
    between : str
        What stands between the ends; `` to `` where they may be negative.
    sign : str
        ``"+"`` writes the sign of a positive figure, too.

    Examples
    --------
    >>> from vae_anomaly.metrics import Interval
    >>> figure_text("fpr", Interval(0.01331, 0.0099, 0.0174))
    '1.33% (0.99-1.74)'
    >>> figure_text("alarms_per_day", Interval(1085.9, 993.2, 1184.0))
    '1,086 (993-1,184)'
    """
    if figure is None or figure.estimate != figure.estimate:
        return "-"
    ends = (figure.low, figure.high)
    digits = {"fpr": 2, "recall": 0, "precision": 0}.get(name)
    if digits is not None:
        spread = between.join(f"{100 * end:{sign}.{digits}f}" for end in ends)
        return f"{100 * figure.estimate:{sign}.{digits}f}% ({spread})"
    form = f"{sign},.0f" if max(map(abs, ends)) >= 100 else f"{sign}.3g"
    return f"{figure.estimate:{form}} ({between.join(f'{end:{form}}' for end in ends)})"
