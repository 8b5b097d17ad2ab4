"""How long calls tell where they are: a callback, never a print."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called as ``progress(stage, done, total)``; ``total`` is 0 while it is not known."""


def null_progress(stage: str, done: int, total: int) -> None:
    """Tell nobody."""


def part_of(progress: Progress, part: int, n_parts: int, stage: str | None = None) -> Progress:
    """Report one of several equally long parts, counted from 0, as a stretch of one stage."""

    def report(name: str, done: int, total: int) -> None:
        progress(stage or name, part * total + done, n_parts * total)

    return report
