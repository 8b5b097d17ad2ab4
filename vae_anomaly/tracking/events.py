"""What happens to a model after its training, each a run of its own: evaluated, promoted, reviewed.

MLflow keeps no history of aliases, so each move is a run. Reviewers' verdicts are only ever added,
so that two people can import at once; reading merges them, and the last verdict on an item wins.
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
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from vae_anomaly.errors import ConfigError
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
from vae_anomaly.words import number_of

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient
    from mlflow.entities import Run

EVALUATIONS = "vae-anomaly-evaluations"
PROMOTIONS = "vae-anomaly-promotions"
FEEDBACK = "vae-anomaly-feedback"
MAX_TAG = 5000  # characters of a tag that every store accepts
FILE = "feedback.parquet"
EVALUATION_FILE = "evaluation.json"
COLUMNS = ("item", "is_anomaly", "audit", "who", "when")
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


@dataclass(frozen=True)
class FeedbackSummary:
    """What an import added.

    Parameters
    ----------
    imported, new, changed : int
        Verdicts of the import; on items without one before; that contradict the one before.
    total : int
        Items with a verdict now.
    """

    name: str
    run_id: str
    imported: int
    new: int
    changed: int
    total: int
    who: str
    when: datetime


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
    """Return what an evaluation measured; None where its file is gone."""
    from mlflow.exceptions import MlflowException

    with tempfile.TemporaryDirectory(prefix="vae-anomaly-") as scratch:
        try:
            file = Path(stored_file(client, store, run, EVALUATION_FILE, scratch))
            text = file.read_text(encoding="utf-8")
        except (MlflowException, FileNotFoundError):
            return None
    source = run.data.tags.get(f"{TAG}evaluated_on", "")
    return StoredEvaluation(source, as_time(run.info.start_time), json.loads(text))


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
    with own_run(client, store, PROMOTIONS, title, _tags("promotion", facts)) as run:
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
    with own_run(client, store, PROMOTIONS, title, _tags("promotion", facts)) as run:
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


def import_feedback(
    name: str,
    verdicts: pd.DataFrame,
    *,
    who: str | None = None,
    source: str = "",
    uri: str | Path | None = None,
) -> FeedbackSummary:
    """Store verdicts with a registered model.

    Parameters
    ----------
    name : str
        Registered name.
    verdicts : DataFrame
        Columns ``item`` (text), ``is_anomaly`` and ``audit`` (bool), ``who`` (text) and ``when``
        (UTC); empty cells of the last two become ``who`` and now.
    who : str, optional
        Default: the user of this process.
    source : str
        Where they are from, for the record.
    uri : str or Path, optional
        The store, as in `tracking_uri`.

    Raises
    ------
    ModelRefusedError
        If the registry holds no model of that name.
    """
    store, person = tracking_uri(uri), who or this_user()
    with session(store) as client:
        model_aliases(client, name, store)
        before = _merged(_stored(client, store, name))
        now = datetime.now(UTC)
        added = verdicts[list(COLUMNS)].copy()
        added["who"] = added["who"].where(added["who"].notna(), person)
        added["when"] = added["when"].where(added["when"].notna(), now)
        run_id = _log(client, store, name, added, person, source)
        after = _merged(_stored(client, store, name))
    ours = _merged([added])
    known = before.set_index("item")["is_anomaly"].reindex(ours["item"])
    judged = known.notna().to_numpy()
    final = after.set_index("item")["is_anomaly"].reindex(ours["item"]).to_numpy()
    changed = int((known.to_numpy()[judged] != final[judged]).sum())
    new = int((~judged).sum())
    return FeedbackSummary(name, run_id, len(ours), new, changed, len(after), person, now)


def load_feedback(name: str, uri: str | Path | None = None) -> pd.DataFrame:
    """Return the verdicts on the items of a registered model, the last one on each.

    Returns
    -------
    verdicts : DataFrame
        ``item, is_anomaly, audit, who, when``, latest last; empty where there are none.

    Raises
    ------
    ModelRefusedError
        If the registry holds no model of that name.
    """
    store = tracking_uri(uri)
    with session(store) as client:
        model_aliases(client, name, store)
        return _merged(_stored(client, store, name))


def this_user() -> str:
    """Return the name of the user of this process."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no such user in a container
        return f"uid {os.getuid()}"


def _tags(event: str, facts: Mapping[str, object]) -> dict[str, object]:
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
    return Promotion(
        alias=tags["alias"],
        old_version=int(tags["from"]) if tags["from"] else None,
        new_version=int(tags["to"]) if tags["to"] else None,
        who=tags["who"],
        when=as_time(run.info.start_time),
        evidence=tags.get("evidence", ""),
        run_id=run.info.run_id,
    )


def _log(
    client: MlflowClient, store: str, name: str, verdicts: pd.DataFrame, who: str, source: str
) -> str:
    facts = {"model": name, "who": who, "verdicts": len(verdicts), "source": source}
    title = f"{name}: {number_of(len(verdicts), 'verdict')}"
    with (
        own_run(client, store, FEEDBACK, title, _tags("feedback", facts)) as run,
        tempfile.TemporaryDirectory(prefix="vae-anomaly-") as scratch,
    ):
        verdicts.to_parquet(Path(scratch) / FILE, index=False)
        client.log_artifact(run.info.run_id, str(Path(scratch) / FILE))
    return str(run.info.run_id)


def _stored(client: MlflowClient, store: str, name: str) -> list[pd.DataFrame]:
    """Return the finished imports of a model, oldest first."""
    import pandas as pd

    runs = finished_runs(client, FEEDBACK, f"{TAG}feedback.model", name)
    runs.sort(key=lambda run: as_time(run.info.start_time))
    with tempfile.TemporaryDirectory(prefix="vae-anomaly-") as scratch:
        return [pd.read_parquet(stored_file(client, store, run, FILE, scratch)) for run in runs]


def _merged(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """Keep the last verdict on each item; an item drawn at random once stays so."""
    import pandas as pd

    if not frames:
        return pd.DataFrame(columns=list(COLUMNS))
    everything = pd.concat(frames, ignore_index=True)
    everything["when"] = pd.to_datetime(everything["when"], utc=True)
    everything["audit"] = everything.groupby("item")["audit"].transform("max").astype(bool)
    ordered = everything.sort_values("when", kind="stable", ignore_index=True)
    return ordered.drop_duplicates("item", keep="last", ignore_index=True)
