"""Results as lines of JSON, kept one by one, so that a killed benchmark continues."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd


def keep(out: Path, *rows: dict[str, Any]) -> None:
    """Append results to a file."""
    with out.open("a") as file:
        for row in rows:
            file.write(json.dumps(row) + "\n")


def load(out: Path) -> pd.DataFrame:
    """Return the results of a file; half a line at its end, from a killed run, is left out."""
    rows = []
    for line in out.read_text().splitlines() if out.exists() else []:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return pd.DataFrame(rows)
