"""CSV for people: no cell that a spreadsheet takes for a formula; numbers stay numbers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pandas as pd

_FORMULA: Final = re.compile(r"[=+\-@\t\r]")
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)


def harmless(cell: object) -> object:
    """Return a cell that no spreadsheet runs: text that begins as a formula gets an apostrophe.

    Examples
    --------
    >>> harmless("=1+1"), harmless("-4.5"), harmless(-4.5)
    ("'=1+1", '-4.5', -4.5)
    """
    if not isinstance(cell, str) or not _FORMULA.match(cell) or _NUMBER.fullmatch(cell):
        return cell
    return f"'{cell}"


def as_meant(cell: object) -> object:
    """Return the cell that `harmless` was given.

    Examples
    --------
    >>> as_meant("'=1+1"), as_meant("'tis")
    ('=1+1', "'tis")
    """
    if isinstance(cell, str) and cell.startswith("'") and harmless(cell[1:]) == cell:
        return cell[1:]
    return cell


def write_sheet(frame: pd.DataFrame, file: Path) -> None:
    """Write a table as CSV that people open."""
    texts = frame.select_dtypes(exclude=["number", "bool", "datetime", "datetimetz"]).columns
    safe = frame.assign(**{name: frame[name].map(harmless) for name in texts})
    safe.set_axis([harmless(name) for name in frame.columns], axis=1).to_csv(file, index=False)
