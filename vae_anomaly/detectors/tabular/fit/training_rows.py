"""The rows of a training table: real ones, each as often as it counts, and their schema."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from vae_anomaly.arrays import Ints
from vae_anomaly.data.tables.generated import SYNTHETIC, is_marked, synthetic_rows, synthetic_words
from vae_anomaly.data.tables.schema import Schema
from vae_anomaly.detectors.tabular.input import has_names, read_frame
from vae_anomaly.errors import ConfigError
from vae_anomaly.words import names_of, number_of

logger = logging.getLogger(__name__)

MAX_ROWS_TO_INFER = 100_000
MAX_WEIGHTED_ROWS = 10_000_000


@dataclass(frozen=True)
class CountedRows:
    """The rows of a training table, each as often as it counts."""

    frame: pd.DataFrame
    distinct: pd.DataFrame  # the same rows once each; the schema is inferred from these
    groups: Ints | None  # of each row; copies of a row are one group where there are no others
    grouped: bool  # whether the caller gave groups
    labels: pd.Index  # of the caller's table


def only_real(X: object, groups: object, declared: Collection[str]) -> tuple[object, object]:
    """Return a training table and its groups without generated rows and without their mark.

    A column of which the caller declared what it is, is no mark.
    """
    if not has_names(X):
        return X, groups
    frame = read_frame(X)
    if not is_marked(frame, declared):
        return X, groups
    generated = synthetic_rows(frame)
    if generated.any():
        logger.warning("%s.", synthetic_words(int(generated.sum()), len(generated)))
    if generated.any() and groups is not None and not isinstance(groups, str):
        groups = np.asarray(groups, dtype=object).ravel()
        groups = groups[~generated] if len(groups) == len(generated) else groups
    return frame[~generated].drop(columns=SYNTHETIC), groups


def group_column(frame: pd.DataFrame, groups: object) -> object:
    """Return the groups themselves, where ``groups`` names a column of the table."""
    if not isinstance(groups, str):
        return groups
    if groups not in frame.columns:
        raise ConfigError(
            f"groups names column {groups!r}, which the table does not have. Columns: "
            f"{names_of(frame.columns, 20)}."
        )
    return frame[groups].to_numpy()


def counted_rows(
    frame: pd.DataFrame, groups: object, weights: object, rng: np.random.Generator
) -> CountedRows:
    """Let every row of a training table count as often as its weight says."""
    codes = group_codes(group_column(frame, groups), len(frame))
    rows = weighted_rows(weights, len(frame), rng)
    grouped = groups is not None
    if rows is None:
        return CountedRows(frame, frame, codes, grouped, frame.index)
    once = np.unique(rows)
    if codes is None and len(once) < len(rows):
        codes = np.arange(len(frame))
    counted = frame.iloc[rows].reset_index(drop=True)
    codes = None if codes is None else group_codes(codes[rows], len(rows))
    return CountedRows(counted, frame.iloc[once], codes, grouped, frame.index[rows])


def infer_schema(
    frame: pd.DataFrame,
    kinds: Mapping[str, str] | None,
    groups: object,
    *,
    named: bool,
    rng: np.random.Generator,
) -> Schema:
    """Infer the schema of a training table.

    ``kinds`` stand whatever the values say. A column that names the groups is no feature. A table
    without names of its own, a bare array of numbers, has numeric columns only.
    """
    overrides = dict(kinds or {})
    if isinstance(groups, str):
        overrides.setdefault(groups, "identifier")
    if not named and all(np.issubdtype(dtype, np.number) for dtype in frame.dtypes):
        overrides = dict.fromkeys(frame.columns, "numeric") | overrides
    if len(frame) > MAX_ROWS_TO_INFER:
        rows = rng.choice(len(frame), MAX_ROWS_TO_INFER, replace=False)
        frame = frame.iloc[np.sort(rows)]
    return Schema.infer(frame, overrides=overrides)


def group_codes(groups: object, n_rows: int) -> Ints | None:
    """Return groups as codes from 0, shape (N,), or None where there are none.

    A `ConfigError` says that there is not one group per row, or only one group.
    """
    if groups is None:
        return None
    names = np.asarray(groups, dtype=object).ravel()
    if len(names) != n_rows:
        raise ConfigError(
            f"groups must name one group per row; got {len(names)} for {number_of(n_rows, 'row')}. "
            "Pass the group column of the same table."
        )
    codes = np.unique(names.astype(str), return_inverse=True)[1].astype(np.int64)
    if codes.max() == 0:
        raise ConfigError(
            f"All {number_of(n_rows, 'row')} belong to one group, so none can be held out. "
            "Pass at least two groups, or none."
        )
    return codes


def weighted_rows(weights: object, n_rows: int, rng: np.random.Generator) -> Ints | None:
    """Return which rows a table has when each counts as often as its weight says, ascending.

    A row of weight 2 comes twice, one of weight 0 never, one of weight 0.3 with probability 0.3.
    None without weights, or where all are 1. Weights that are not one per row, are negative,
    infinite or missing, or together make no row, or far too many, raise `ConfigError`.
    """
    if weights is None:
        return None
    values = np.asarray(weights, dtype=np.float64)
    if values.shape != (n_rows,):
        raise ConfigError(
            f"sample_weight must name one weight per row; got shape {values.shape} for {n_rows} "
            "rows. Pass an array of one dimension."
        )
    total = values.sum()
    if not np.all(values >= 0) or not 0 < total <= MAX_WEIGHTED_ROWS:
        raise ConfigError(
            "sample_weight says how often a row counts: numbers from 0 that add up to at most "
            f"{MAX_WEIGHTED_ROWS:,}, not all zero. Got {values.min():g} to {values.max():g}, sum "
            f"{total:g}. Divide large weights by their mean."
        )
    times = np.floor(values)
    part = values - times
    if part.any():
        times += rng.random(n_rows) < part
    return None if np.all(times == 1) else np.repeat(np.arange(n_rows), times.astype(np.int64))
