"""What the registry holds: models, versions, aliases, and how aliases and thresholds came about."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from vae_anomaly.monitoring.baseline import Finite
from vae_anomaly.state import Json
from vae_anomaly.tracking.client import (
    STAGE_DIGEST,
    TAG,
    all_pages,
    all_versions,
    as_time,
    model_aliases,
    read_tag,
)
from vae_anomaly.tracking.events import Promotion, promotions
from vae_anomaly.tracking.learned import STAGE_BOUND, learned_name
from vae_anomaly.tracking.store import require_store, session, store_exists, tracking_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel

CHANGE = f"{TAG}threshold_change"
RECALIBRATED = f"{TAG}recalibrated"
"""Tag of a version: of which one, on what, by whom and when its calibration was made anew."""


@dataclass(frozen=True)
class ModelSummary:
    """One line about a registered model."""

    name: str
    kind: str
    latest: int
    aliases: dict[str, int]
    updated: datetime


@dataclass(frozen=True)
class VersionCard:
    """What is known of one version."""

    version: int
    aliases: tuple[str, ...]
    created: datetime
    run_id: str
    kind: str
    digest: str
    description: str
    tags: dict[str, str]
    metrics: dict[str, float]


@dataclass(frozen=True)
class ModelCard:
    """A registered model: its versions, newest first, and how its aliases moved, latest first."""

    name: str
    aliases: dict[str, int]
    versions: list[VersionCard]
    promotions: list[Promotion] = field(default_factory=list)


@dataclass(frozen=True)
class ThresholdChange:
    """The threshold that a version brought.

    Its evidence are ``fpr, precision, recall, cost``, each with ``estimate, low, high``, then
    ``alarms_per_day`` where a volume was given, ``n_normals``, ``n_anomalies``, ``scores_sha256``.
    """

    version: int
    when: datetime
    how: str  # "trained" with the network, "applied" to that of an earlier version, "recalibrated"
    who: str  # applied it; empty where that was not written down
    old: float | None  # bound on the anomaly score before
    new: float | None  # and after
    policy: str
    asked: Json  # of the policy
    evidence: Json
    made_on: str  # label of the version whose network it uses
    aliases: tuple[str, ...]  # that point at the version now
    reason: str


class _Written(TypedDict, total=False):
    """What `change_tag` keeps."""

    how: str
    who: str
    old: Finite | None
    policy: str
    asked: Json
    evidence: Json
    made_on: str
    reason: str


_WRITTEN: Final = TypeAdapter(_Written)
_BOUND: Final = TypeAdapter(Finite | None)


@dataclass(frozen=True)
class AliasMove:
    """An alias that moved, and what that did to the threshold in force."""

    alias: str
    when: datetime
    who: str
    old_version: int | None
    new_version: int | None
    old: float | None
    new: float | None
    evidence: str


@dataclass(frozen=True)
class LearnedThresholdChange:
    """Another threshold on what verdicts have taught, or none, came into force.

    Its versions are those of NAME.learned; ``old`` and ``new`` say what was flagged, such as
    ``p_combined <= 0.01``, and are empty where the model's own threshold flagged.
    """

    when: datetime
    who: str
    old_version: int | None
    new_version: int | None
    old: str
    new: str
    evidence: str


@dataclass(frozen=True)
class ThresholdHistory:
    """Changes, newest version first, and moves of aliases, latest first.

    ``learned`` are changes of the threshold on what verdicts have taught, latest first.
    """

    name: str
    changes: list[ThresholdChange]
    moves: list[AliasMove]
    learned: list[LearnedThresholdChange] = field(default_factory=list)


def list_models(uri: str | Path | None = None) -> list[ModelSummary]:
    """Return the models of this package that the registry holds, by name."""
    store = tracking_uri(uri)
    if not store_exists(store):
        return []
    with session(store) as client:
        models: list[RegisteredModel] = all_pages(
            lambda token: client.search_registered_models(page_token=token)
        )
        return [card for model in models if (card := _summary(client, model)) is not None]


def show_model(name: str, uri: str | Path | None = None) -> ModelCard:
    """Return versions, aliases and promotions of one registered model.

    Raises
    ------
    ModelRefusedError
        If the registry holds no model of that name.
    """
    store = tracking_uri(uri)
    require_store(store)
    with session(store) as client:
        aliases = model_aliases(client, name, store)
        versions = all_versions(client, name)
        cards = [_version_card(client, version, aliases) for version in versions]
        cards.sort(key=lambda card: -card.version)
        return ModelCard(name, aliases, cards, promotions(client, name))


def threshold_history(name: str, uri: str | Path | None = None) -> ThresholdHistory:
    """Return how the thresholds of a registered model came about.

    Raises
    ------
    ModelRefusedError
        If the registry holds no model of that name.
    """
    store = tracking_uri(uri)
    require_store(store)
    with session(store) as client:
        aliases = model_aliases(client, name, store)
        versions = sorted(all_versions(client, name), key=lambda v: -int(v.version))
        moved = promotions(client, name)
        learned = _learned_changes(client, learned_name(name))
    changes = [_change(version, aliases) for version in versions]
    bound = {change.version: change.new for change in changes}
    moves = [
        AliasMove(
            alias=move.alias,
            when=move.when,
            who=move.who,
            old_version=move.old_version,
            new_version=move.new_version,
            old=bound.get(move.old_version or 0),
            new=bound.get(move.new_version or 0),
            evidence=move.evidence,
        )
        for move in moved
    ]
    return ThresholdHistory(name, changes, moves, learned)


def change_tag(change: Mapping[str, object]) -> dict[str, str]:
    """Return the tag of a version that keeps how its threshold was applied.

    ``change`` are ``who, old, policy, asked, evidence, made_on, reason`` of a `ThresholdChange`.
    """
    return {CHANGE: json.dumps(dict(change), sort_keys=True, allow_nan=False)}


def _summary(client: MlflowClient, model: RegisteredModel) -> ModelSummary | None:
    ours = [v for v in all_versions(client, model.name) if f"{TAG}kind" in v.tags]
    if not ours:
        return None
    latest = max(ours, key=lambda version: int(version.version))
    aliases = client.get_registered_model(model.name).aliases
    return ModelSummary(
        name=model.name,
        kind=latest.tags[f"{TAG}kind"],
        latest=int(latest.version),
        aliases={alias: int(version) for alias, version in sorted(aliases.items())},
        updated=as_time(latest.creation_timestamp),
    )


def _version_card(
    client: MlflowClient, version: ModelVersion, aliases: Mapping[str, int]
) -> VersionCard:
    number = int(version.version)
    return VersionCard(
        version=number,
        aliases=_aliases_of(number, aliases),
        created=as_time(version.creation_timestamp),
        run_id=version.run_id or "",
        kind=_kind(version.tags),
        digest=version.tags.get(f"{TAG}model_digest", version.tags.get(STAGE_DIGEST, "")),
        description=version.description or "",
        tags={key: value for key, value in version.tags.items() if key != f"{TAG}files"},
        metrics=_run_metrics(client, version.run_id),
    )


def _kind(tags: Mapping[str, str]) -> str:
    return tags.get(f"{TAG}kind", "second stage" if STAGE_DIGEST in tags else "unknown")


def _change(version: ModelVersion, aliases: Mapping[str, int]) -> ThresholdChange:
    number, tags = int(version.version), version.tags
    where = f"of {version.name} version {number}"
    change = read_tag(_WRITTEN, tags.get(CHANGE, "{}"), f"{CHANGE} {where}")
    bound = read_tag(_BOUND, tags.get(f"{TAG}threshold") or "null", f"{TAG}threshold {where}")
    applied = bool(change) or (version.description or "").startswith("threshold ")
    return ThresholdChange(
        version=number,
        when=as_time(version.creation_timestamp),
        how=change.get("how", "applied" if applied else "trained"),
        who=change.get("who", ""),
        old=change.get("old"),
        new=bound,
        policy=tags.get(f"{TAG}threshold_policy", ""),
        asked=change.get("asked", {}),
        evidence=change.get("evidence", {}),
        made_on=change.get("made_on", ""),
        aliases=_aliases_of(number, aliases),
        reason=change.get("reason", "") if change else (version.description or ""),
    )


def _learned_changes(client: MlflowClient, registered: str) -> list[LearnedThresholdChange]:
    """Return the moves of NAME.learned that changed what is flagged, latest first."""
    bounds = {int(v.version): v.tags.get(STAGE_BOUND, "") for v in all_versions(client, registered)}
    found = [
        LearnedThresholdChange(
            when=move.when,
            who=move.who,
            old_version=move.old_version,
            new_version=move.new_version,
            old=bounds.get(move.old_version or 0, ""),
            new=bounds.get(move.new_version or 0, ""),
            evidence=move.evidence,
        )
        for move in promotions(client, registered)
    ]
    return [change for change in found if change.old != change.new]


def _aliases_of(number: int, aliases: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(alias for alias, target in aliases.items() if target == number)


def _run_metrics(client: MlflowClient, run_id: str | None) -> dict[str, float]:
    from mlflow.exceptions import MlflowException

    if not run_id:
        return {}
    try:
        metrics = client.get_run(run_id).data.metrics
    except MlflowException as err:
        if err.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return {}
    final = {k.removeprefix("final_"): v for k, v in metrics.items() if k.startswith("final_")}
    return dict(sorted(final.items()))
