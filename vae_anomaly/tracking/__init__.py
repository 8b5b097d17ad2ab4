"""MLflow: training runs, the model registry, and loading from it without trusting it.

::

    log_training(detector, name="cards", alias="champion")   a run, a version, an alias
    load("models:/cards@champion")                           a verified detector, and its version
    promote("cards", 4, evidence="AP 0.41, was 0.36")        an alias moved, on the record
    log_evaluation(model, figures, source="days/")           a run of its own, with figures
    threshold_history("cards")                               who moved the threshold, when, and why
    import_feedback("cards", verdicts)                       what reviewers said of flagged items
    log_night(night, ["flags/report.html"])                  a scoring run, with its page
    resolve_stage("cards")                                   what verdicts have taught, verified
    log_sweep(report)                                        a run, and one below it a model
    sync_spool()                                             what outages left on the disk

The store is a tracking URI, always explicit: the ``uri`` argument, else ``MLFLOW_TRACKING_URI``,
else SQLite in ``vae-anomaly-store/`` in the working directory. Importing this package does not
import mlflow, and a model that is a folder never needs it.
"""

from __future__ import annotations

from pathlib import Path

from vae_anomaly.tracking.databases.moved import Relinked, relink_store
from vae_anomaly.tracking.events import (
    LoggedEvaluation,
    Promotion,
    log_evaluation,
    promote,
    registered_name,
)
from vae_anomaly.tracking.learned import (
    ResolvedStage,
    register_stage,
    resolve_stage,
    withdraw_stage,
)
from vae_anomaly.tracking.nights import LoggedNight, ScoredNight, log_night, log_night_record
from vae_anomaly.tracking.registry import (
    ModelCard,
    ModelSummary,
    ThresholdHistory,
    VersionCard,
    list_models,
    show_model,
    threshold_history,
)
from vae_anomaly.tracking.reviews.imports import (
    FeedbackImport,
    FeedbackSummary,
    import_feedback,
    imported_verdicts,
    list_imports,
    load_feedback,
    withdraw_import,
)
from vae_anomaly.tracking.runs import RegisteredModel, log_training, register_directory
from vae_anomaly.tracking.spooled import Synced, sync_spool
from vae_anomaly.tracking.store import init_store, tracking_uri
from vae_anomaly.tracking.sweeps import LoggedSweep, log_sweep, log_sweep_record
from vae_anomaly.tracking.verified import ResolvedModel, load, resolve, verify

__all__ = [
    "FeedbackImport",
    "FeedbackSummary",
    "LoggedEvaluation",
    "LoggedNight",
    "LoggedSweep",
    "ModelCard",
    "ModelSummary",
    "Promotion",
    "RegisteredModel",
    "Relinked",
    "ResolvedModel",
    "ResolvedStage",
    "ScoredNight",
    "Synced",
    "ThresholdHistory",
    "VersionCard",
    "import_feedback",
    "imported_verdicts",
    "init_store",
    "list_imports",
    "list_models",
    "load",
    "load_feedback",
    "log_evaluation",
    "log_night",
    "log_night_record",
    "log_sweep",
    "log_sweep_record",
    "log_training",
    "promote",
    "register_directory",
    "register_stage",
    "registered_name",
    "relink_store",
    "resolve",
    "resolve_stage",
    "show_model",
    "sync_spool",
    "threshold_history",
    "tracking_uri",
    "verify",
    "withdraw_import",
    "withdraw_stage",
]


def _load_pyfunc(data_path: str | Path) -> object:
    """Load a model for ``mlflow.pyfunc``, ``mlflow models serve`` and Spark."""
    from vae_anomaly.tracking.pyfunc import load_predictor

    return load_predictor(data_path)
