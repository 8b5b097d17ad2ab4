"""Reviewers' verdicts: read as people write them, joined to scores; items drawn for an audit."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from vae_anomaly.arrays import AnyArray, Bools, Floats, Objects
from vae_anomaly.data.tables.cells import are_fine, read_booleans, read_text
from vae_anomaly.data.tables.keys import read_keys
from vae_anomaly.data.tables.labels import listed_strangers, read_answers
from vae_anomaly.data.tables.read import read_table
from vae_anomaly.data.tables.sheets import as_meant
from vae_anomaly.errors import ConfigError, DataError, SchemaError
from vae_anomaly.thresholds.items import ScoredItems
from vae_anomaly.thresholds.reviews.sample import ReviewedSample
from vae_anomaly.words import names_of, number_of, verb_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

logger = logging.getLogger(__name__)
ITEM_NAMES = ("item", "id", "path", "file", "image", "name")
VERDICT_NAMES = ("verdict", "decision", "review", "outcome", "result", "label")


@dataclass(frozen=True)
class ReadVerdicts:
    """Verdicts of a file, and what of it was not one.

    Parameters
    ----------
    frame : DataFrame
        ``item, is_anomaly, audit, who, when``.
    undecided : int
        Rows without a verdict.
    repeated : int
        Rows on an item that a later row of the file judges again.
    """

    frame: pd.DataFrame
    undecided: int
    repeated: int


def require_unfilled(sheet: Path) -> None:
    """Refuse to write a new sheet in the place of one that was filled in, or of anything else.

    Raises
    ------
    ConfigError
        If it holds a verdict, or is no sheet.
    """
    if not sheet.is_file():
        return
    name = VERDICT_NAMES[0]
    try:
        words = read_table(sheet, as_text=[*ITEM_NAMES, name])[name]
        filled = int((~pd.isna(words) & (words.astype(str).str.strip() != "")).sum())
    except (DataError, KeyError):
        filled = -1
    if filled:
        what = (
            "is no sheet without verdicts"
            if filled < 0
            else f"holds {number_of(filled, 'verdict')}"
        )
        raise ConfigError(
            f"{sheet} {what}, and is not written over. Import it, or give another --out."
        )


def read_verdicts(
    source: str | Path,
    *,
    item: str | None = None,
    verdict: str | None = None,
    id_column: str | None = None,
    ids: Iterable[str] = (),
) -> ReadVerdicts:
    """Read what reviewers decided.

    Parameters
    ----------
    source : path
        CSV or parquet with a column of items (``item``, ``id``, ``path``) and one of verdicts
        (``verdict``, ``decision``, ``label``): confirmed or false alarm, also yes/no, 1/0,
        defect/good. Optional: ``audit`` (drawn at random), ``who``, ``when``.
    item, verdict : str, optional
        Names of these columns, where they are others.
    id_column : str, optional
        The model's id column, which also names items.
    ids : iterable of str
        Of scored items. Spaces around a name are no part of it, but where such an item is among
        these: files are called so.

    Raises
    ------
    SchemaError
        If there is no such column.
    DataError
        If a verdict is neither, or an item has no name.
    """
    known = [*ITEM_NAMES, *([id_column] if id_column else [])]
    frame = read_table(source, as_text=[*known, *([item] if item else [])])
    items = _items(_column(frame, item, known, "items", "--item", str(source)), ids)
    words = _column(frame, verdict, VERDICT_NAMES, "verdicts", "--verdict", str(source))
    labels = _labels(words, str(source))
    decided = np.isfinite(labels)
    nameless = np.flatnonzero(pd.isna(items) & decided)
    if nameless.size:
        raise DataError(
            f"{source} judges an item without a name in row {nameless[0] + 1}. Name it."
        )
    if not decided.any():
        raise DataError(
            f"{source} holds no verdict: {number_of(len(frame), 'row')}, all undecided."
        )
    rows = pd.DataFrame(
        {
            "item": np.asarray(items, dtype=object),
            "is_anomaly": labels == 1,
            "audit": _audit(frame, str(source)),
            "who": _optional_text(frame, ("who", "reviewer")),
            "when": _times(frame, str(source)),
        }
    )[decided]
    if rows["when"].notna().all():
        rows = rows.sort_values("when", kind="stable")
    last = rows.drop_duplicates("item", keep="last", ignore_index=True)
    return ReadVerdicts(last, int((~decided).sum()), len(rows) - len(last))


def require_scored(verdicts: pd.DataFrame, scored: Sequence[ScoredItems], source: str) -> None:
    """Refuse verdicts on items that were never scored.

    Parameters
    ----------
    verdicts : DataFrame
        With the column ``item``.
    scored : sequence of ScoredItems
        Where the items may be.
    source : str
        Where the verdicts are from, in words.

    Raises
    ------
    DataError
        If one is on another item; names the first ones, and the nearest that was scored.
    """
    ids = [str(name) for items in scored for name in items.ids]
    strangers = verdicts["item"][~verdicts["item"].isin(ids)].tolist()
    if strangers:
        raise DataError(
            f"{source} judges {number_of(len(strangers), 'item')} that {verb_for(len(strangers))} "
            f"not among the {len(ids):,} of {', '.join(items.source for items in scored)}: "
            f"{listed_strangers(strangers, ids)}. Correct their names, or give the scores of their "
            "night as well. Nothing was stored."
        )


def reviewed_items(items: ScoredItems, verdicts: pd.DataFrame, flagged: Bools) -> ReviewedSample:
    """Join verdicts to scored items.

    Parameters
    ----------
    verdicts : DataFrame
        ``item, is_anomaly, audit``, one row an item.
    flagged : ndarray of shape (N,), bool
        Flagged when the reviewers saw them.

    Raises
    ------
    DataError
        If no item has a verdict.
    CalibrationError
        As `ReviewedSample.of`.
    """
    ids = pd.Index([str(name) for name in items.ids])
    joined = verdicts.set_index("item").reindex(ids)
    labels = joined["is_anomaly"].astype("float64").to_numpy()
    if not len(verdicts):
        raise DataError(
            "No verdicts are stored with this model. Draw a sheet for the reviewers: vae-anomaly "
            "feedback sample; then store it: vae-anomaly feedback import."
        )
    if not np.isfinite(labels).any():
        raise DataError(
            f"None of the {number_of(len(items), 'item')} of {items.source} has a verdict; "
            f"verdicts are on items like {verdicts['item'].iloc[0]!r}, the scores on items like "
            f"{ids[0]!r}. Import the verdicts on these items: vae-anomaly feedback import."
        )
    strangers = verdicts["item"][~verdicts["item"].isin(ids)].tolist()
    if strangers:
        logger.warning(
            "%d of %d verdicts are on items that are not among the %d of %s, and do not count "
            "here: %s",
            len(strangers), len(verdicts), len(items), items.source,
            listed_strangers(strangers, ids),
        )  # fmt: skip
    return ReviewedSample.of(
        items.scores,
        labels,
        flagged=flagged,
        audit=joined["audit"].astype("boolean").fillna(False).to_numpy(np.bool_),
        groups=items.groups,
        amounts=items.amounts,
    )


def draw_audit(items: ScoredItems, flagged: Bools, n: int, random_state: int = 0) -> pd.DataFrame:
    """List what is to be reviewed: the flagged items, and others drawn at random.

    Returns
    -------
    sheet : DataFrame
        ``item``, ``verdict`` (empty, to be filled in) and ``audit`` (yes = drawn at random).

    Raises
    ------
    DataError
        If every item is flagged.
    """
    others = np.flatnonzero(~flagged)
    if not others.size:
        raise DataError("Every item is flagged: there is none to be drawn. Review the flags.")
    generator = np.random.default_rng(random_state)
    drawn = np.sort(generator.choice(others, min(n, others.size), replace=False))
    chosen = np.concatenate([np.flatnonzero(flagged), drawn])
    audit = np.where(flagged[chosen], "no", "yes")
    return pd.DataFrame({"item": items.ids[chosen], "verdict": "", "audit": audit})


def _column(
    frame: pd.DataFrame,
    given: str | None,
    names: Sequence[str],
    what: str,
    option: str,
    source: str,
) -> pd.Series[Any]:
    lower = {str(column).lower(): column for column in frame.columns}
    name = given if given in frame.columns else None
    if given is None:
        name = next((lower[n.lower()] for n in names if n.lower() in lower), None)
    if name is None:
        raise SchemaError(
            f"{source} has no column {given or ' or '.join(names[:3])!r} of {what}; it has "
            f"{names_of(frame.columns, 20)}. Call it {names[0]!r}; `feedback import` also takes "
            f"its name with {option}."
        )
    column: pd.Series[Any] = frame[name]
    return column


def _items(column: pd.Series[Any], ids: Iterable[str]) -> Objects:
    """Return the name of each item; one that was scored with spaces around it keeps them.

    An apostrophe that a sheet has before what would be a formula is no part of it.
    """
    scored = set(ids)
    spaced = {name for name in scored if name != name.strip()}
    keys = read_keys(column)
    for place, cell in enumerate(column.tolist() if spaced else ()):
        if cell in spaced:
            keys[place] = cell
    for place, key in enumerate(keys):
        if key not in scored:
            keys[place] = as_meant(key)
    return keys


def _labels(column: pd.Series[Any], source: str) -> Floats:
    labels, codes = read_answers(column)
    bad = np.flatnonzero(~are_fine(codes))
    if bad.size:
        raise DataError(
            f"{source} says {column.iloc[bad[0]]!r} in row {bad[0] + 1}, which is no verdict. "
            "Write 'confirmed' or 'false alarm' (also yes/no, 1/0, fraud/legit, defect/good), or "
            "leave it empty."
        )
    return labels


def _audit(frame: pd.DataFrame, source: str) -> Bools:
    if "audit" not in frame.columns:
        return np.zeros(len(frame), dtype=np.bool_)
    values, codes = read_booleans(frame["audit"])
    bad = np.flatnonzero(~are_fine(codes))
    if bad.size:
        raise DataError(
            f"{source} says {frame['audit'].iloc[bad[0]]!r} in row {bad[0] + 1} of audit. Write "
            "yes for an item that was drawn at random, else no."
        )
    return np.asarray(values == 1)


def _optional_text(frame: pd.DataFrame, names: Sequence[str]) -> AnyArray:
    for name in names:
        if name in frame.columns:
            return np.asarray(read_text(frame[name]), dtype=object)
    return np.full(len(frame), None, dtype=object)


def _times(frame: pd.DataFrame, source: str) -> pd.Series[Any]:
    if "when" not in frame.columns:
        return pd.Series(pd.NaT, index=frame.index, dtype="datetime64[ns, UTC]")
    times = pd.to_datetime(frame["when"], utc=True, format="ISO8601", errors="coerce")
    told = np.array([text is not None for text in read_text(frame["when"])], dtype=np.bool_)
    bad = np.flatnonzero(times.isna() & told)
    if bad.size:
        raise DataError(
            f"{source} says {frame['when'].iloc[bad[0]]!r} in row {bad[0] + 1} of when, which is "
            "no time that can be read. Write it like 2026-05-01T22:10."
        )
    return times
