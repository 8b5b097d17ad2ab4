"""Log a sweep: a parent run with the table, and a run below it for each model.

Like a training, a sweep is written to the local disk first and removed from there when MLflow has
it. When the server is away the record stays, and `log_sweep_record` logs it later.
"""

from __future__ import annotations

import json
import logging
import math
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vae_anomaly.errors import DataError, RegistryUnavailableError, StorageError
from vae_anomaly.tracking.lookups import TAG, experiment_id
from vae_anomaly.tracking.runs import MAX_PARAM
from vae_anomaly.tracking.store import (
    DEFAULT_STORE,
    displayed,
    is_outage,
    session,
    store_folder,
    tracking_uri,
)
from vae_anomaly.vae.sweep.report import SweepReport
from vae_anomaly.version import __version__

if TYPE_CHECKING:
    from vae_anomaly.vae.sweep.report import SweepCell

SWEEPS = "vae-anomaly-sweeps"
FILES = ("sweep.json", "sweep.csv")
INTERRUPTED = "interrupted.json"
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoggedSweep:
    """Say where a sweep went.

    Parameters
    ----------
    run_id : str
        The parent run.
    child_run_ids : tuple of str
        In the order of the cells.
    experiment : str
    store : str
        The tracking URI, without a password.
    """

    run_id: str
    child_run_ids: tuple[str, ...]
    experiment: str
    store: str


def log_sweep(
    report: SweepReport, *, name: str = SWEEPS, uri: str | Path | None = None
) -> LoggedSweep:
    """Log a sweep as a parent run with a child run for each model.

    Parameters
    ----------
    report : SweepReport
    name : str
        MLflow experiment.
    uri : str or Path, optional
        The store, as in `tracking_uri`.

    Returns
    -------
    logged : LoggedSweep

    Raises
    ------
    RegistryUnavailableError
        If the store does not answer. The sweep is not lost: the message says where its record
        lies and how to log it later.
    StorageError
        If the record cannot be written.
    """
    store = tracking_uri(uri)
    return _send(_write_record(report, name, store), report, name, store)


def log_sweep_record(record: str | Path, *, uri: str | Path | None = None) -> LoggedSweep:
    """Log a sweep that an outage left on the disk.

    Parameters
    ----------
    record : str or Path
        The folder that the error named.
    uri : str or Path, optional
        The store, as in `tracking_uri`.

    Raises
    ------
    DataError
        If the folder holds no sweep.
    RegistryUnavailableError
        If the store still does not answer; the record stays.
    """
    folder = Path(record)
    try:
        found = json.loads((folder / FILES[0]).read_text(encoding="utf-8"))
        report, name = SweepReport.from_dict(found), str(found["experiment"])
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise DataError(
            f"{folder} is not the record of a sweep: {err}. Give the folder below spool/ that the "
            "error named."
        ) from err
    return _send(folder, report, name, tracking_uri(uri))


def _write_record(report: SweepReport, name: str, store: str) -> Path:
    """Write everything to the disk before the server is asked for anything."""
    spool = (store_folder(store) or Path(DEFAULT_STORE).absolute()) / "spool"
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    try:
        spool.mkdir(parents=True, exist_ok=True)
        record = Path(tempfile.mkdtemp(prefix=f"sweep-{stamp}-", dir=spool))
        document = {**report.to_dict(), "experiment": name}
        (record / FILES[0]).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        report.to_frame().to_csv(record / FILES[1], index=False)
    except OSError as err:
        raise StorageError(
            f"The record of the sweep cannot be written in {spool}: {err.strerror or err}. Free "
            "some space, choose another --tracking-uri, or sweep with --no-track."
        ) from err
    return record


def _send(record: Path, report: SweepReport, name: str, store: str) -> LoggedSweep:
    """Send a record to the store and remove it; keep it when that fails, whatever the reason."""
    try:
        with session(store) as client:
            logged = _upload(client, record, report, name, store)
    except RegistryUnavailableError as err:
        raise RegistryUnavailableError(
            f"{err} Nothing is lost: the sweep is in {record}. Log it later: python -c "
            f'"from vae_anomaly.tracking import log_sweep_record as r; r({str(record)!r})"'
        ) from err
    except BaseException:
        logger.exception("the sweep was kept in %s", record)
        raise
    shutil.rmtree(record, ignore_errors=True)
    return logged


