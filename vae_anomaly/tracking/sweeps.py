"""Log a sweep: a parent run with the table, and a run below it for each model.

Like a training, a sweep is written to the local disk first and removed from there when MLflow has
it. When the server is away the record stays, and `log_sweep_record` logs it later.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vae_anomaly.errors import DataError
from vae_anomaly.files import parsed_json, replace_file
from vae_anomaly.tracking.client import TAG, experiment_id, log_metrics, log_numbers
from vae_anomaly.tracking.spool import Upload, new_record, send
from vae_anomaly.tracking.store import displayed, tracking_uri
from vae_anomaly.version import __version__
from vae_anomaly.words import reason_of

if TYPE_CHECKING:
    from vae_anomaly.vae.sweep import SweepCell, SweepReport

SWEEPS = "vae-anomaly-sweeps"
FILES = ("sweep.json", "sweep.csv")
OUR_VERSION = {f"{TAG}package_version": __version__}
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
    name : str
        MLflow experiment.
    uri : str or Path, optional
        The store, as in `tracking_uri`.

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
    from vae_anomaly.vae.sweep import SweepReport

    folder = Path(record)
    try:
        document = parsed_json((folder / FILES[0]).read_text(encoding="utf-8"))
        report, name = SweepReport.from_dict(document), str(document["experiment"])
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise DataError(
            f"{folder} is not the record of a sweep: {reason_of(err)}. Give the folder below "
            "spool/ that the error named."
        ) from err
    return _send(folder, report, name, tracking_uri(uri))


def _write_record(report: SweepReport, name: str, store: str) -> Path:
    """Write everything to the disk before the server is asked for anything."""
    remedy = "Free some space, choose another --tracking-uri, or sweep with --no-track."
    document = {**report.to_dict(), "experiment": name}
    with new_record(store, "sweep") as record:
        with replace_file(record / FILES[0], remedy) as temporary:
            temporary.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        with replace_file(record / FILES[1], remedy) as temporary:
            report.to_frame().to_csv(temporary, index=False)
    return record


def _send(record: Path, report: SweepReport, name: str, store: str) -> LoggedSweep:
    return send(
        record,
        store,
        lambda sending: _upload(sending, report, name, store),
        what="the sweep is",
    )


def _upload(sending: Upload, report: SweepReport, name: str, store: str) -> LoggedSweep:
    client = sending.client
    experiment = experiment_id(client, store, name)
    parent = sending.open_run(experiment, "sweep", {f"{TAG}kind": "sweep", **OUR_VERSION})
    log_metrics(client, parent, _totals(report))
    log_numbers(client, parent, params=_params(report))
    for file in FILES:
        client.log_artifact(parent, str(sending.record / file))
    children = [_log_cell(sending, experiment, parent, cell, report) for cell in report.cells]
    client.set_terminated(parent, "FINISHED")
    logger.info("the sweep is run %s in %s", parent, displayed(store))
    return LoggedSweep(parent, tuple(children), name, displayed(store))


def _log_cell(
    sending: Upload, experiment: str, parent: str, cell: SweepCell, report: SweepReport
) -> str:
    """Log one model below its sweep and return its run."""
    tags = {"mlflow.parentRunId": parent, f"{TAG}kind": "sweep_cell", **OUR_VERSION}
    run_id = sending.open_run(experiment, cell.name, tags)
    settings = {"model": cell.model, "beta": cell.beta, "latent_dim": cell.latent_dim}
    log_metrics(sending.client, run_id, cell.metrics | {"rmse_mean": report.rmse_mean})
    log_numbers(sending.client, run_id, params={k: v for k, v in settings.items() if v is not None})
    sending.client.set_terminated(run_id, "FINISHED")
    return run_id


def _totals(report: SweepReport) -> dict[str, float]:
    best = report.best
    totals: dict[str, float] = {"rmse_mean": report.rmse_mean}
    if best is not None and best.negative_elbo is not None and best.beta is not None:
        totals |= {
            "lowest_negative_elbo": best.negative_elbo,
            "lowest_negative_elbo_beta": best.beta,
            "lowest_negative_elbo_latent_dim": best.latent_dim,
        }
    return totals


def _params(report: SweepReport) -> dict[str, object]:
    settings = asdict(report.settings)
    settings["sigma"] = "learned" if report.settings.sigma is None else report.settings.sigma
    return {
        "betas": ",".join(f"{beta:g}" for beta in report.grid.betas),
        "latent_dims": ",".join(map(str, report.grid.latent_dims)),
        "n_train": report.n_train,
        "n_held_out": report.n_held_out,
        "in_shape": report.in_shape,
        "source": report.source,
        "unit": report.unit,
        **settings,
    }
