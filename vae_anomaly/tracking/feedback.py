"""Reviewers' verdicts on the items of a registered model: each import is a run of its own.

Imports are only ever added, so that two people can import at once; reading merges them, and the
last verdict on an item wins.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from vae_anomaly.errors import ConfigError
from vae_anomaly.tracking.client import TAG, as_time, finished_runs, model_aliases, own_run
from vae_anomaly.tracking.promotion import this_user
from vae_anomaly.tracking.store import session, tracking_uri

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient

FEEDBACK = "vae-anomaly-feedback"
FILE = "feedback.parquet"
COLUMNS = ("item", "is_anomaly", "audit", "who", "when")


@dataclass(frozen=True)
class FeedbackSummary:
    """What an import added.

    Parameters
    ----------
    name : str
        Registered name.
    run_id : str
    imported, new, changed : int
        Verdicts of the import; on items without one before; that contradict the one before.
    total : int
        Items with a verdict now.
    who : str
    when : datetime
    """

    name: str
    run_id: str
    imported: int
    new: int
    changed: int
    total: int
    who: str
    when: datetime


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
    if "/" in model or (Path(model) / "detector.json").is_file():  # pictures may be named so, too
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
        before = _merged(_stored(client, name))
        now = datetime.now(UTC)
        added = verdicts[list(COLUMNS)].copy()
        added["who"] = added["who"].where(added["who"].notna(), person)
        added["when"] = added["when"].where(added["when"].notna(), now)
        run_id = _log(client, store, name, added, person, source)
        after = _merged(_stored(client, name))
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
        return _merged(_stored(client, name))


def _log(
    client: MlflowClient, store: str, name: str, verdicts: pd.DataFrame, who: str, source: str
) -> str:
    facts = {"model": name, "who": who, "verdicts": len(verdicts), "source": source}
    tags = {f"{TAG}feedback.{key}": value for key, value in facts.items()} | {"mlflow.user": who}
    title = f"{name}: {len(verdicts)} verdicts"
    with (
        own_run(client, store, FEEDBACK, title, tags) as run,
        tempfile.TemporaryDirectory(prefix="vae-anomaly-") as scratch,
    ):
        verdicts.to_parquet(Path(scratch) / FILE, index=False)
        client.log_artifact(run.info.run_id, str(Path(scratch) / FILE))
    return str(run.info.run_id)


def _stored(client: MlflowClient, name: str) -> list[pd.DataFrame]:
    """Return the finished imports of a model, oldest first."""
    import pandas as pd

    runs = finished_runs(client, FEEDBACK, f"{TAG}feedback.model", name)
    runs.sort(key=lambda run: as_time(run.info.start_time))
    with tempfile.TemporaryDirectory(prefix="vae-anomaly-") as scratch:
        frames = []
        for run in runs:
            path = client.download_artifacts(run.info.run_id, FILE, scratch)
            frames.append(pd.read_parquet(path))
        return frames


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
