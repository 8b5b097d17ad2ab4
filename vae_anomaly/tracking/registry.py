"""What the registry holds: models, versions, aliases, and how the aliases came to point there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from vae_anomaly.tracking.client import TAG, all_pages, all_versions, as_time, model_aliases
from vae_anomaly.tracking.promotion import Promotion, promotions
from vae_anomaly.tracking.store import session, tracking_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel


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


def list_models(uri: str | Path | None = None) -> list[ModelSummary]:
    """Return the models of this package that the registry holds, by name."""
    with session(uri) as client:
        found: list[RegisteredModel] = all_pages(
            lambda token: client.search_registered_models(page_token=token)
        )
        return [card for model in found if (card := _summary(client, model)) is not None]


def show_model(name: str, uri: str | Path | None = None) -> ModelCard:
    """Return versions, aliases and promotions of one registered model.

    Raises
    ------
    ModelRefusedError
        If the registry holds no model of that name.
    """
    store = tracking_uri(uri)
    with session(store) as client:
        aliases = model_aliases(client, name, store)
        versions = all_versions(client, name)
        cards = [_version_card(client, version, aliases) for version in versions]
        cards.sort(key=lambda card: -card.version)
        return ModelCard(name, aliases, cards, promotions(client, name))


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
        aliases=tuple(alias for alias, target in aliases.items() if target == number),
        created=as_time(version.creation_timestamp),
        run_id=version.run_id or "",
        kind=version.tags.get(f"{TAG}kind", "unknown"),
        digest=version.tags.get(f"{TAG}model_digest", ""),
        description=version.description or "",
        tags={key: value for key, value in version.tags.items() if key != f"{TAG}files"},
        metrics=_run_metrics(client, version.run_id),
    )


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
