"""What nights have kept to learn from: the files of their runs, fetched once, always checked."""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from vae_anomaly.errors import RegistryUnavailableError, StorageError
from vae_anomaly.files import replace_file, sha256_of
from vae_anomaly.storage.addresses import cache_folder
from vae_anomaly.tracking.client import TAG, all_pages, as_time, model_aliases, stored_file
from vae_anomaly.tracking.network.answers import is_denial, is_outage
from vae_anomaly.tracking.nights import LEARN, LEARN_DIGEST, LEARN_FILE, NIGHTS
from vae_anomaly.tracking.store import session, tracking_uri
from vae_anomaly.words import reason_of

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_ROOM = "Free some space or set VAE_ANOMALY_CACHE to another folder."
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class KeptFile:
    """What a scoring run has kept to learn from, as a verified file on this machine.

    Parameters
    ----------
    night : str
        ``2026-01-31``.
    run_id : str
    logged : datetime
        When the run was logged, UTC.
    path : Path
        `read_kept_items` reads it.
    digest : str
        Its SHA-256.
    """

    night: str
    run_id: str
    logged: datetime
    path: Path
    digest: str


def kept_nights(name: str, uri: str | Path | None = None) -> list[KeptFile]:
    """Return what the nights of a registered model have kept, of any version, oldest first.

    Files that are gone, or are not those that were logged, are left out with a warning.

    Raises
    ------
    ModelRefusedError
        If the registry holds no model of that name.
    RegistryUnavailableError
        If the store does not answer.
    """
    store = tracking_uri(uri)
    with session(store) as client:
        model_aliases(client, name, store)
        found = [_fetched(client, store, run) for run in _learnable_runs(client, name)]
    kept = [file for file in found if file is not None]
    return sorted(kept, key=lambda file: (file.night, file.logged, file.run_id))


def _learnable_runs(client: MlflowClient, name: str) -> Sequence[Run]:
    """Return the finished runs of a model's nights that have kept something."""
    stored = client.get_experiment_by_name(NIGHTS)
    if stored is None:
        return []
    like = re.sub(r"['%_\\]", "_", name)  # a wildcard each; what else it finds is left out below
    condition = (
        f"tags.`{TAG}model` LIKE '{like}/%' and tags.`{LEARN}` LIKE '____-__-__' "
        "and attributes.status = 'FINISHED'"
    )
    runs: list[Run] = all_pages(
        lambda token: client.search_runs([stored.experiment_id], condition, page_token=token)
    )
    return [run for run in runs if run.data.tags[f"{TAG}model"].rpartition("/")[0] == name]


def _fetched(client: MlflowClient, store: str, run: Run) -> KeptFile | None:
    """Return the file of a run, fetched where it is not here yet; None where it is not sound."""
    from mlflow.exceptions import MlflowException

    digest = run.data.tags.get(LEARN_DIGEST, "")
    target = cache_folder() / "learn" / f"{digest}.parquet"
    try:
        if not (target.is_file() and sha256_of(target) == digest):
            with tempfile.TemporaryDirectory(prefix="vae-anomaly-") as scratch:
                file = Path(stored_file(client, store, run, LEARN_FILE, scratch))
                _put(file, target, digest)
    except (MlflowException, OSError, ValueError) as err:
        away = isinstance(err, RegistryUnavailableError | StorageError)
        if away or is_outage(err) or is_denial(err):
            raise
        logger.warning(
            "nothing is learned from run %s, the night of %s: its %s cannot be used: %s",
            run.info.run_id, run.data.tags[LEARN], LEARN_FILE, reason_of(err),
        )  # fmt: skip
        return None
    night, logged = run.data.tags[LEARN], as_time(run.info.start_time)
    return KeptFile(night, str(run.info.run_id), logged, target, digest)


def _put(file: Path, target: Path, digest: str) -> None:
    if sha256_of(file) != digest:
        raise ValueError("it is not the file that was logged")
    with replace_file(target, _ROOM) as temporary:
        temporary.write_bytes(file.read_bytes())
