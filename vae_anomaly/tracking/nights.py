"""Log a scoring run: its counts, its page and what it keeps to learn from, with what scored.

Like a training, it is written to the local disk first and removed from there when MLflow has it.
When the server is away the record stays, and `log_night_record`, or `runs sync`, logs it later.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from vae_anomaly.errors import DataError
from vae_anomaly.files import parsed_json, replace_file, sha256_of, write_json
from vae_anomaly.state import from_json
from vae_anomaly.tracking.client import TAG, experiment_id, finished_runs, log_metrics
from vae_anomaly.tracking.events import MAX_TAG
from vae_anomaly.tracking.spool import Upload, new_record, send
from vae_anomaly.tracking.store import displayed, store_exists, tracking_uri
from vae_anomaly.version import __version__
from vae_anomaly.words import reason_of

NIGHTS = "vae-anomaly-scores"
NIGHT_FILE = "night.json"
LEARN_FILE = "learn.parquet"
LEARN = f"{TAG}learn"
"""Tag of a run that keeps items to learn from: of which night, as ``2026-01-31``."""
LEARN_DIGEST = f"{TAG}learn_digest"
"""Tag of such a run: the SHA-256 of ``learn.parquet``."""
_FILES = ("report.html", "summary.json", LEARN_FILE)
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ScoredNight:
    """What is logged of a run.

    Parameters
    ----------
    model : str
        The registered version: ``cards/3``.
    digest : str
        SHA-256 of the model's list of digests.
    output : str
        The output folder.
    manifest : str
        SHA-256 of its manifest: the same results are logged once.
    counts : dict of str to float
        Metrics.
    learn : str
        Of which night ``learn.parquet`` is, as ``2026-01-31``; empty where nothing is kept.
    """

    model: str
    digest: str
    output: str
    manifest: str
    counts: dict[str, float] = field(default_factory=dict)
    learn: str = ""


@dataclass(frozen=True)
class LoggedNight:
    """Say where a night went: run, experiment, and the store without a password."""

    run_id: str
    experiment: str
    store: str


def log_night(
    night: ScoredNight, files: Iterable[str | Path], *, uri: str | Path | None = None
) -> LoggedNight | None:
    """Log a night as a run with its page, its summary and what it keeps to learn from.

    Parameters
    ----------
    files : iterable of str or Path
        ``report.html``, ``summary.json`` and ``learn.parquet``, those that there are.
    uri : str or Path, optional
        The store, as in `tracking_uri`. None is made where there is none.

    Returns
    -------
    logged : LoggedNight or None
        None where there is no store.

    Raises
    ------
    RegistryUnavailableError
        If the store does not answer. The night is not lost: the message says where its record lies
        and how to log it later.
    StorageError
        If the record cannot be written.
    """
    store = tracking_uri(uri)
    if not store_exists(store):
        return None
    with new_record(store, "night") as record:
        for file in map(Path, files):
            with replace_file(record / file.name) as temporary:
                shutil.copyfile(file, temporary)
        write_json(asdict(night), record / NIGHT_FILE)
    return _send(record, night, store)


def log_night_record(record: str | Path, *, uri: str | Path | None = None) -> LoggedNight:
    """Log a night that an outage left on the disk.

    Parameters
    ----------
    record : str or Path
        The folder that the error named.
    uri : str or Path, optional
        The store, as in `tracking_uri`.

    Raises
    ------
    DataError
        If the folder holds no night.
    RegistryUnavailableError
        If the store still does not answer; the record stays.
    """
    folder = Path(record)
    try:
        text = (folder / NIGHT_FILE).read_text(encoding="utf-8")
        night = from_json(ScoredNight, parsed_json(text))
    except (OSError, ValueError, AttributeError) as err:
        raise DataError(
            f"{folder} is not the record of a night: {reason_of(err)}. Give the folder below "
            "spool/ that the error named."
        ) from err
    return _send(folder, night, tracking_uri(uri))


def _send(record: Path, night: ScoredNight, store: str) -> LoggedNight:
    return send(
        record,
        store,
        lambda sending: _upload(sending, night, store),
        what="the night is",
    )


def _upload(sending: Upload, night: ScoredNight, store: str) -> LoggedNight:
    client = sending.client
    experiment = experiment_id(client, store, NIGHTS)
    for run in finished_runs(client, NIGHTS, f"{TAG}manifest", night.manifest):
        if run.data.tags.get(f"{TAG}output") == night.output[:MAX_TAG]:
            _log_files(sending, run.info.run_id, night)  # drawn anew
            return LoggedNight(str(run.info.run_id), NIGHTS, displayed(store))
    name = f"{night.model} on {Path(night.output).name}"
    run_id = sending.open_run(experiment, name, _tags(night))
    log_metrics(client, run_id, night.counts)
    _log_files(sending, run_id, night)
    client.set_terminated(run_id, "FINISHED")
    logger.info("the night is run %s in %s", run_id, displayed(store))
    return LoggedNight(run_id, NIGHTS, displayed(store))


def _log_files(sending: Upload, run_id: str, night: ScoredNight) -> None:
    for name in _FILES:
        if (file := sending.record / name).is_file():
            sending.client.log_artifact(run_id, str(file))
    if night.learn and (kept := sending.record / LEARN_FILE).is_file():
        sending.client.set_tag(run_id, LEARN_DIGEST, sha256_of(kept))
        sending.client.set_tag(run_id, LEARN, night.learn)  # last: what has it is whole


def _tags(night: ScoredNight) -> Mapping[str, str]:
    facts = {
        "kind": "score",
        "model": night.model,
        "model_digest": night.digest,
        "output": night.output[:MAX_TAG],
        "manifest": night.manifest,
        "package_version": __version__,
    }
    return {f"{TAG}{key}": value for key, value in facts.items()}
