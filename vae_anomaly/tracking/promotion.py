"""Move an alias on the record: MLflow keeps no history of aliases, so each move is a run."""

from __future__ import annotations

import getpass
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from vae_anomaly.tracking.client import (
    TAG,
    as_time,
    finished_runs,
    log_metrics,
    model_aliases,
    own_run,
)
from vae_anomaly.tracking.store import session, tracking_uri
from vae_anomaly.tracking.verified import resolve

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

PROMOTIONS = "vae-anomaly-promotions"
MAX_TAG = 5000  # characters of a tag that every store accepts
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Promotion:
    """One move of an alias: who, when, from, to, and on what evidence."""

    alias: str
    old_version: int | None
    new_version: int
    who: str
    when: datetime
    evidence: str
    run_id: str


def promote(
    name: str,
    version: int | str,
    alias: str = "champion",
    *,
    who: str | None = None,
    evidence: str | Mapping[str, object] = "",
    metrics: Mapping[str, float] | None = None,
    documents: Mapping[str, object] | None = None,
    uri: str | Path | None = None,
) -> Promotion:
    """Point an alias at a version, and write down who did it, when, from where and why.

    Aliases have no history of their own in MLflow, so each move is a run of its own in the
    experiment ``vae-anomaly-promotions``; it is there before the alias moves.

    Parameters
    ----------
    name : str
        Registered name.
    version : int or str
        The version to promote; its files are verified first.
    alias : str
        ``champion`` by default.
    who : str, optional
        Default: the user of this process.
    evidence : str or mapping
        Why: a sentence, or figures.
    metrics : mapping of str to float, optional
        What was measured, as metrics of the run.
    documents : mapping of str to JSON values, optional
        More evidence, by file name, as artifacts of the run.
    uri : str or Path, optional
        The store, as in `tracking_uri`.

    Raises
    ------
    ModelRefusedError
        If there is no such version, or its files are not those that were registered.
    """
    store = tracking_uri(uri)
    resolve(f"models:/{name}/{version}", store)
    with session(store) as client:
        return move_alias(
            client, store, name, int(version), alias, who=who, evidence=evidence,
            metrics=metrics, documents=documents,
        )  # fmt: skip


def move_alias(
    client: MlflowClient,
    store: str,
    name: str,
    version: int,
    alias: str,
    *,
    who: str | None = None,
    evidence: str | Mapping[str, object] = "",
    metrics: Mapping[str, float] | None = None,
    documents: Mapping[str, object] | None = None,
) -> Promotion:
    """Do what `promote` says, inside a session, for a version known to be sound."""
    old = model_aliases(client, name, store).get(alias)
    person = who or this_user()
    why = evidence if isinstance(evidence, str) else json.dumps(dict(evidence), sort_keys=True)
    facts = {
        "model": name,
        "alias": alias,
        "from": old or "",
        "to": version,
        "who": person,
        "evidence": why[:MAX_TAG],
    }
    tags = {f"{TAG}promotion.{key}": value for key, value in facts.items()}
    title = f"{name}/{version} becomes {alias}"
    with own_run(client, store, PROMOTIONS, title, {**tags, "mlflow.user": person}) as run:
        client.log_text(run.info.run_id, why + "\n", "evidence.txt")
        for file, content in (documents or {}).items():
            client.log_dict(run.info.run_id, content, file)
        log_metrics(client, run.info.run_id, metrics or {})
        client.set_registered_model_alias(name, alias, str(version))
    logger.info("%s/%s is now %s (was %s)", name, version, alias, old or "nothing")
    when = as_time(run.info.start_time)
    return Promotion(alias, old, version, person, when, why, run.info.run_id)


def promotions(client: MlflowClient, name: str) -> list[Promotion]:
    """Return how the aliases of a model moved, latest first."""
    return [
        _promotion(run) for run in finished_runs(client, PROMOTIONS, f"{TAG}promotion.model", name)
    ]


def _promotion(run: Run) -> Promotion:
    tags = {k.removeprefix(f"{TAG}promotion."): v for k, v in run.data.tags.items()}
    return Promotion(
        alias=tags["alias"],
        old_version=int(tags["from"]) if tags["from"] else None,
        new_version=int(tags["to"]),
        who=tags["who"],
        when=as_time(run.info.start_time),
        evidence=tags.get("evidence", ""),
        run_id=run.info.run_id,
    )


def this_user() -> str:
    """Return the name of the user of this process."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no such user in a container
        return f"uid {os.getuid()}"
