"""``threshold tune --interactive``: draw a `Mover`, hand it the keys."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from vae_anomaly.cli.threshold.tables import TITLES, interval_text

if TYPE_CHECKING:
    from rich.table import Table

    from vae_anomaly.evaluation import ScoredItems, Tuned
    from vae_anomaly.metrics import Interval
    from vae_anomaly.thresholds import ReviewedSample, Threshold
    from vae_anomaly.thresholds.interactive import Mover

ESCAPES = {
    f"\x1b{between}{letter}": name
    for between in "[O"
    for letter, name in {"A": "up", "B": "down", "C": "right", "D": "left"}.items()
} | {"\x1b": "escape", "\r": "enter", "\n": "enter", "\x7f": "backspace", "\x08": "backspace"}
HELP = (
    "up/down: a quarter fewer/more flags   right/left: one item   "
    "2.5, 1%, 20d + enter: score, FPR, alarms a day\n"
    "enter: keep   q: leave, nothing written"
)


def require_terminal() -> None:
    """Refuse to wait for keys where nobody can press any."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.UsageError(
            "--interactive needs a terminal for keys (stdin) and for drawing (stderr), and this is "
            "none. Leave it out and ask for a threshold, for example --target-fpr 0.01."
        )


def keys_of(read: str) -> list[str]:
    """Name the keys in what a terminal sent at once, for example a pasted ``1%``.

    Examples
    --------
    >>> keys_of("\\x1b[A"), keys_of("1%\\r")
    (['up'], ['1', '%', 'enter'])
    """
    if read in ESCAPES:
        return [ESCAPES[read]]
    for sequence, name in ESCAPES.items():  # a key held down arrives as several at once
        if len(sequence) > 1 and read.startswith(sequence):
            return [name, *keys_of(read[len(sequence) :])]
    if read.startswith("\x1b"):
        return ["unknown"]
    return [ESCAPES.get(character, character) for character in read]


def let_owner_move(
    tuned: Tuned,
    items: ScoredItems,
    ask: Mapping[str, float],
    *,
    volume: float | None,
    current: Threshold,
    reviews: ReviewedSample | None,
) -> Tuned | None:
    """Show the threshold in the terminal until it is kept (else None)."""
    from rich.console import Console
    from rich.live import Live

    from vae_anomaly.evaluation import bench, tuned_at
    from vae_anomaly.thresholds.interactive import Mover

    mover = Mover.start(bench(items, ask, volume=volume, reviews=reviews), tuned.threshold)
    start, screen = tuned.threshold, Console(stderr=True, highlight=False)
    with Live(_drawn(mover, start), console=screen, auto_refresh=False, transient=True) as live:
        for key in _pressed():
            mover = mover.press(key)
            if mover.outcome:
                break
            live.update(_drawn(mover, start), refresh=True)
    if mover.outcome == "left":
        return None
    return tuned_at(items, mover.threshold, ask, volume=volume, current=current, reviews=reviews)


def _pressed() -> Iterator[str]:
    while True:
        yield from keys_of(click.getchar())


def _drawn(mover: Mover, start: Threshold) -> Any:
    from rich.console import Group
    from rich.text import Text

    total = mover.bench.scores.size
    head = Text(f"Flags {mover.flagged:,} of {total:,} items.", style="bold")
    typed = Text(f"> {mover.typed}_" if mover.typed else f"> {mover.message}")
    return Group(head, _figures(mover, start), Text(HELP, style="dim"), typed)


def _figures(mover: Mover, start: Threshold) -> Table:
    from rich import box
    from rich.table import Table

    from vae_anomaly.thresholds.candidates import policy_name

    titles = TITLES | ({"alarms_per_day": "false alarms a day"} if mover.bench.volume else {})
    now, table = mover.threshold, Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("", f"here ({policy_name(now)})", f"at first ({policy_name(start)})"):
        table.add_column(title, justify="right" if title else "left", no_wrap=True, min_width=16)
    table.add_row("score above", f"{now.value:.3f}", f"{start.value:.3f}")
    for name, title in titles.items():
        here, there = (_figure(t, name, mover.bench.volume or 1000.0) for t in (now, start))
        if here is not None or there is not None:
            table.add_row(title, interval_text(name, here), interval_text(name, there))
    return table


def _figure(threshold: Threshold, name: str, volume: float) -> Interval | None:
    if name == "alarms_per_day":
        return threshold.alarms_per_day(volume)
    found: Interval | None = getattr(threshold, f"expected_{name}")
    return found
