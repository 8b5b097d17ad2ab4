"""Models that are made up, for tests of their page and for looking at it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from reports.pages import made

from vae_anomaly.detectors.images.fit.prediction import FoundShare
from vae_anomaly.metrics import Interval, proportion_interval
from vae_anomaly.reports.facts.model import (
    ColumnFacts,
    LatentMap,
    ModelFacts,
    ThresholdEvent,
    VersionFacts,
)
from vae_anomaly.reports.facts.night import Notice
from vae_anomaly.reports.facts.training import (
    EvaluationFacts,
    GroupRate,
    HeldOutFacts,
    KindRate,
    LossCurves,
    RankingPoints,
    ReachedRate,
    TrainingCard,
)
from vae_anomaly.scoring.outliers import LeftOut


def of_images() -> ModelFacts:
    """Return a model of castings."""
    return _model(replace(made.images(3, 6), name="castings"), "image")


def of_rows() -> ModelFacts:
    """Return a model of transactions, with its schema."""
    return _model(replace(made.rows(3, 6), name="transactions"), "row")


def hostile() -> ModelFacts:
    """Return a model of rows in which every text tries to break out of the page."""
    text, facts = made.HOSTILE, _model(replace(made.hostile(), name=made.HOSTILE), "row")
    return replace(
        facts, ref=text, aliases=(text,), store=text, created=text,
        summary=text, parameters=((text, text),), self_test=text, threshold_words=text,
        columns=tuple(replace(c, name=text, note=text, shown=text) for c in facts.columns),
        left_out=(LeftOut(text, 3.0, text),),
        evaluations=(replace(facts.evaluations[0], source=text, kinds=_kinds(text),
                             by=((text, _kinds(text), _kinds(text)),)),),
        events=tuple(replace(e, who=text, why=text) for e in facts.events),
        versions=tuple(replace(v, aliases=(text,)) for v in facts.versions),
        uses=(text,), out_of_scope=(text,), limits=(text,), unknown=(text,),
        notices=(Notice("warning", text, text),), commands=((text, text),),
    )  # fmt: skip


def _model(night: made.NightFacts, noun: str) -> ModelFacts:
    scoring, held_out = night.scoring, _held_out()
    return ModelFacts(
        name=night.name,
        ref=f"models:/{night.name}@champion",
        version=3,
        aliases=("champion",),
        kind=scoring.kind,
        noun=noun,
        digest=scoring.digest,
        package_version="0.1.0",
        created="2026-10-02T11:04:00Z",
        store="sqlite:///models.db",
        summary=f"It flags {noun}s that are unlike the normal ones of October.",
        parameters=(("latent_dim", "16"), ("beta", "0.5")),
        n_normals=6000,
        n_held_out=1200,
        fingerprint=scoring.fingerprint,
        columns=_columns() if noun == "row" else (),
        left_out=(LeftOut("train/0815.png", 4.2, "a hand before the lens"),),
        self_test="Found at this threshold: holes from 8 px on: 98 in 100.",
        self_test_auroc=None,
        found=_found() if noun == "image" else (),
        threshold=scoring.threshold,
        threshold_words="Flag above 2.301: one false alarm in 200.",
        training=_training(night, held_out),
        held_out=held_out,
        held_out_scores=scoring.held_out,
        evaluations=(_evaluation(),),
        reliability=_reliability(),
        events=_events(),
        versions=_versions(scoring.digest),
        latent_map=_latent_map(),
        uses=("Find parts that were never seen among the good ones.",),
        out_of_scope=("Measure how large a defect is.",),
        limits=("Parts of another colour are flagged.",),
        unknown=("How many defects the night shift has.",),
        notices=(Notice("warning", "The model is 59 days old.", "Train it again."),),
        commands=(("score a night", "vae-anomaly score images castings night/"),),
    )


def _found() -> tuple[FoundShare, ...]:
    counts = {"hole": (3, 23, 24), "scratch": (1, 8, 15), "missing piece": (9, 20, 24)}
    return tuple(
        FoundShare(kind, size, 1.5 * size, 24, found, proportion_interval(found, 24))
        for kind, row in counts.items()
        for size, found in zip((4, 8, 16), row, strict=True)
    )


def _held_out() -> HeldOutFacts:
    rates = tuple(
        ReachedRate(stated, 1200, beyond, proportion_interval(beyond, 1200))
        for stated, beyond in ((0.05, 63), (0.01, 9), (0.001, 6))
    )
    group = GroupRate("cam2", 400, 9, proportion_interval(9, 400))
    return HeldOutFacts("each by bounds of the others", rates, groups=(group,), n_groups=3)


def _training(night: made.NightFacts, held_out: HeldOutFacts) -> TrainingCard:
    losses: tuple[float | None, ...] = (9.0, 4.0, 3.0, 2.8)
    names = ("train_nll", "val_nll", "train_kl", "val_kl", "val_elbo")
    return TrainingCard(
        source="6,000 of 6,140 in castings/good",
        n_normals=6000,
        n_read=6140,
        n_labelled=40,
        passed_over=(("cannot be read", 100),),
        notes=("Two images are the same to the byte.",),
        n_groups=3,
        losses=LossCurves((1, 2, 3, 4), tuple((name, losses) for name in names), 3),
        held_out=held_out,
        strangest=night.items[:8],
    )


def _columns() -> tuple[ColumnFacts, ...]:
    return (
        ColumnFacts("amount", "number", True, shown="3.10 to 812", missing=0.02),
        ColumnFacts("country", "category", True, shown="DE, AT, FR"),
        ColumnFacts("card", "identifier", False, note="it names who"),
    )


def _evaluation() -> EvaluationFacts:
    rising = tuple(np.linspace(0.0, 1.0, 21).tolist())
    found = tuple(share**0.2 for share in rising)
    curve = RankingPoints(rising, found, tuple(1 - 0.8 * x for x in rising), (0.05, 0.8, 0.7), 0.1)
    figures = (("auroc", Interval(0.96, 0.93, 0.98)), ("recall", proportion_interval(31, 40)))
    by = ("line", _kinds("line 2"), _kinds("line 3"))
    return EvaluationFacts(
        "test/", 400, 40, figures, kinds=_kinds("scratch"), by=(by,), curve=curve
    )


def _kinds(name: str) -> tuple[KindRate, ...]:
    return (KindRate(name, 40, 31, proportion_interval(31, 40)),)


def _reliability() -> dict[str, object]:
    observed = {"estimate": 0.3, "low": 0.1, "high": 0.6}
    return {"reliability": [{"n": 20, "predicted": 0.25, "observed": observed}]}


def _events() -> tuple[ThresholdEvent, ...]:
    return (
        ThresholdEvent("2026-10-02T11:04:00Z", "Ana", "trained", "3", None, 2.301, "fpr", ""),
        ThresholdEvent("2026-10-09T07:00:00Z", "Ana", "applied", "3", 2.3, 2.5, "manual", "calm"),
    )


def _versions(digest: str) -> tuple[VersionFacts, ...]:
    return (
        VersionFacts(3, "2026-10-02T11:04:00Z", ("champion",), digest, 2.301, True),
        VersionFacts(2, "2026-09-02T11:04:00Z", (), "ab" * 32, 2.2, False),
    )


def _latent_map() -> LatentMap:
    points = np.random.default_rng(3).normal(size=(60, 2)).round(3).tolist()
    axes = ("latent 4", "latent 7")
    return LatentMap(axes, tuple((x, y) for x, y in points), (("train/0815.png", 3.0, 3.0),))
