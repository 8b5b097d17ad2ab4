"""Fit a table detector: rows into folds, a model a fold, and scores of rows that none of it saw.

::

    training rows ── folds ── encode ── networks ── memories ── trust ── TabularModel of each fold
                                                                              │
    the model of the first fold, and raw scores of all held-out rows   ◄── examine
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from vae_anomaly.arrays import Bools, Floats, Ints
from vae_anomaly.data.tables.schema import Schema
from vae_anomaly.detectors.held_out import HeldOut
from vae_anomaly.detectors.tabular.encode.condition import find_condition
from vae_anomaly.detectors.tabular.encode.table import TableEncoder
from vae_anomaly.detectors.tabular.examination import TableExamination
from vae_anomaly.detectors.tabular.fit.collapse import latent_health
from vae_anomaly.detectors.tabular.fit.folds import Fold, only_used, plan_rows
from vae_anomaly.detectors.tabular.fit.memories import max_memory_rows, plan_memory, remember
from vae_anomaly.detectors.tabular.fit.networks import (
    PreparedFold,
    has_categories,
    prepare,
    train_networks,
    uses_typed_elbo,
)
from vae_anomaly.detectors.tabular.fit.training_rows import CountedRows
from vae_anomaly.detectors.tabular.fit.trimming import suspicion, trim, usual_scores
from vae_anomaly.detectors.tabular.fit.trust import NOTHING_TO_COMPARE, Trust, trust_in_vae
from vae_anomaly.detectors.tabular.held_out import HeldOutRows, held_out_rows
from vae_anomaly.detectors.tabular.model import TabularModel, ViewModel, weights_at
from vae_anomaly.detectors.tabular.network import RowNetwork, evidence_of, targets_of
from vae_anomaly.detectors.tabular.settings import TableSettings
from vae_anomaly.progress import Progress
from vae_anomaly.scoring.conformal import ConditionalScale
from vae_anomaly.scoring.evidence import Evidence
from vae_anomaly.scoring.fusion import TermSurprise
from vae_anomaly.scoring.outliers import HEAVY, NATS, most_left_out, standing_out
from vae_anomaly.vae.training import History

logger = logging.getLogger(__name__)

MAX_FIT_ROWS = 10_000
WIDE_TABLE = 400  # columns from which scarce rows are cut into 3 folds
MAX_TRUST_ROWS = 600
REFITS = 2  # fits without outliers, after the first with all rows


@dataclass(frozen=True)
class FittedTable:
    """What came of a fit."""

    model: TabularModel  # scores from now on
    history: History  # of all networks together: means over folds and views
    rows: pd.DataFrame  # typed; statistics and memories of the model are made of these
    held_out: HeldOutRows  # normals that nothing of their model was fitted on
    trimmed: dict[str, float]  # counts of rows left out where anomalies are expected
    left_out: Ints  # rows that were outliers, by their place in the training table


def plan_folds(rows: CountedRows, contamination: float, rng: np.random.Generator) -> list[Fold]:
    """Return which rows do what; the fold of the detector that stays comes first."""
    n_columns = rows.frame.shape[1]
    return plan_rows(
        len(rows.frame), rows.groups, MAX_FIT_ROWS, rng,
        n_folds=3 if n_columns > WIDE_TABLE else 5,
        max_memory_rows=0 if contamination else max_memory_rows(n_columns),
    )  # fmt: skip


def fit_table(
    rows: CountedRows,
    folds: list[Fold],
    schema: Schema,
    settings: TableSettings,
    progress: Progress | None = None,
) -> FittedTable:
    """Fit one model a fold, and score what each of them has not seen.

    Where a few held-out rows stand out from the others, all is fitted again without them, at most
    twice; but not where anomalies are expected, and trimmed, in any case.
    """
    schema.check(rows.frame)
    judged = judge_folds(rows, folds, schema, settings, progress)
    left_out = np.empty(0, np.int64)
    tries = 0 if settings.contamination or settings.outliers == "keep" else REFITS
    for _ in range(tries):
        odd = judged.odd_rows(len(left_out))
        if not len(odd):
            break
        odd, folds, judged = _without(odd, rows, folds, judged, settings, progress)
        left_out = np.append(left_out, odd)
    model, scores, calibrates = _calibrated(judged, settings.contamination)
    groups = None if not rows.grouped or judged.groups is None else judged.groups[calibrates]
    held = HeldOut(judged.rows[calibrates], scores, groups)
    return FittedTable(
        model=model,
        history=judged.history,
        rows=judged.used.iloc[judged.fitted[0].fit],
        held_out=held_out_rows(
            judged.models, judged.held_out, judged.used, judged.used_rows, held, model.scale
        ),
        trimmed=_trimmed_rows(judged.planned, judged.fitted[0], calibrates, settings.contamination),
        left_out=np.sort(left_out),
    )


def _without(
    odd: Ints,
    rows: CountedRows,
    folds: list[Fold],
    judged: JudgedFolds,
    settings: TableSettings,
    progress: Progress | None,
) -> tuple[Ints, list[Fold], JudgedFolds]:
    """Leave out the rows that a model without them finds stranger than all held-out ones.

    Returns which of the rows ``odd`` these are, and folds and models without them.
    """
    while len(odd):
        rest = [fold.without(odd) for fold in folds]
        if not judged.fitted_to(odd):
            return odd, rest, judged.without(odd)
        fitted = judge_folds(rows, rest, judged.models[0].schema, settings, progress)
        is_strange = fitted.finds_strange(rows.frame.iloc[odd])
        if is_strange.all():
            return odd, rest, fitted
        odd = odd[is_strange]
    return odd, folds, judged


@dataclass(frozen=True)
class JudgedFolds:
    """A model a fold, and the raw scores of the rows that each of them has not seen."""

    models: list[TabularModel]
    planned: Fold  # of the model that stays
    fitted: list[Fold]  # the folds without what was trimmed
    history: History
    used: pd.DataFrame  # rows of any fold, in their types
    used_rows: Ints  # where they stand in the training table
    held_out: list[Ints]  # rows of those that each model has not seen
    rows: Ints  # where the held-out ones stand there
    raw: Floats
    codes: Ints | None  # conditions of those
    groups: Ints | None  # and groups

    def odd_rows(self, n_left_out: int) -> Ints:
        """Return the held-out rows that stand out from the others, by their place in the table."""
        most = most_left_out(len(self.raw) + n_left_out) - n_left_out
        shape = NATS if self.models[0].score == "fused" else HEAVY  # an ELBO is no -log p
        odd = standing_out(self.raw, self.groups, most, shape) if most > 0 else np.zeros(1, bool)
        return self.rows[odd] if odd.any() else np.empty(0, np.int64)

    def finds_strange(self, rows: pd.DataFrame) -> Bools:
        """Tell which rows that it was not fitted to score above all held-out ones."""
        model = self.models[0]
        raw = TableExamination(model, model.schema.cast(rows)).raw_score
        return np.asarray(raw > self.raw.max())

    def fitted_to(self, rows: Ints) -> bool:
        """Whether any model has seen any of these rows."""
        seen = [np.concatenate([fold.fit, fold.more]) for fold in self.fitted]
        return bool(np.isin(rows, self.used_rows[np.concatenate(seen)]).any())

    def without(self, rows: Ints) -> JudgedFolds:
        """Return the same models, these rows no longer among those that calibrate."""
        keep = ~np.isin(self.rows, rows)
        return replace(
            self,
            rows=self.rows[keep],
            raw=self.raw[keep],
            codes=None if self.codes is None else self.codes[keep],
            groups=None if self.groups is None else self.groups[keep],
        )


def judge_folds(
    rows: CountedRows,
    folds: list[Fold],
    schema: Schema,
    settings: TableSettings,
    progress: Progress | None = None,
) -> JudgedFolds:
    """Fit one model a fold, and let each judge the rows that it has not seen."""
    used_rows, folds = only_used(folds)
    used = schema.cast(rows.frame.iloc[used_rows]).reset_index(drop=True)
    groups = None if rows.groups is None else rows.groups[used_rows]
    models, fitted, history = _fit_models(used, schema, folds, groups, settings, progress)
    examinations = [
        TableExamination(model, used.iloc[fold.held_out])
        for model, fold in zip(models, folds, strict=True)
        if len(fold.held_out)
    ]
    held_out = np.concatenate([fold.held_out for fold in folds])
    codes = [one.model.condition_codes(one.table) for one in examinations if one.model.condition]
    return JudgedFolds(
        models=models,
        planned=folds[0],
        fitted=fitted,
        history=history,
        used=used,
        used_rows=used_rows,
        held_out=[fold.held_out for fold in folds],
        rows=used_rows[held_out],
        raw=np.concatenate([one.raw_score for one in examinations]),
        codes=np.concatenate(codes) if codes else None,
        groups=None if groups is None else groups[held_out],
    )


def _fit_models(
    frame: pd.DataFrame,
    schema: Schema,
    folds: Sequence[Fold],
    groups: Ints | None,
    settings: TableSettings,
    progress: Progress | None,
) -> tuple[list[TabularModel], list[Fold], History]:
    """Fit a model a fold; return with them the rows that memories and statistics are made of."""
    encoder = TableEncoder.fit(frame.iloc[folds[0].fit], schema.features)
    column = None if settings.condition is None else find_condition(encoder, settings.condition)
    prepared = [prepare(frame, encoder, fold, settings.views, column) for fold in folds]
    typed = uses_typed_elbo(encoder)
    networks, history = train_networks(prepared, typed, column, settings, progress)
    prepared = [_trimmed(*pair, groups, settings) for pair in zip(prepared, networks, strict=True)]
    joins = settings.member.has_prior and (typed or column is not None)
    models, trusts = [], []
    for place, (one, nets) in enumerate(zip(prepared, networks, strict=True)):
        views = _fit_views(one, nets, groups, settings)
        reported = _held_out_evidence(one, views[-1])
        models.append(
            TabularModel(
                schema=schema,
                encoder=one.encoder,
                views=views,
                elbo=TermSurprise.fit(-reported.elbo) if joins else None,
                typical_nll=reported.nll_per_dim.mean(axis=0),
                term_weights=weights_at(*NOTHING_TO_COMPARE),
                score=settings.score,
                condition=column,
            )
        )
        trusts.append(_trust(one, views[0], groups, settings))
        if progress is not None:
            progress("memory", place + 1, len(prepared))
    latents, elbo = np.mean(trusts, axis=0)  # one for all: calibration compares their scores
    weights = weights_at(float(latents), float(elbo))
    fitted = [replace(model, term_weights=weights) for model in models]
    return fitted, [one.fold for one in prepared], history


def _trimmed(
    one: PreparedFold,
    networks: Sequence[RowNetwork],
    groups: Ints | None,
    settings: TableSettings,
) -> PreparedFold:
    """Take the most anomalous rows out of a fold where anomalies are expected among them."""
    if not settings.contamination:
        return one
    fit, views = one.fold.fit, []
    for place, network in enumerate(networks):
        rows = one.viewed(place)[fit]
        target = targets_of(rows, one.table.codes[fit], network.layout)
        views.append((rows, -evidence_of(network, rows, target).elbo))
    groups = None if groups is None else groups[fit]
    suspicions = suspicion(views, settings.contamination, groups)
    return replace(one, fold=trim(one.fold, suspicions, settings.contamination))


def _fit_views(
    one: PreparedFold,
    networks: Sequence[RowNetwork],
    groups: Ints | None,
    settings: TableSettings,
) -> tuple[ViewModel, ...]:
    """Fill the memories of one fold and learn what is usual for each term."""
    rows = plan_memory(
        one.fold,
        groups,
        settings.memory_sizes[1],
        np.asarray(one.table.unseen.any(axis=1)),
        checked=not settings.contamination,
        seed=settings.seed,
    )
    return tuple(
        remember(one, place, network, rows, groups, settings)
        for place, network in enumerate(networks)
    )


def _held_out_evidence(one: PreparedFold, view: ViewModel) -> Evidence:
    """Return the evidence of the rows that the network did not train on."""
    rows = one.table.take(one.fold.validation)
    viewed = view.look(rows.numbers)
    target = targets_of(viewed, rows.codes, view.network.layout)
    return evidence_of(view.network, viewed, target)


def _trust(
    one: PreparedFold, view: ViewModel, groups: Ints | None, settings: TableSettings
) -> Trust:
    """Return how far to trust the VAE of the first view, whose features are all Gaussian.

    Declared categories keep their ELBO's vote: a kernel on their indicators says little of it.
    """
    fit = one.fold.fit
    held_out = np.flatnonzero(np.isin(fit, one.fold.validation))[:MAX_TRUST_ROWS]
    rows = view.look(one.table.take(fit[held_out]).numbers)
    known = one.viewed(0)[fit[: settings.memory_sizes[1]]]
    trust = trust_in_vae(
        view.network, rows, known, held_out, None if groups is None else groups[fit]
    )
    return trust._replace(typed_elbo=1.0) if has_categories(one.encoder) else trust


def _calibrated(judged: JudgedFolds, contamination: float) -> tuple[TabularModel, Floats, Bools]:
    """Return the model with its condition's scale, the raw scores that calibrate, and which."""
    model, raw, codes = judged.models[0], judged.raw, judged.codes
    if codes is None:
        used_rows = usual_scores(raw, contamination)
        return model, raw[used_rows], used_rows
    used_rows = usual_scores(ConditionalScale(raw, codes)(raw, codes), contamination)
    scale = ConditionalScale(raw[used_rows], codes[used_rows])
    return replace(model, scale=scale), scale(raw[used_rows], codes[used_rows]), used_rows


