"""Log everything that outages left on the disk: trainings, sweeps and nights, the oldest first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vae_anomaly.errors import RegistryUnavailableError, VaeAnomalyError
from vae_anomaly.names import spelled
from vae_anomaly.tracking.nights import NIGHT_FILE, log_night_record
from vae_anomaly.tracking.runs import RUN, register_directory
from vae_anomaly.tracking.spool import is_owned, spool_folder
from vae_anomaly.tracking.store import tracking_uri
from vae_anomaly.tracking.sweeps import FILES, log_sweep_record

RecordKind = Literal["training", "sweep", "night", "unknown"]


@dataclass(frozen=True)
class Synced:
    """What became of a record.

    Parameters
    ----------
    record : Path
    kind : {"training", "sweep", "night", "unknown"}
    run_id : str, optional
        The MLflow run that it is now; None where it stays on the disk.
    reason : str
        Why it stays.
    """

    record: Path
    kind: RecordKind
    run_id: str | None = None
    reason: str = ""


def sync_spool(uri: str | Path | None = None, spool: str | Path | None = None) -> list[Synced]:
    """Log the records that wait for a store, and remove each when all of it is there.

    Parameters
    ----------
    uri : str or Path, optional
        The store, as in `tracking_uri`.
    spool : str or Path, optional
        The folder of the records. Default: that of the store, or ``vae-anomaly-store/spool`` in the
        working directory where the store is a server.

    Returns
    -------
    list of Synced
        The oldest first. One that a running process is at is left to it, one that is damaged stays.

    Raises
    ------
    RegistryUnavailableError
        If the store does not answer; what was not sent stays.
    """
    store = tracking_uri(uri)
    folder = spool_folder(store) if spool is None else Path(spool)
    found = folder.iterdir() if folder.is_dir() else ()
    return [_synced(record, store) for record in sorted(filter(_is_record, found), key=_age)]


def _is_record(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and not path.name.startswith(".")


def _age(record: Path) -> tuple[float, str]:
    return record.stat().st_mtime, record.name


def _synced(record: Path, store: str) -> Synced:
    kind = _kind(record)
    if is_owned(record):
        return Synced(record, kind, reason="a running process is at it")
    if kind == "unknown":
        return Synced(record, kind, reason="it was not written to its end, or is no record of ours")
    try:
        return Synced(record, kind, _send(record, kind, store))
    except RegistryUnavailableError:
        raise
    except VaeAnomalyError as err:
        return Synced(record, kind, reason=spelled(str(err)))


def _send(record: Path, kind: RecordKind, store: str) -> str:
    if kind == "night":
        return log_night_record(record, uri=store).run_id
    if kind == "sweep":
        return log_sweep_record(record, uri=store).run_id
    return register_directory(record, uri=store).run_id


def _kind(record: Path) -> RecordKind:
    if (record / NIGHT_FILE).is_file():
        return "night"
    if (record / RUN).is_file():
        return "training"
    return "sweep" if all((record / name).is_file() for name in FILES) else "unknown"
