"""``threshold tune --interactive``: draw an `InteractiveThreshold`, hand it the keys."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from vae_anomaly.cli.threshold.tables import figure_text, titles_of
from vae_anomaly.thresholds.catalogue import policy_title

if TYPE_CHECKING:
    from rich.table import Table

    from vae_anomaly.evaluation import ScoredItems, Tuned
    from vae_anomaly.thresholds import ReviewedSample, Threshold
    from vae_anomaly.thresholds.interactive import InteractiveThreshold

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
    request: Mapping[str, float],
    *,
    volume: float | None,
    current: Threshold,
    reviews: ReviewedSample | None,
) -> Tuned | None:
    """Show the threshold in the terminal until it is kept (else None)."""
    from rich.console import Console
    from rich.live import Live

    from vae_anomaly.evaluation import threshold_context, tuned_at
    from vae_anomaly.thresholds.interactive import InteractiveThreshold

    context = threshold_context(items, request, volume=volume, reviews=reviews)
    session = InteractiveThreshold(context, tuned.threshold)
    start, screen = tuned.threshold, Console(stderr=True, highlight=False)
    with Live(_drawn(session, start), console=screen, auto_refresh=False, transient=True) as live:
        for key in _pressed():
            session = session.press(key)
            if session.outcome:
                break
            live.update(_drawn(session, start), refresh=True)
    if session.outcome == "left":
        return None
    return tuned_at(
        items, session.threshold, request, volume=volume, current=current, reviews=reviews
    )


def _pressed() -> Iterator[str]:
    while True:
        yield from keys_of(click.getchar())


def _drawn(session: InteractiveThreshold, start: Threshold) -> Any:
    from rich.console import Group
    from rich.text import Text

    total = session.context.scores.size
    head = Text(f"Flags {session.flagged:,} of {total:,} items.", style="bold")
    typed = Text(f"> {session.typed}_" if session.typed else f"> {session.message}")
    return Group(head, _figures(session, start), Text(HELP, style="dim"), typed)


def _figures(session: InteractiveThreshold, start: Threshold) -> Table:
    from rich import box
    from rich.table import Table

    titles = titles_of(daily=bool(session.context.volume))
    now, table = session.threshold, Table(box=box.SIMPLE_HEAD, pad_edge=False)
    here, first = (policy_title(t.policy, t.parameters) for t in (now, start))
    for title in ("", f"here ({here})", f"at first ({first})"):
        table.add_column(title, justify="right" if title else "left", no_wrap=True, min_width=16)
    figures = [t.figures(session.context.volume or 1000.0) for t in (now, start)]
    table.add_row("score above", f"{now.value:.3f}", f"{start.value:.3f}")
    for name, title in titles.items():
        if name in figures[0] or name in figures[1]:
            table.add_row(title, *(figure_text(name, known.get(name)) for known in figures))
    return table
