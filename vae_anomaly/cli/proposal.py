"""One table of what each column is to a model, and what is left out."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from vae_anomaly.cli.console import print_table, print_words

if TYPE_CHECKING:
    from vae_anomaly.data.tables.kinds import Column


def print_proposal(
    columns: Sequence[Column], label: str | None = None, *, title: str = "", err: bool = False
) -> None:
    """Print the columns that a model reads, then those it does not, and how to change that."""
    from vae_anomaly.data.tables.kinds import FEATURE_KINDS

    left_out = [column for column in columns if column.kind not in FEATURE_KINDS]
    read = [column for column in columns if column.kind in FEATURE_KINDS]
    rows = [[c.name, c.kind.value, c.role or "", _why(c)] for c in (*read, *left_out)]
    if label is not None:
        rows.append([label, "", "label", "named: it says what is anomalous"])
    print_table(rows, ["column", "kind", "role", "why"], title, err=err)
    print_words(
        f"{len(left_out)} of {len(columns)} columns are left out. To keep one: --kind "
        f"{shlex.quote(f'{_example(left_out)}=categorical')} (or numeric). To leave out another: "
        "--ignore NAME.",
        err=err,
    )


def _example(left_out: Sequence[Column]) -> str:
    """Return the column that somebody may want to keep: a place, else a person."""
    names = {column.role: column.name for column in reversed(left_out)}
    return names.get("place") or names.get("person") or "NAME"


def _why(column: Column) -> str:
    """Return the first sentence of a note: what to do about it stands once, under the table."""
    return column.note.partition(". ")[0]
