"""What happens to a model after its training, each a run of its own: evaluated and promoted.

MLflow keeps no history of aliases, so each move is a run.
"""

from __future__ import annotations

import getpass
import json
import logging
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from vae_anomaly.errors import ConfigError, ModelRefusedError
from vae_anomaly.files import parsed_json
from vae_anomaly.state import Json
from vae_anomaly.tracking.challenges import refuse_worse
from vae_anomaly.tracking.client import (
    TAG,
    as_time,
    check_alias,
    finished_runs,
    log_metrics,
    model_aliases,
    own_run,
    stored_file,
)
from vae_anomaly.tracking.store import displayed, session, tracking_uri
from vae_anomaly.tracking.verified import ResolvedModel, resolve
from vae_anomaly.version import __version__
from vae_anomaly.words import reason_of

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

EVALUATIONS = "vae-anomaly-evaluations"
PROMOTIONS = "vae-anomaly-promotions"
MAX_TAG = 5000  # characters of a tag that every store accepts
EVALUATION_FILE = "evaluation.json"
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoggedEvaluation:
    """Say where an evaluation went: run, experiment, and the store without a password."""

    run_id: str
    experiment: str
    store: str


@dataclass(frozen=True)
class StoredEvaluation:
    """An evaluation that was logged: on what, when, and ``evaluation.json``."""

    source: str
    when: datetime
    document: Json


@dataclass(frozen=True)
class Promotion:
    """One move of an alias: who, when, from, to, and on what evidence."""

    alias: str
    old_version: int | None
    new_version: int | None  # None where the alias was taken away
    who: str
    when: datetime
    evidence: str
    run_id: str


def log_evaluation(
    model: ResolvedModel,
    metrics: Mapping[str, float],
    *,
    source: str,
    documents: Mapping[str, object] | None = None,
    files: Sequence[str | Path] = (),
    uri: str | Path | None = None,
) -> LoggedEvaluation:
    """Log what was measured of a model.

    Parameters
    ----------
    model : ResolvedModel
        Tags of the run name it; a registered model's run is named, too.
    metrics : mapping of str to float
        Those that are not finite are left out.
    source : str
        What was measured on.
    documents : mapping of str to JSON values, optional
        By file name.
    files : sequence of path
        Figures.
    uri : str or Path, optional
        The store, as in `tracking_uri`.

    Raises
    ------
    RegistryUnavailableError
        If the store does not answer; what is left half-done is a failed run.
    """
    store = tracking_uri(uri)
    facts = {"model": model.label, "model_digest": model.digest, "evaluated_on": source,
            "package_version": __version__}  # fmt: skip
    with session(store) as client:
        if model.name is not None:
            trained = client.get_model_version(model.name, str(model.version)).run_id
            facts["model_run_id"] = trained or ""
        tags = {f"{TAG}{key}": value for key, value in facts.items()}
        name = f"{model.label} on {Path(source).name}"
        with own_run(client, store, EVALUATIONS, name, tags) as run:
            _log_measured(client, run, metrics, documents)
            for figure in files:
                client.log_artifact(run.info.run_id, str(figure))
    return LoggedEvaluation(run.info.run_id, EVALUATIONS, displayed(store))


def stored_evaluations(
    digest: str, uri: str | Path | None = None, most: int = 3
) -> list[StoredEvaluation]:
    """Return the last evaluations of a model that were logged, the latest first.

    Parameters
    ----------
    digest : str
        Of the model.
    """
    store = tracking_uri(uri)
    with session(store) as client:
        runs = finished_runs(client, EVALUATIONS, f"{TAG}model_digest", digest)[:most]
        found = [_evaluation(client, store, run) for run in runs]
    return [one for one in found if one is not None]


def _evaluation(client: MlflowClient, store: str, run: Run) -> StoredEvaluation | None:
    """Return what an evaluation measured; None where its file is gone or damaged."""
    from mlflow.exceptions import MlflowException

    with tempfile.TemporaryDirectory(prefix="vae-anomaly-") as scratch:
        try:
            file = Path(stored_file(client, store, run, EVALUATION_FILE, scratch))
            document = parsed_json(file.read_bytes())
        except (MlflowException, FileNotFoundError):
            return None
        except ValueError as err:
            logger.warning("evaluation %s cannot be read: %s", run.info.run_id, reason_of(err))
            return None
    source = run.data.tags.get(f"{TAG}evaluated_on", "")
    return StoredEvaluation(source, as_time(run.info.start_time), document)


