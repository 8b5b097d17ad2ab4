"""Find the label of each item: in a column beside it, or in a file of labels, by its id."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from vae_anomaly.arrays import AnyArray, Floats, Objects
from vae_anomaly.data.tables.cells import read_text
from vae_anomaly.data.tables.keys import read_keys
from vae_anomaly.data.tables.labels.read import MAX_KINDS, read_labels, require_rare_anomalies
from vae_anomaly.data.tables.labels.strangers import listed_strangers
from vae_anomaly.data.tables.read import iter_batches, read_table
from vae_anomaly.errors import ConfigError, DataError, SchemaError, did_you_mean
from vae_anomaly.storage.addresses import is_remote
from vae_anomaly.words import names_of

logger = logging.getLogger(__name__)


class MatchedLabels(NamedTuple):
    """Labels of a table's rows.

    Parameters
    ----------
    labels : ndarray of shape (N,), float64
        1 = anomaly, 0 = normal, NaN = not labelled.
    kinds : ndarray of shape (N,), object, or None
    unused : int
        Labels of a file that belong to no row.
    """

    labels: Floats
    kinds: Objects | None
    unused: int = 0


def find_labels(
    labels_at: str, frame: pd.DataFrame, ids: AnyArray | None, id_column: str | None
) -> tuple[Floats, Objects | None]:
    """Return labels and kinds of a table's rows, as `match_labels` finds them."""
    return match_labels(labels_at, frame, ids, id_column)[:2]


def match_labels(
    labels_at: str, frame: pd.DataFrame, ids: AnyArray | None, id_column: str | None
) -> MatchedLabels:
    """Find the labels of a table's rows, in a column of it or in another file.

    Where rows and labels of a file match in part, both sides are counted in a warning.

    Parameters
    ----------
    labels_at : str
        ``COLUMN``, or ``FILE:COLUMN`` for labels kept apart and joined by the item's id.
    ids : ndarray of shape (N,), or None
        What names the rows; needed for ``FILE:COLUMN``.
    id_column : str, optional
        Column of the file that holds the ids; ``id`` also counts.

    Raises
    ------
    SchemaError, ConfigError, DataError
        If there is no such column; labels are apart and nothing names the rows; an id has two
        different labels, or no row has one.
    """
    apart = _apart(labels_at, [str(name) for name in frame.columns])
    if apart is None:
        return MatchedLabels(*read_labels(column_of(frame, labels_at, "--labels")))
    if ids is None:
        raise _unnamed(apart[0])
    keys, labels, kinds = _label_file(*apart, id_column)
    return _joined(keys, labels, kinds, read_keys(pd.Series(ids)), apart[0])


class PieceLabels:
    """Labels of a long table whose rows come in pieces; asked for and refused as by `find_labels`.

    Labels of a file are held in memory; the column of a table is looked through once, for what its
    values are.

    Attributes
    ----------
    column : str
        The column of the table that labels its rows or names them.
    """

    def __init__(self, labels_at: str, files: Sequence[Path], id_column: str | None) -> None:
        first = next(iter_batches(files[0], 1))
        apart = _apart(labels_at, [str(name) for name in first.columns])
        self._source, self.column = labels_at, labels_at
        self._read = read_text if apart is None else read_keys
        if apart is None:
            column_of(first, labels_at, "--labels")
            counts = _counts(files, labels_at)
            values = pd.Series([*counts], name=labels_at, dtype=object)
            labels = read_labels(values)[0]
            require_rare_anomalies(counts, labels_at)
            self._known = pd.Series(labels, index=values.to_numpy(), dtype=np.float64)
        elif id_column is None:
            raise _unnamed(apart[0])
        else:
            keys, labels, kinds = _label_file(*apart, id_column)
            self._source, self.column = apart[0], id_column
            self._known = _one_label_each(keys, labels, kinds, apart[0])["label"]
        self._met = np.zeros(len(self._known), dtype=np.bool_)
        self._seen = self._bare = 0

    def of(self, cells: pd.Series) -> Floats:
        """Return the labels of the next rows by their cells of `column`, (N,); NaN without one."""
        places = self._known.index.get_indexer(pd.Index(self._read(cells), dtype=object))
        self._met[places[places >= 0]] = True
        values = self._known.to_numpy(np.float64)
        labels: Floats = np.where(places >= 0, values[places], np.nan)
        self._seen, self._bare = self._seen + len(cells), self._bare + int(np.isnan(labels).sum())
        return labels

    def check_found(self) -> None:
        """Raise `DataError` if no row had a label; warn of labels of a file that no row has."""
        labelled = self._known.notna().to_numpy()
        if not (self._met & labelled).any():
            raise DataError(f"{self._source} labels none of the rows. Check the labels and ids.")
        if self._read is read_keys:
            unused = self._known.index[labelled & ~self._met].tolist()
            _tell_matches(self._source, int(labelled.sum()), unused, (), self._bare, self._seen)