def _trimmed_rows(
    planned: Fold, fitted: Fold, calibrates: Bools, contamination: float
) -> dict[str, float]:
    """Say how many rows were left out of memories and calibration as possible anomalies."""
    if not contamination:
        return {}
    n_trimmed, n_dropped = len(planned.fit) - len(fitted.fit), int(np.sum(~calibrates))
    logger.info(
        "Expecting %g %% anomalies, left out the %d strangest training rows and %d of %d "
        "held-out rows.",
        100.0 * contamination, n_trimmed, n_dropped, len(calibrates),
    )  # fmt: skip
    return {"trimmed_rows": float(n_trimmed), "dropped_held_out": float(n_dropped)}


def training_metrics(
    fitted: FittedTable, settings: TableSettings, n_rows: int, threshold: float
) -> dict[str, float]:
    """Return the figures of a training on ``n_rows`` rows."""
    model, records = fitted.model, fitted.history.records
    memory = model.main.data
    beta = settings.kl_weight if settings.member.has_prior else 0.0
    return {
        "rows": float(n_rows),
        "fit_rows": float(len(fitted.rows)),
        "memory_rows": float(len(memory.vectors)),
        "remembered_rows": float(memory.n_rows),
        "held_out_rows": float(len(fitted.held_out.places)),
        "features": float(len(model.encoder.features)),
        "val_elbo": float(max(record["val_elbo"] for record in records)),
        "val_nll": float(records[-1]["val_nll"]),
        "val_kl": float(records[-1]["val_kl"]),
        "best_step": float(fitted.history.best_step),
        **latent_health(TableExamination(model, fitted.rows).main, beta),
        "threshold": threshold,
        "trust_in_vae": model.trust,
        "trust_in_elbo": model.trust_in_elbo,
        **fitted.trimmed,
        **_counted(len(fitted.left_out)),
    }


def _counted(n_left_out: int) -> dict[str, float]:
    """Return how many rows were left out as outliers; all of them were held out."""
    if not n_left_out:
        return {}
    return {"left_out": float(n_left_out), "dropped_held_out": float(n_left_out)}
