"""How the thresholds of a registered model came about: one entry a version, and alias moves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from vae_anomaly.state import Json
from vae_anomaly.tracking.client import TAG, all_versions, as_time, model_aliases
from vae_anomaly.tracking.promotion import promotions
from vae_anomaly.tracking.store import session, tracking_uri

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

CHANGE = f"{TAG}threshold_change"


@dataclass(frozen=True)
class ThresholdChange:
    """The threshold that a version brought.

    Parameters
    ----------
    version : int
    when : datetime
    how : str
        ``"trained"`` with the network, or ``"applied"`` to the network of an earlier version.
    who : str
        Who applied it; empty where that was not written down.
    old, new : float, optional
        Bounds on the anomaly score, before and after.
    policy : str
    asked : dict
        What the policy was asked for.
    evidence : dict
        ``fpr, precision, recall, cost``, each with ``estimate, low, high``; ``alarms_per_day``
        where a volume was given, ``n_normals``, ``n_anomalies``, ``scores_sha256``.
    made_on : str
        Label of the version whose network it uses.
    aliases : tuple of str
        That point at the version now.
    reason : str
    """

    version: int
    when: datetime
    how: str
    who: str
    old: float | None
    new: float | None
    policy: str
    asked: Json
    evidence: Json
    made_on: str
    aliases: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class AliasMove:
    """An alias that moved, and what that did to the threshold in force."""

    alias: str
    when: datetime
    who: str
    old_version: int | None
    new_version: int
    old: float | None
    new: float | None
    evidence: str


@dataclass(frozen=True)
class ThresholdHistory:
    """Changes, newest version first, and moves of aliases, latest first."""

    name: str
    changes: list[ThresholdChange]
    moves: list[AliasMove]


def change_tag(change: Mapping[str, object]) -> dict[str, str]:
    """Return the tag of a version that keeps how its threshold was applied.

    Parameters
    ----------
    change : mapping
        ``who, old, policy, asked, evidence, made_on, reason`` of a `ThresholdChange`.
    """
    return {CHANGE: json.dumps(dict(change), sort_keys=True, allow_nan=False)}


def threshold_history(name: str, uri: str | Path | None = None) -> ThresholdHistory:
    """Return how the thresholds of a registered model came about.

    Parameters
    ----------
    name : str
        Registered name.
    uri : str or Path, optional
        The store, as in `tracking_uri`.

    Raises
    ------
    ModelRefusedError
        If the registry holds no model of that name.
    """
    store = tracking_uri(uri)
    with session(store) as client:
        aliases = model_aliases(client, name, store)
        versions = sorted(all_versions(client, name), key=lambda v: -int(v.version))
        moved = promotions(client, name)
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
            new=bound.get(move.new_version),
            evidence=move.evidence,
        )
        for move in moved
    ]
    return ThresholdHistory(name, changes, moves)


def _change(version: ModelVersion, aliases: Mapping[str, int]) -> ThresholdChange:
    number, tags = int(version.version), version.tags
    change = json.loads(tags.get(CHANGE, "{}"))
    bound = tags.get(f"{TAG}threshold", "")
    applied = bool(change) or (version.description or "").startswith("threshold ")
    return ThresholdChange(
        version=number,
        when=as_time(version.creation_timestamp),
        how="applied" if applied else "trained",
        who=change.get("who", ""),
        old=change.get("old"),
        new=float(bound) if bound else None,
        policy=tags.get(f"{TAG}threshold_policy", ""),
        asked=change.get("asked", {}),
        evidence=change.get("evidence", {}),
        made_on=change.get("made_on", ""),
        aliases=tuple(alias for alias, target in aliases.items() if target == number),
        reason=change.get("reason", "") if change else (version.description or ""),
    )