def promote(
    name: str,
    version: int | str,
    alias: str = "champion",
    *,
    who: str | None = None,
    evidence: str | Mapping[str, object] = "",
    metrics: Mapping[str, float] | None = None,
    documents: Mapping[str, object] | None = None,
    anyway: bool = False,
    uri: str | Path | None = None,
) -> Promotion:
    """Point an alias at a version, and write down who did it, when, from where and why.

    The run in the experiment ``vae-anomaly-promotions`` is there before the alias moves.

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
    anyway : bool
        Also where the version was compared with the one that has the alias, and did not pass.
    uri : str or Path, optional
        The store, as in `tracking_uri`.

    Raises
    ------
    ConfigError
        If the alias cannot be one.
    GateFailedError
        If it did not pass a comparison with the version that has the alias.
    ModelRefusedError
        If there is no such version, or its files are not those that were registered.
    """
    check_alias(alias)
    store = tracking_uri(uri)
    resolve(f"models:/{name}/{version}", store)
    with session(store) as client:
        if not anyway:
            refuse_worse(client, store, name, int(version), alias)
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
    title = f"{name}/{version} becomes {alias}"
    with own_run(client, store, PROMOTIONS, title, event_tags("promotion", facts)) as run:
        client.log_text(run.info.run_id, why + "\n", "evidence.txt")
        _log_measured(client, run, metrics, documents)
        client.set_registered_model_alias(name, alias, str(version))
    logger.info("%s/%s is now %s (was %s)", name, version, alias, old or "nothing")
    return replace(_promotion(run), evidence=why)  # whole, where the tag is cut off


def remove_alias(
    client: MlflowClient,
    store: str,
    name: str,
    version: int,
    alias: str,
    *,
    who: str | None = None,
    evidence: str = "",
) -> Promotion:
    """Take an alias away from the version that has it, and write that down as `promote` does."""
    facts = {
        "model": name, "alias": alias, "from": version, "to": "", "who": who or this_user(),
        "evidence": evidence[:MAX_TAG],
    }  # fmt: skip
    title = f"{name}/{version} is no longer {alias}"
    with own_run(client, store, PROMOTIONS, title, event_tags("promotion", facts)) as run:
        client.log_text(run.info.run_id, evidence + "\n", "evidence.txt")
        client.delete_registered_model_alias(name, alias)
    logger.info("%s/%s is no longer %s", name, version, alias)
    return _promotion(run)


def promotions(client: MlflowClient, name: str) -> list[Promotion]:
    """Return how the aliases of a model moved, latest first."""
    return [
        _promotion(run) for run in finished_runs(client, PROMOTIONS, f"{TAG}promotion.model", name)
    ]


def registered_name(model: str) -> str:
    """Return the registered name in ``NAME``, ``models:/NAME@ALIAS`` or ``models:/NAME/VERSION``.

    Raises
    ------
    ConfigError
        If it is a model folder: verdicts are kept in the registry.

    Examples
    --------
    >>> registered_name("models:/cards@champion")
    'cards'
    >>> registered_name("cards")
    'cards'
    """
    match = re.fullmatch(r"models:/(?P<name>[^/@:]+)([@/][\w-]+)?", model)
    if match:
        return match["name"]
    if "/" in model or (Path(model) / "detector.json").is_file():  # images may be named so, too
        raise ConfigError(
            f"{model!r} is a folder; verdicts and the history of thresholds are kept with a "
            "registered model. Train with --name NAME, then give NAME or models:/NAME@champion."
        )
    return model


def this_user() -> str:
    """Return the name of the user of this process."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no such user in a container
        return f"uid {os.getuid()}"


def event_tags(event: str, facts: Mapping[str, object]) -> dict[str, object]:
    """Return the tags of what a person did."""
    return {f"{TAG}{event}.{key}": value for key, value in facts.items()} | {
        "mlflow.user": facts["who"]
    }


def _log_measured(
    client: MlflowClient,
    run: Run,
    metrics: Mapping[str, float] | None,
    documents: Mapping[str, object] | None,
) -> None:
    log_metrics(client, run.info.run_id, metrics or {})
    for file, content in (documents or {}).items():
        client.log_dict(run.info.run_id, content, file)


def _promotion(run: Run) -> Promotion:
    tags = {k.removeprefix(f"{TAG}promotion."): v for k, v in run.data.tags.items()}
    try:
        return Promotion(
            alias=tags["alias"],
            old_version=int(tags["from"]) if tags["from"] else None,
            new_version=int(tags["to"]) if tags["to"] else None,
            who=tags["who"],
            when=as_time(run.info.start_time),
            evidence=tags.get("evidence", ""),
            run_id=run.info.run_id,
        )
    except (KeyError, ValueError) as err:
        raise ModelRefusedError(
            f"The run {run.info.run_id} of {PROMOTIONS} no longer tells which alias moved where: "
            f"{reason_of(err)}. Delete that run in MLflow, or give it back its tags."
        ) from None
