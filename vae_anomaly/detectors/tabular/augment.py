"""More rows like some given ones, marked as generated; and marked rows kept out of training."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from vae_anomaly.arrays import AnyArray
from vae_anomaly.data.tables.generated import (
    SYNTHETIC,
    is_marked,
    refuse_taken_name,
    synthetic_rows,
    synthetic_words,
)
from vae_anomaly.detectors.latent_space import SamplerName, fitted_sampler, seeded_generator
from vae_anomaly.detectors.tabular.input import has_names, read_frame
from vae_anomaly.errors import ConfigError

if TYPE_CHECKING:
    from vae_anomaly.detectors.tabular.detector import TabularVAEDetector

logger = logging.getLogger(__name__)


def augment_rows(
    detector: TabularVAEDetector,
    rows: pd.DataFrame,
    n: int,
    sampler: SamplerName,
    random_state: int | None,
) -> pd.DataFrame:
    """Return the rows, then n generated ones like them; see `TabularVAEDetector.augment`."""
    if n < 1 or sampler not in ("normal", "gmm"):
        raise ConfigError(
            "augment needs n >= 1 and a sampler of normal or gmm, which is fitted to the rows; "
            f"got n={n} and sampler={sampler!r}. For rows from the prior call sample()."
        )
    features = [column.name for column in detector.schema_.features]
    refuse_taken_name(features)
    rows = rows.reset_index(drop=True)
    earlier = synthetic_rows(rows)
    latents = np.asarray(detector.transform(rows[~earlier]), dtype=np.float32)
    generator = seeded_generator(random_state)
    drawn = fitted_sampler(sampler, latents).sample(n, generator)
    made = detector._generate(drawn, generator)
    columns = {
        str(name): _lengthened(rows[name], made[name] if name in features else None, n)
        for name in rows.columns
        if name != SYNTHETIC
    }
    marks = np.concatenate([earlier, np.ones(n, dtype=np.bool_)])
    return pd.DataFrame({**columns, SYNTHETIC: marks})


def only_real(X: Any, groups: Any, declared: Collection[str]) -> tuple[Any, Any]:
    """Return a training table and its groups without generated rows and without their mark.

    Parameters
    ----------
    X : table of N rows
    groups : array of shape (N,), str or None
    declared : collection of str
        Columns of which the caller said what they are.
    """
    if not has_names(X):
        return X, groups
    frame = read_frame(X)
    if not is_marked(frame, declared):
        return X, groups
    made = synthetic_rows(frame)
    if made.any():
        logger.warning("%s.", synthetic_words(int(made.sum()), len(made)))
    if made.any() and groups is not None and not isinstance(groups, str):
        groups = np.asarray(groups, dtype=object).ravel()
        groups = groups[~made] if len(groups) == len(made) else groups
    return frame[~made].drop(columns=SYNTHETIC), groups


def _lengthened(column: pd.Series, made: pd.Series | None, n: int) -> pd.Series:
    """Return a column with n generated cells after its own.

    A column that the model does not read keeps its value where that is one and the same (a label),
    and stays empty otherwise (an id).
    """
    if made is not None:
        return pd.concat([column, _as_stored(made, column)], ignore_index=True)
    longer = column.reindex(range(len(column) + n))
    if len(pd.unique(column)) == 1:
        same: AnyArray = np.repeat(column.to_numpy()[:1], len(longer))
        return pd.Series(same).astype(column.dtype)
    return longer


def _as_stored(made: pd.Series, like: pd.Series) -> pd.Series:
    """Return generated cells in the type of the column that they continue."""
    kind = like.dtype
    if pd.api.types.is_bool_dtype(kind):
        return (made > 0.5).astype(kind)
    if pd.api.types.is_integer_dtype(kind):
        return made.round().astype(kind)
    if isinstance(kind, pd.CategoricalDtype) and made.isin(kind.categories).all():
        return made.astype(kind)
    if not pd.api.types.is_datetime64_dtype(made.dtype):
        return made
    if isinstance(kind, pd.DatetimeTZDtype):
        zoned: pd.Series = made.dt.tz_localize("UTC").astype(kind)
        return zoned
    if pd.api.types.is_datetime64_dtype(kind):
        return made.astype(kind)
    text: pd.Series = made.dt.strftime("%Y-%m-%dT%H:%M:%S")
    return text
