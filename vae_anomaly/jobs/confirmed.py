"""Which items of a training set reviewers have confirmed as anomalies: they train nothing.

They are found by the ids that scoring gives: of a row the cell of the id column, else ``FILE#ROW``;
of an image its path below the input.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from vae_anomaly.arrays import Objects
from vae_anomaly.batch.plan import named_tables
from vae_anomaly.data.images.folders import ImageItem
from vae_anomaly.detectors.base import BaseVAEDetector
from vae_anomaly.errors import ModelRefusedError
from vae_anomaly.names import spelled
from vae_anomaly.tracking import load_feedback, registered_name
from vae_anomaly.words import names_of, number_of, verb_for

_NAMED: Final = 10


@dataclass(frozen=True)
class ConfirmedAnomalies:
    """Items that reviewers have confirmed as anomalies.

    Parameters
    ----------
    model : str
        Registered name of the model that the verdicts are kept with.
    ids : frozenset of str
    """

    model: str
    ids: frozenset[str]


@dataclass(frozen=True)
class LeftOutConfirmed:
    """Confirmed anomalies that a training set was rid of.

    Parameters
    ----------
    of : ConfirmedAnomalies
    ids : tuple of str
        Of the items that were left out, in their order.
    n_found : int
        Confirmed items that are in the input, those that its labels leave out included.
    example : str
        What an item of the input is called; empty where there is none.
    """

    of: ConfirmedAnomalies
    ids: tuple[str, ...]
    n_found: int
    example: str = ""

    @property
    def n_elsewhere(self) -> int:
        """Confirmed items that are not in the input."""
        return len(self.of.ids) - self.n_found

    def notes(self) -> tuple[str, ...]:
        """Say what was left out, and how many confirmed items are elsewhere."""
        if not self.of.ids:
            return (f"reviewers of {self.of.model} have confirmed no anomaly yet: none left out",)
        n, absent = len(self.ids), self.n_elsewhere
        left = f"{number_of(n, 'item')} ({names_of(self.ids, _NAMED)})" if n else "no item"
        note = f"left out: {left} that reviewers of {self.of.model} confirmed as anomalies"
        if absent:
            of = number_of(len(self.of.ids), "confirmed item")
            note += f"; {absent:,} of {of} {verb_for(absent)} not in the input"
        return (note,)

    def warnings(self) -> tuple[str, ...]:
        """Warn where no confirmed item is in the input, as where ids are of another kind."""
        if self.n_found or not self.of.ids:
            return ()
        return (
            f"no confirmed item of {self.of.model} is in the input: they are called like "
            f"{min(self.of.ids)!r}, its items like {self.example!r}. Of a table name the column of "
            "ids (--id-column); of images give the folder that was scored",
        )


def confirmed_anomalies(
    model: str, uri: str | Path | None = None, *, may_be_new: bool = False
) -> ConfirmedAnomalies:
    """Return the items of a registered model that reviewers have confirmed as anomalies.

    Parameters
    ----------
    model : str
        ``NAME``, ``models:/NAME@ALIAS`` or ``models:/NAME/VERSION``.
    uri : str or Path, optional
        The MLflow store.
    may_be_new : bool
        Whether there may be no such model yet; then nothing is confirmed.

    Raises
    ------
    ModelRefusedError
        If the registry holds no model of that name.
    """
    name = registered_name(model)
    try:
        verdicts = load_feedback(name, uri)
    except ModelRefusedError:
        if may_be_new:
            return ConfirmedAnomalies(name, frozenset())
        raise
    yes = verdicts["is_anomaly"].astype(bool)
    return ConfirmedAnomalies(name, frozenset(map(str, verdicts["item"][yes])))


class ConfirmedRows:
    """Find confirmed anomalies among the rows of tables.

    Parameters
    ----------
    confirmed : ConfirmedAnomalies
    source : path, folder, glob, or list of these
        As for the training.
    id_column : str, optional
        What names the rows; without it they are called ``FILE#ROW``.
    """

    def __init__(
        self,
        confirmed: ConfirmedAnomalies,
        source: str | Path | Sequence[str | Path],
        id_column: str | None = None,
    ) -> None:
        self.confirmed, self.id_column = confirmed, id_column
        one = source if isinstance(source, str | Path) or len(source) != 1 else source[0]
        self._names = {path: spelled(name.as_posix()) for path, name in named_tables(one)}
        self._rows = _by_file(confirmed.ids)
        self._found: set[str] = set()
        self.example = ""

    def numbered(self, file: Path, start: int, n: int) -> Objects:
        """Return the ids of confirmed ones of the n rows of a file from ``start`` on, else None."""
        name, ids = self._names[file], np.full(n, None, dtype=object)
        self.example = self.example or f"{name}#1"
        for row in self._rows.get(name, ()):
            if start <= row < start + n:
                ids[row - start] = f"{name}#{row + 1}"
        self._found.update(ids[pd.notna(ids)].tolist())
        return ids

    def named(self, keys: Objects) -> Objects:
        """Return the ids of confirmed ones of rows with these keys, (N,), else None."""
        self.example = self.example or next((str(key) for key in keys if key is not None), "")
        known = self.confirmed.ids
        ids = np.array([key if key in known else None for key in keys], dtype=object)
        self._found.update(ids[pd.notna(ids)].tolist())
        return ids

    def left_out(self, ids: Sequence[str]) -> LeftOutConfirmed:
        """Return what was left out, once all rows were seen."""
        return LeftOutConfirmed(self.confirmed, tuple(ids), len(self._found), self.example)


def keep_confirmed(detector: BaseVAEDetector, out: LeftOutConfirmed | None) -> None:
    """Keep with a fitted detector which confirmed anomalies its training left out; count them."""
    if out is not None:
        detector.left_out_confirmed_ = out.ids
        detector.metrics_ = detector.metrics_ | {"left_out_confirmed": float(len(out.ids))}


def _by_file(ids: frozenset[str]) -> dict[str, list[int]]:
    """Return the numbers, from 0, of rows that are called ``FILE#ROW``, by the file."""
    rows: dict[str, list[int]] = defaultdict(list)
    for name in sorted(ids):
        file, mark, number = name.rpartition("#")
        if mark and number.isascii() and number.isdigit() and not number.startswith("0"):
            rows[file].append(int(number) - 1)
    return dict(rows)


def without_confirmed(
    items: Sequence[ImageItem], confirmed: ConfirmedAnomalies, listed: Sequence[ImageItem]
) -> tuple[list[ImageItem], LeftOutConfirmed]:
    """Part good images from confirmed anomalies; ``listed`` are all images of the input."""
    kept = [item for item in items if item.id not in confirmed.ids]
    out = tuple(item.id for item in items if item.id in confirmed.ids)
    n_found = len(confirmed.ids.intersection(item.id for item in listed))
    return kept, LeftOutConfirmed(confirmed, out, n_found, listed[0].id if listed else "")
