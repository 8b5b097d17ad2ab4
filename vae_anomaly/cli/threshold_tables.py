"""Tables of operating points, for ``vae-anomaly threshold``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from vae_anomaly.cli.console import print_table

if TYPE_CHECKING:
    from vae_anomaly.evaluation import ScoredItems, Tuned
    from vae_anomaly.metrics import Interval

__all__ = ["TITLES", "figure_text", "interval_text", "print_tuned", "records"]

TITLES = {
    "fpr": "FPR",
    "alarms_per_day": "alarms in 1,000",
    "precision": "precision",
    "recall": "recall",
    "cost": "cost an item",
}


def records(tuned: Tuned) -> list[dict[str, Any]]:
    """Return the candidates as plain values, without what cannot be said."""
    rows = tuned.table.to_dict("records")
    return [{str(k): v for k, v in row.items() if v == v and v is not None} for row in rows]


def print_tuned(tuned: Tuned, items: ScoredItems, daily: bool) -> None:
    """Print the table of operating points and what the chosen one means."""
    left = "".join(f"; {n:,} left out ({why})" for why, n in items.left_out.items())
    click.echo(f"From {items.source}: {len(items):,} scores{left}")
    titles = TITLES | ({"alarms_per_day": "alarms a day"} if daily else {})
    shown = [name for name in titles if tuned.table[name].notna().any()]
    rows = [
        [("> " if r["chosen"] else "  ") + r["policy"], f"{r['threshold']:.3f}",
         *(figure_text(name, *(r[name + end] for end in ("", "_low", "_high"))) for name in shown)]
        for r in tuned.table.to_dict("records")
    ]  # fmt: skip
    header = ["policy", "score above", *(titles[name] for name in shown)]
    print_table(rows, header, "Operating points, strictest first (95 % intervals); > is chosen")
    click.echo(tuned.words)


def figure_text(
    name: str, estimate: float, low: float, high: float, *, between: str = "-", sign: str = ""
) -> str:
    """Say a figure with its interval: ``1.3% (1.0-1.7)`` or ``126 (94-165)``.

    Parameters
    ----------
    name : str
        One of `TITLES`.
    estimate, low, high : float
        NaN is said as ``-``.
    between : str
        What stands between the ends; `` to `` where they may be negative.
    sign : str
        ``"+"`` writes the sign of a positive figure, too.

    Examples
    --------
    >>> figure_text("fpr", 0.01331, 0.0099, 0.0174)
    '1.33% (0.99-1.74)'
    >>> figure_text("alarms_per_day", 1085.9, 993.2, 1184.0)
    '1,086 (993-1,184)'
    """
    if estimate != estimate:
        return "-"
    digits = {"fpr": 2, "recall": 0, "precision": 0}.get(name)
    if digits is not None:
        ends = between.join(f"{100 * end:{sign}.{digits}f}" for end in (low, high))
        return f"{100 * estimate:{sign}.{digits}f}% ({ends})"
    form = f"{sign},.0f" if max(abs(low), abs(high)) >= 100 else f"{sign}.3g"
    return f"{estimate:{form}} ({between.join(f'{end:{form}}' for end in (low, high))})"


def interval_text(name: str, figure: Interval | None, **how: str) -> str:
    """Say an interval by `figure_text`; ``-`` where nothing is known."""
    if figure is None:
        return "-"
    return figure_text(name, figure.estimate, figure.low, figure.high, **how)