def _counts(files: Sequence[Path], column: str) -> Counter[str]:
    """Count the texts of a column, in the order they appear; no more than say it is no label."""
    texts: Counter[str] = Counter()
    for file in files:
        for frame in iter_batches(file, columns=[column]):
            texts.update(text for text in read_text(frame[column]) if text is not None)
            if len(texts) > 10 * MAX_KINDS:
                return texts
    return texts


def _apart(labels_at: str, columns: Sequence[str]) -> tuple[str, str] | None:
    """Return file and column where labels are kept apart from the table."""
    file, _, column = labels_at.rpartition(":")
    if labels_at in columns or not file:
        return None
    return (file, column) if is_remote(file) or Path(file).exists() else None


def _unnamed(file: str) -> ConfigError:
    return ConfigError(
        f"The labels of {file} are joined by id, but nothing names the rows. "
        "Train with --id-column NAME, or put the labels into the table itself."
    )


def _label_file(
    file: str, column: str, id_column: str | None
) -> tuple[Objects, Floats, Objects | None]:
    """Read ids, labels and kinds of a file of labels."""
    names = [name for name in (id_column, "id") if name is not None]
    table = read_table(file, as_text=names)
    key = next((name for name in names if name in table.columns), None)
    if key is None:
        raise SchemaError(
            f"{file} has no column {id_column or 'id'!r} to join by. It has "
            f"{names_of(table.columns, 20)}. Rename the one that holds the ids."
        )
    return read_keys(table[key]), *read_labels(column_of(table, column, "--labels"))


def column_of(frame: pd.DataFrame, name: str, option: str) -> pd.Series:
    """Return a column; the SchemaError says which there are."""
    if name not in frame.columns:
        names = [str(column) for column in frame.columns]
        raise SchemaError(
            f"The table has no column {name!r}{did_you_mean(name, names)}. It has "
            f"{names_of(names, 20)}. Give one of them, or FILE:COLUMN, to {option}."
        )
    column: pd.Series = frame[name]
    return column


def _one_label_each(
    keys: Objects, labels: Floats, kinds: Objects | None, file: str
) -> pd.DataFrame:
    """Return label and kind by id, or say which id has two labels."""
    known = pd.DataFrame({"label": labels, "kind": kinds}, index=keys)
    known = known[~known.reset_index().duplicated().to_numpy()]
    twice = known.index[known.index.duplicated()]
    if len(twice):
        raise DataError(f"{file} gives the id {twice[0]!r} two different labels. Keep one.")
    return known


def _joined(
    keys: Objects, labels: Floats, kinds: Objects | None, ids: Objects, file: str
) -> MatchedLabels:
    known = _one_label_each(keys, labels, kinds, file)
    found = known.reindex(ids)
    if not found["label"].notna().any():
        raise DataError(
            f"{file} labels none of these items; its ids look like {keys[0]!r}, the items' like "
            f"{ids[0]!r}. Check the id columns."
        )
    labelled = known.index[known["label"].notna()]
    unused = labelled[~labelled.isin(ids)].tolist()
    n_bare = int(found["label"].isna().sum())
    _tell_matches(file, len(labelled), unused, ids.tolist(), n_bare, len(ids))
    return MatchedLabels(
        found["label"].to_numpy(np.float64),
        None if kinds is None else found["kind"].to_numpy(dtype=object),
        len(unused),
    )


def _tell_matches(
    file: str, n_labels: int, unused: list[str], ids: Iterable[object], n_bare: int, n_items: int
) -> None:
    """Warn of labels that belong to no item, and say how many items have no label."""
    if unused:
        named = listed_strangers(unused, ids)
        logger.warning(
            "%d of the %d labels in %s belong to no item here: %s",
            len(unused), n_labels, file, named,
        )  # fmt: skip
    if n_bare:
        logger.warning("%d of %d items have no label in %s", n_bare, n_items, file)
