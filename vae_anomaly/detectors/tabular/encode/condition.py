"""Rows as a product, machine or mode lets one expect them: the condition of a conditional VAE.

A feature is centred and scaled by what training had *within its condition*, so that rows of all
conditions compare: a change of product moves nothing, a value of another product lies far away.
Means and variances of conditions with few rows are drawn towards those of the whole table.

The condition's own features stay one-hot, two conditions lying `APART`; its frequency is left out:
that a product is rare is no reason for an alarm. A condition never seen in training lies `UNSEEN`
from every row, and its rows are compared with the whole table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from vae_anomaly.arrays import AnyArray, Arrays, Floats, Floats32, Ints
from vae_anomaly.detectors.tabular.encode.columns import MATCH, CategoricalColumn, NumericColumn
from vae_anomaly.detectors.tabular.encode.table import TableEncoder
from vae_anomaly.detectors.tabular.encode.views import View
from vae_anomaly.errors import ConfigError, DataError
from vae_anomaly.names import typed
from vae_anomaly.words import names_of

SHRINKAGE = 10.0  # rows that the whole table counts for, in the moments of a condition
APART = 2.0  # between two conditions, standard deviations: with 1, others vouch for broken rows
UNSEEN = 10.0  # to a condition never seen, standard deviations
SMALLEST_SCALE = 0.02  # of a feature within a condition, in its standard deviations over the table


def find_condition(encoder: TableEncoder, name: str) -> int:
    """Return the number of the column that rows are conditioned on.

    A `ConfigError` says that there is no such column, or that it has no categories in training.
    """
    if name not in encoder.names:
        why = encoder.dropped.get(name)
        raise ConfigError(
            f"condition={name!r} names no column that the model reads{f' ({why})' if why else ''}. "
            f"Columns: {names_of(encoder.names, 20)}."
        )
    column = encoder.names.index(name)
    named = encoder.columns[column]
    if isinstance(named, CategoricalColumn):
        return column
    if not isinstance(named, NumericColumn) or not named.boolean:
        raise ConfigError(
            f"condition={name!r} is a {named.kind} column, and a condition has categories. Declare "
            f"it with column_kinds={{{name!r}: 'categorical'}} (--kind {typed(name)}=categorical), "
            "or choose another column."
        )
    if len(named.levels) < 2:
        raise ConfigError(
            f"condition={name!r} has one value only in training ({named.levels[0]:g}), so it tells "
            "nothing. Use model='vae', or train on rows of both values."
        )
    return column


@dataclass(frozen=True)
class Condition:
    """One column as the condition of one view."""

    places: Ints  # (P,), features that tell the condition
    own: Ints  # all features of the column
    book: Floats32  # (codes, P), the view of each code there; the last one is "never seen"
    center: Floats  # (codes, D), within each condition, in the view's unit; 0 where left alone
    scale: Floats  # (codes, D), the same; 1 where left alone

    @classmethod
    def fit(cls, encoder: TableEncoder, column: int, view: View, viewed: Floats32) -> Self:
        """Learn the moments of each condition from training rows as the view shows them, (N, D)."""
        where, values = encoder.codebook()[encoder.discrete.index(column)]
        one_hot = isinstance(encoder.columns[column], CategoricalColumn)
        places = np.arange(where.start, where.start + (len(values) if one_hot else 1))
        book = [view.column(int(j), values[:, i]) for i, j in enumerate(places)]
        shape = (len(values), viewed.shape[1])
        features = np.arange(where.start, where.stop)
        blank = cls(
            places,
            features,
            np.stack(book, axis=1).astype(np.float32),
            np.zeros(shape),
            np.ones(shape),
        )
        alone = encoder.fixed.copy()  # one-hot features and gaps of other columns
        alone[features] = True
        center, scale = _moments(
            viewed.astype(np.float64), blank._nearest(viewed[:, places]), len(values)
        )
        return replace(
            blank, center=np.where(alone, 0.0, center), scale=np.where(alone, 1.0, scale)
        )

    @property
    def scale_of_levels(self) -> float:
        """What turns those features into 0 and 1 where they are one-hot."""
        return float(1.0 / (APART * MATCH)) if len(self.places) > 1 else 1.0 / APART

    @property
    def levels(self) -> tuple[int, ...]:
        """Features that an encoder is told: all `places` but the one for "never seen"."""
        return tuple(int(j) for j in (self.places[:-1] if len(self.places) > 1 else self.places))

    def codes(self, relative: Floats32) -> Ints:
        """Return the code of each row's condition, shape (N,), of rows that `apply` returned."""
        return self._nearest(relative[:, self.places] / APART)

    def _nearest(self, cells: Floats32) -> Ints:
        apart = cells[:, None, :] - self.book  # (N, codes, P)
        return np.asarray(np.square(apart).sum(axis=2).argmin(axis=1), dtype=np.int64)

    def apply(self, viewed: Floats32) -> Floats32:
        """Return rows relative to what their condition lets one expect, (N, D), float32."""
        codes = self._nearest(viewed[:, self.places])
        relative = (viewed - self.center[codes]) / self.scale[codes]
        rest = np.setdiff1d(self.own, self.places)  # the surprisal, or that the cell was empty
        relative[:, rest] = 0.0
        relative[:, self.places] *= APART
        relative[codes == len(self.book) - 1, self.own[-1]] = UNSEEN
        return np.asarray(relative, dtype=np.float32)

    def restore(self, feature: int, relative: Floats, like: Floats32) -> Floats:
        """Return the view's values of one feature that `apply` made into ``relative``, shape (N,).

        The conditions are those of the rows ``like``, (N, D), as `apply` returns them.
        """
        codes = self.codes(like)
        return np.asarray(relative * self.scale[codes, feature] + self.center[codes, feature])

    def state(self) -> Arrays:
        """Return the arrays that `from_state` needs."""
        return dict(vars(self))

    @classmethod
    def from_state(cls, arrays: Mapping[str, AnyArray]) -> Self:
        """Make it again."""
        made = cls(**arrays)
        shape = len(made.book), *made.center.shape[1:]
        features = np.concatenate([made.places, made.own])
        if (
            made.book.shape != (len(made.book), len(made.places))
            or not made.center.shape == made.scale.shape == shape
            or features.min() < 0
            or features.max() >= made.center.shape[1]
        ):
            raise DataError("The arrays of a condition do not belong together.")
        return made


def _moments(rows: Floats, codes: Ints, n_codes: int) -> tuple[Floats, Floats]:
    """Return mean and standard deviation within each condition, each (codes, D), shrunk."""
    count = np.bincount(codes, minlength=n_codes).astype(np.float64)[:, None]
    member = np.eye(n_codes)[codes]  # (N, codes)
    means = (member.T @ rows) / np.maximum(count, 1.0)
    squared = (member.T @ np.square(rows - means[codes])) / np.maximum(count, 1.0)
    within = np.square(rows - means[codes]).mean(axis=0)
    share = count / (count + SHRINKAGE)
    center = share * means + (1.0 - share) * rows.mean(axis=0)
    scale = np.sqrt(share * squared + (1.0 - share) * within)
    occurs = count > 0.0  # a condition never seen is compared with the whole table
    scale = np.where(occurs, np.maximum(scale, SMALLEST_SCALE), 1.0)
    return np.where(occurs, center, 0.0), scale
