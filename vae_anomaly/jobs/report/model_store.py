"""What the registry knows of a model: its versions, how its threshold came about, evaluations."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from vae_anomaly.errors import DataError
from vae_anomaly.metrics import Interval, proportion_interval
from vae_anomaly.reports.facts.model import ThresholdEvent, VersionFacts
from vae_anomaly.reports.facts.training import EvaluationFacts, KindRate, RankingPoints
from vae_anomaly.state import Json, from_json
from vae_anomaly.tracking import ResolvedModel, show_model, threshold_history, tracking_uri
from vae_anomaly.tracking.events import StoredEvaluation, stored_evaluations
from vae_anomaly.tracking.store import displayed
from vae_anomaly.words import reason_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoreFacts:
    """What a store adds to a model; empty for a folder."""

    store: str = ""
    created: str = ""
    aliases: tuple[str, ...] = ()
    versions: tuple[VersionFacts, ...] = ()
    events: tuple[ThresholdEvent, ...] = ()
    evaluations: tuple[EvaluationFacts, ...] = field(default=())


def store_facts(model: ResolvedModel, uri: str | None) -> StoreFacts:
    """Ask the registry about a registered model; of a folder nothing is asked."""
    if model.name is None:
        return StoreFacts()
    card = show_model(model.name, uri)
    versions = tuple(
        VersionFacts(
            version=one.version,
            created=_iso(one.created),
            aliases=one.aliases,
            digest=one.digest,
            threshold=_number(one.tags.get("vae_anomaly.threshold", "")),
            is_this=one.version == model.version,
        )
        for one in card.versions
    )
    this = next((one for one in versions if one.is_this), None)
    return StoreFacts(
        store=displayed(tracking_uri(uri)),
        created=this.created if this else "",
        aliases=this.aliases if this else (),
        versions=versions,
        events=_events(model.name, uri),
        evaluations=tuple(
            facts
            for stored in stored_evaluations(model.digest, uri)
            if (facts := _evaluation(stored)) is not None
        ),
    )


def _events(name: str, uri: str | None) -> tuple[ThresholdEvent, ...]:
    """Return changes of the threshold and moves of aliases, the latest first."""
    history = threshold_history(name, uri)
    changed = [
        ThresholdEvent(
            when=_iso(one.when), who=one.who, what=one.how, version=str(one.version),
            old=one.old, new=one.new, policy=one.policy, why=one.reason,
        )
        for one in history.changes
    ]  # fmt: skip
    moved = [
        ThresholdEvent(
            when=_iso(one.when), who=one.who, what=f"@{one.alias}",
            version=f"{one.old_version or '-'} to {one.new_version}",
            old=one.old, new=one.new, policy="", why=one.evidence,
        )
        for one in history.moves
    ]  # fmt: skip
    return tuple(sorted([*changed, *moved], key=lambda event: event.when, reverse=True))


def _evaluation(stored: StoredEvaluation) -> EvaluationFacts | None:
    """Return the facts of an evaluation; None where another version has written its file."""
    try:
        return evaluation_facts(stored.document, Path(stored.source).name, _iso(stored.when))
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as err:
        logger.warning("an evaluation on %s cannot be read: %s", stored.source, reason_of(err))
        return None


def evaluation_facts(document: Json, source: str, when: str = "") -> EvaluationFacts:
    """Return what ``evaluation.json`` says, as facts."""
    figures = document.get("figures", {})
    return EvaluationFacts(
        source=source,
        when=when,
        n_normals=int(document.get("n_normals", 0)),
        n_anomalies=int(document.get("n_anomalies", 0)),
        figures=tuple(
            (str(name), Interval(one["estimate"], one["low"], one["high"]))
            for name, one in figures.items()
            if one.get("estimate") is not None
        ),
        kinds=tuple(_kind(one) for one in document.get("kinds", ())),
        by=tuple(
            (
                str(column),
                _shares(table, "fpr", "n_normals"),
                _shares(table, "recall", "n_anomalies"),
            )
            for column, table in document.get("by", {}).items()
        ),
        curve=_curve(document.get("curve")),
    )


def _kind(row: dict[str, Any]) -> KindRate:
    share = Interval(float(row["share"]), float(row["low"]), float(row["high"]))
    return KindRate(str(row["kind"]), int(row["n"]), int(row["flagged"]), share)


def _shares(table: list[dict[str, Any]], name: str, count: str) -> tuple[KindRate, ...]:
    rates = []
    for row in table:
        n, share = int(row[count]), row.get(name)
        if n and share is not None:
            flagged = round(float(share) * n)
            interval = proportion_interval(float(flagged), float(n))
            rates.append(KindRate(str(row["value"]), n, flagged, interval))
    return tuple(rates)


def _curve(points: Json | None) -> RankingPoints | None:
    if points is None:
        return None
    try:
        return from_json(RankingPoints, points)
    except DataError:  # of another version
        return None


def _iso(when: datetime) -> str:
    return when.isoformat(timespec="seconds")


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
