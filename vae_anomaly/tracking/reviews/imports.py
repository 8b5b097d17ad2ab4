"""Reviewers' verdicts, each import a run of its own; what one import brought can be withdrawn.

Verdicts are only ever added, so that two people can import at once; reading merges them, and the
last verdict on an item wins. A withdrawn import stays on the record, and counts nowhere.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from vae_anomaly.errors import ConfigError
from vae_anomaly.files import parsed_json, reach
from vae_anomaly.names import typed
from vae_anomaly.tracking.client import (
    TAG,
    as_time,
    finished_runs,
    model_aliases,
    own_run,
    stored_file,
)
from vae_anomaly.tracking.events import event_tags, this_user
from vae_anomaly.tracking.store import session, tracking_uri
from vae_anomaly.words import names_of, number_of

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient
    from mlflow.entities import Run

FEEDBACK = "vae-anomaly-feedback"
FILE = "feedback.parquet"
SHOWN_OF_RUN = 8  # characters of a run's id that name an import
COLUMNS = ("item", "is_anomaly", "audit", "who", "when")
WITHDRAWN = f"{TAG}feedback.withdrawn"
"""Tag of an import that was taken back: who did it and when, as JSON."""


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


@dataclass(frozen=True)
class FeedbackImport:
    """One import of verdicts.

    Parameters
    ----------
    run_id : str
        By which it is withdrawn.
    when : datetime
        Of the import, UTC; the verdicts may be older.
    who, source : str
        Who imported it, and from where.
    verdicts : int
    withdrawn : datetime or None
        When it was taken back.
    withdrawn_by : str
    """

    run_id: str
    when: datetime
    who: str
    source: str
    verdicts: int
    withdrawn: datetime | None = None
    withdrawn_by: str = ""


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
        before = _merged([frame for _, frame in _stored(client, store, name)])
        now = datetime.now(UTC)
        added = verdicts[list(COLUMNS)].copy()
        added["who"] = added["who"].where(added["who"].notna(), person)
        added["when"] = added["when"].where(added["when"].notna(), now)
        run_id = _log(client, store, name, added, person, source)
        after = _merged([frame for _, frame in _stored(client, store, name)])
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
        ``item, is_anomaly, audit, who, when``, latest last; empty where there are none. Without
        those of withdrawn imports.

    Raises
    ------
    ModelRefusedError
        If the registry holds no model of that name.
    """
    return _merged([frame for _, frame in imported_verdicts(name, uri)])


def imported_verdicts(
    name: str, uri: str | Path | None = None
) -> list[tuple[FeedbackImport, pd.DataFrame]]:
    """Return each import with its verdicts, oldest first, without those that were withdrawn.

    Raises
    ------
    ModelRefusedError
        If the registry holds no model of that name.
    """
    store = tracking_uri(uri)
    with session(store) as client:
        model_aliases(client, name, store)
        return _stored(client, store, name)


def list_imports(name: str, uri: str | Path | None = None) -> list[FeedbackImport]:
    """Return the imports of a registered model, latest first, the withdrawn ones too.

    Raises
    ------
    ModelRefusedError
        If the registry holds no model of that name.
    """
    store = tracking_uri(uri)
    with session(store) as client:
        model_aliases(client, name, store)
        return [_import_of(run) for run in reversed(_runs(client, name))]


def withdraw_import(
    name: str, run: str, uri: str | Path | None = None, *, who: str | None = None
) -> FeedbackImport:
    """Take back what one import brought: from now on it counts nowhere.

    Parameters
    ----------
    name : str
        Registered name.
    run : str
        Id of the import's run, or its beginning.
    uri : str or Path, optional
        The store, as in `tracking_uri`.
    who : str, optional
        Default: the user of this process.

    Returns
    -------
    withdrawn : FeedbackImport
        As it is now; one that was withdrawn before stays as it was.

    Raises
    ------
    ConfigError
        If no import, or more than one, is called so.
    ModelRefusedError
        If the registry holds no model of that name.
    """
    store = tracking_uri(uri)
    with session(store) as client:
        model_aliases(client, name, store)
        found = _named([_import_of(one) for one in _runs(client, name)], run, name)
        if found.withdrawn is not None:
            return found
        fact = {"who": who or this_user(), "when": datetime.now(UTC).isoformat()}
        client.set_tag(found.run_id, WITHDRAWN, json.dumps(fact))
        return _import_of(client.get_run(found.run_id))


def _named(imports: Sequence[FeedbackImport], run: str, name: str) -> FeedbackImport:
    """Return the import whose run is called so, or begins so."""
    found = [one for one in imports if run and one.run_id.startswith(run)]
    if len(found) == 1:
        return found[0]
    known = names_of([one.run_id[:SHOWN_OF_RUN] for one in found or reversed(imports)])
    told = (
        f"{run!r} is the beginning of several imports of {name}: {known}"
        if found
        else f"{name} has no import {run!r}; it has {known or 'none'}"
    )
    raise ConfigError(f"{told}. `vae-anomaly feedback show {typed(name)}` lists them.")


def _import_of(run: Run) -> FeedbackImport:
    tags = {k.removeprefix(f"{TAG}feedback."): v for k, v in run.data.tags.items()}
    fact = parsed_json(tags.get("withdrawn", "{}"))
    return FeedbackImport(
        run_id=str(run.info.run_id),
        when=as_time(run.info.start_time),
        who=tags["who"],
        source=tags.get("source", ""),
        verdicts=int(tags["verdicts"]),
        withdrawn=datetime.fromisoformat(fact["when"]) if fact else None,
        withdrawn_by=fact.get("who", ""),
    )


def _log(
    client: MlflowClient, store: str, name: str, verdicts: pd.DataFrame, who: str, source: str
) -> str:
    facts = {"model": name, "who": who, "verdicts": len(verdicts), "source": source}
    title = f"{name}: {number_of(len(verdicts), 'verdict')}"
    with (
        own_run(client, store, FEEDBACK, title, event_tags("feedback", facts)) as run,
        tempfile.TemporaryDirectory(prefix="vae-anomaly-") as scratch,
    ):
        verdicts.to_parquet(Path(scratch) / FILE, index=False)
        reach("feedback-opened")
        client.log_artifact(run.info.run_id, str(Path(scratch) / FILE))
        reach("feedback-logged")
    return str(run.info.run_id)


def _runs(client: MlflowClient, name: str) -> list[Run]:
    """Return the runs of the imports of a model, oldest first."""
    runs = finished_runs(client, FEEDBACK, f"{TAG}feedback.model", name)
    return sorted(runs, key=lambda run: as_time(run.info.start_time))


def _stored(
    client: MlflowClient, store: str, name: str
) -> list[tuple[FeedbackImport, pd.DataFrame]]:
    """Return the imports of a model that count, with their verdicts, oldest first."""
    import pandas as pd

    runs = [run for run in _runs(client, name) if WITHDRAWN not in run.data.tags]
    with tempfile.TemporaryDirectory(prefix="vae-anomaly-") as scratch:
        return [
            (_import_of(run), pd.read_parquet(stored_file(client, store, run, FILE, scratch)))
            for run in runs
        ]


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
