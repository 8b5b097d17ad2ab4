"""One table of what each column is to a model, and what is left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vae_anomaly.cli.console import print_table, print_words
from vae_anomaly.names import typed
from vae_anomaly.words import number_of

if TYPE_CHECKING:
    from vae_anomaly.data.tables.kinds import Column


def print_proposal(
    columns: Sequence[Column], label: str | None = None, *, title: str = "", err: bool = False
) -> None:
    """Print the columns that a model reads, then those it does not, and how to change that.

    Numbered columns, such as V1 to V28, share a row where the same is said of them.
    """
    from vae_anomaly.data.tables.families import told_together
    from vae_anomaly.data.tables.kinds import FEATURE_KINDS

    left_out = [column for column in columns if column.kind not in FEATURE_KINDS]
    read = [column for column in columns if column.kind in FEATURE_KINDS]
    told = ((c.name, (c.kind.value, c.role or "", _why(c))) for c in (*read, *left_out))
    rows = [[names, *said] for names, said in told_together(told)]
    if label is not None:
        rows.append([label, "", "label", "named: it says what is anomalous"])
    print_table(rows, ["column", "kind", "role", "why"], title, err=err)
    print_words(
        f"{_how_to_keep(left_out, len(columns))} To leave out another: --ignore NAME.", err=err
    )


def _how_to_keep(left_out: Sequence[Column], n: int) -> str:
    if not left_out:
        return "All columns are read."
    kept = f"{_example(left_out)}=categorical"
    are = "is" if len(left_out) == 1 else "are"
    return (
        f"{len(left_out):,} of {number_of(n, 'column')} {are} left out. To keep one: "
        f"--kind {typed(kept)} (or numeric)."
    )


def _example(left_out: Sequence[Column]) -> str:
    """Return the column that somebody may want to keep: a place, else a person."""
    names = {column.role: column.name for column in reversed(left_out)}
    return names.get("place") or names.get("person") or "NAME"


def _why(column: Column) -> str:
    """Return the first sentence of a note: what to do about it stands once, under the table."""
    return column.note.partition(". ")[0]
