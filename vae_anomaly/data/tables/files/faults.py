"""Say in one line why a table file cannot be read, and what to do about it."""

from __future__ import annotations

from pathlib import Path

from vae_anomaly.errors import DataError
from vae_anomaly.words import reason_of

_REWRITE = "Write it again, or leave it out."


def unreadable(path: Path, err: Exception) -> DataError:
    """Return the error for what a library says of a file."""
    reason = reason_of(err)[:200] or type(err).__name__
    return DataError(f"{path} cannot be read: {reason}. {_REWRITE}")


def empty_text(path: Path) -> DataError:
    """Return the error for text of nothing but empty lines."""
    return DataError(f"{path} has nothing but empty lines. {_REWRITE}")


def not_utf8(path: Path, line: int) -> DataError:
    """Return the error for text in an encoding that cannot be told, such as Latin-1."""
    return DataError(
        f"{path}, line {line}: the text is not UTF-8. Save the file as UTF-8, or convert it: "
        "iconv -f WINDOWS-1252 -t UTF-8."
    )


def at_line(path: Path, line: int, what: str) -> DataError:
    """Return the error for what stands in one line; ``what`` says the remedy too."""
    return DataError(f"{path}, line {line}: {what}")
