"""Log an evaluation as a run of its own: which model, on what, with figures and pictures."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vae_anomaly.tracking.lookups import TAG, experiment_id
from vae_anomaly.tracking.store import displayed, session, tracking_uri
from vae_anomaly.tracking.verified import ResolvedModel
from vae_anomaly.version import __version__

EVALUATIONS = "vae-anomaly-evaluations"
METRICS_PER_CALL = 1000  # MLflow's limit


@dataclass(frozen=True)
class LoggedEvaluation:
    """Say where an evaluation went: run, experiment, and the store without a password."""

    run_id: str
    experiment: str
    store: str


def log_evaluation(
    model: ResolvedModel,
    metrics: Mapping[str, float],
    *,
    source: str,
    documents: Mapping[str, Any] | None = None,
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

    Returns
    -------
    logged : LoggedEvaluation

    Raises
    ------
    RegistryUnavailableError
        If the store does not answer; what is left half-done is a failed run.
    """
    store = tracking_uri(uri)
    told = {"model": model.label, "model_digest": model.digest, "evaluated_on": source,
            "package_version": __version__}  # fmt: skip
    with session(store) as client:
        if model.name is not None:
            trained = client.get_model_version(model.name, str(model.version)).run_id
            told["model_run_id"] = trained or ""
        run = client.create_run(
            experiment_id(client, store, EVALUATIONS),
            run_name=f"{model.label} on {Path(source).name}",
            tags={f"{TAG}{key}": str(value) for key, value in told.items()},
        ).info.run_id
        try:
            log_metrics(client, run, metrics)
            for name, content in (documents or {}).items():
                client.log_dict(run, content, name)
            for file in files:
                client.log_artifact(run, str(file))
        except Exception:
            client.set_terminated(run, "FAILED")
            raise
        client.set_terminated(run, "FINISHED")
    return LoggedEvaluation(run, EVALUATIONS, displayed(store))


def log_metrics(client: Any, run_id: str, values: Mapping[str, float]) -> None:
    """Log finite values in as few calls as MLflow allows."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    metrics = [Metric(k, float(v), now, 0) for k, v in values.items() if math.isfinite(v)]
    for start in range(0, len(metrics), METRICS_PER_CALL):
        client.log_batch(run_id, metrics=metrics[start : start + METRICS_PER_CALL])