def _upload(client: Any, record: Path, report: SweepReport, name: str, store: str) -> LoggedSweep:
    _close(client, _interrupted(record))
    experiment = experiment_id(client, store, name)
    opened: list[str] = []
    try:
        parent = _open(client, experiment, "sweep", {f"{TAG}kind": "sweep"}, opened)
        client.log_batch(parent, metrics=_metrics(_totals(report)), params=_params(report))
        for file in FILES:
            client.log_artifact(parent, str(record / file))
        for cell in report.cells:
            _log_cell(client, experiment, parent, cell, report, opened)
        client.set_terminated(parent, "FINISHED")
    except Exception as err:
        if is_outage(err):
            (record / INTERRUPTED).write_text(json.dumps(opened))
        else:
            _close(client, opened)
        raise
    logger.info("the sweep is run %s in %s", parent, displayed(store))
    return LoggedSweep(parent, tuple(opened[1:]), name, displayed(store))


def _log_cell(
    client: Any,
    experiment: str,
    parent: str,
    cell: SweepCell,
    report: SweepReport,
    opened: list[str],
) -> None:
    """Log one model below its sweep, its numbers in one call."""
    from mlflow.entities import Param

    tags = {"mlflow.parentRunId": parent, f"{TAG}kind": "sweep_cell"}
    run_id = _open(client, experiment, cell.name, tags, opened)
    told = {"model": cell.model, "beta": cell.beta, "latent_dim": cell.latent_dim}
    client.log_batch(
        run_id,
        metrics=_metrics(cell.metrics | {"rmse_mean": report.rmse_mean}),
        params=[Param(key, str(value)) for key, value in told.items() if value is not None],
    )
    client.set_terminated(run_id, "FINISHED")


def _open(client: Any, experiment: str, name: str, tags: dict[str, str], opened: list[str]) -> str:
    tags = {**tags, f"{TAG}package_version": __version__}
    run_id = str(client.create_run(experiment, run_name=name, tags=tags).info.run_id)
    opened.append(run_id)
    return run_id


def _interrupted(record: Path) -> list[str]:
    """Return the runs that an outage cut off; they are closed when the server is back."""
    file = record / INTERRUPTED
    return list(json.loads(file.read_text())) if file.is_file() else []


def _close(client: Any, opened: Sequence[str]) -> None:
    """Mark the runs of a sweep that broke off."""
    from mlflow.exceptions import MlflowException

    for run_id in opened:
        try:
            client.set_terminated(run_id, "FAILED")
        except MlflowException as err:
            logger.warning("run %s could not be closed: %s", run_id, err)


def _totals(report: SweepReport) -> dict[str, float]:
    best = report.best
    found: dict[str, float] = {"rmse_mean": report.rmse_mean}
    if best is not None and best.negative_elbo is not None and best.beta is not None:
        found |= {
            "lowest_negative_elbo": best.negative_elbo,
            "lowest_negative_elbo_beta": best.beta,
            "lowest_negative_elbo_latent_dim": best.latent_dim,
        }
    return found


def _params(report: SweepReport) -> list[Any]:
    from mlflow.entities import Param

    settings = asdict(report.settings)
    settings["sigma"] = "learned" if report.settings.sigma is None else report.settings.sigma
    told = {
        "betas": ",".join(f"{beta:g}" for beta in report.grid.betas),
        "latent_dims": ",".join(map(str, report.grid.latent_dims)),
        "n_train": report.n_train,
        "n_held_out": report.n_held_out,
        "in_shape": report.in_shape,
        "source": report.source,
        "unit": report.unit,
        **settings,
    }
    return [Param(key, str(value)[:MAX_PARAM]) for key, value in told.items()]


def _metrics(values: dict[str, float]) -> list[Any]:
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    return [Metric(key, value, now, 0) for key, value in values.items() if math.isfinite(value)]
