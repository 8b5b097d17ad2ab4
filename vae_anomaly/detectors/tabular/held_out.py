"""Held-out rows as their fold's model sees them: the strangest, to be explained like any row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from vae_anomaly.arrays import Floats, Ints
from vae_anomaly.detectors.held_out import HeldOut
from vae_anomaly.detectors.tabular.examination import TableExamination
from vae_anomaly.detectors.tabular.model import TabularModel
from vae_anomaly.scoring.conformal import ConditionalScale


@dataclass(frozen=True)
class HeldOutRows(HeldOut):
    """Held-out rows, and the strangest of them as a model sees them that was fitted without.

    Parameters
    ----------
    seen : tuple of (ndarray of int, TableExamination)
        Places in the training table, and what the model of their fold finds about these rows.
    """

    seen: tuple[tuple[Ints, TableExamination], ...] = ()


def held_out_rows(
    models: Sequence[TabularModel],
    held_out: Sequence[Ints],
    used: pd.DataFrame,
    places: Ints,
    judged: HeldOut,
    scale: ConditionalScale | None,
) -> HeldOutRows:
    """Keep the strangest rows with the model that has not seen them.

    Parameters
    ----------
    models : sequence of TabularModel
        One a fold.
    held_out : sequence of ndarray of int
        Rows of ``used`` that each of them has not seen.
    used : DataFrame of n rows, in their types
    places : ndarray of shape (n,)
        Where these stand in the training table.
    judged : HeldOut
    scale : ConditionalScale, optional
        Of a conditional model, what makes the scores of all conditions one.
    """
    wanted = judged.places[judged.strangest()]
    seen = []
    for model, rows in zip(models, held_out, strict=True):
        own = rows[np.isin(places[rows], wanted)]
        if len(own):
            shown = TableExamination(replace(model, scale=scale), used.iloc[own])
            seen.append((places[own], shown))
    return HeldOutRows(judged.places, judged.raw_score, judged.groups, tuple(seen))


def raw_scores_of(held: HeldOut, places: Ints) -> Floats:
    """Return the raw scores that held-out items at some places were given, (N,)."""
    order = np.argsort(held.places, kind="stable")
    return np.asarray(held.raw_score[order[np.searchsorted(held.places[order], places)]])
