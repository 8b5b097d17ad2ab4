"""Log an evaluation as a run of its own: which model, on what, with figures and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vae_anomaly.tracking.client import TAG, log_metrics, own_run
from vae_anomaly.tracking.store import displayed, session, tracking_uri
from vae_anomaly.tracking.verified import ResolvedModel
from vae_anomaly.version import __version__

EVALUATIONS = "vae-anomaly-evaluations"


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
            log_metrics(client, run.info.run_id, metrics)
            for file, content in (documents or {}).items():
                client.log_dict(run.info.run_id, content, file)
            for figure in files:
                client.log_artifact(run.info.run_id, str(figure))
    return LoggedEvaluation(run.info.run_id, EVALUATIONS, displayed(store))
