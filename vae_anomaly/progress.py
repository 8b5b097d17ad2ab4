"""How long calls tell where they are: a callback, never a print."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called as ``progress(stage, done, total)``; ``total`` is 0 while it is not known."""


def null_progress(stage: str, done: int, total: int) -> None:
    """Tell nobody."""
