"""Give a model probabilities: fitted on labelled items, stored with it, on the record."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from vae_anomaly.errors import DataError, ModelRefusedError
from vae_anomaly.evaluation.application import score_scale
from vae_anomaly.evaluation.items import ScoredItems
from vae_anomaly.scoring.probability import Method, ScoreProbability, calibrate_probability
from vae_anomaly.tracking import ResolvedModel

__all__ = ["AppliedProbability", "apply_probability", "fit_probability"]

_MARK = "#"


@dataclass(frozen=True)
class AppliedProbability:
    """What the model is called from now on, its new version, and the alias that moved to it."""

    model: str
    version: int | None = None
    alias: str | None = None


def fit_probability(
    items: ScoredItems,
    model: ResolvedModel,
    *,
    method: Method = "isotonic",
    base_rate: float | None = None,
) -> ScoreProbability:
    """Calibrate probabilities on labelled items, for this model alone.

    Parameters
    ----------
    items : ScoredItems
        With labels; groups stay together.
    model : ResolvedModel
        Whose scores they are.
    method : {"isotonic", "sigmoid"}
    base_rate : float, optional
        Share of anomalies where the probabilities will be used, if not that of the items.

    Raises
    ------
    DataError
        If the items have no labels.
    """
    if items.labels is None:
        raise DataError(
            f"{items.source or 'The input'} has no labels, and without them no probability can be "
            "said, only a p-value. Give --labels COLUMN, or sort pictures into good, scratch, ..."
        )
    found = calibrate_probability(items.scores, items.labels, method, items.groups)
    found = found if base_rate is None else found.at_base_rate(base_rate)
    return found.for_model(f"{model.label}{_MARK}{score_scale(model.path)}")


def apply_probability(
    ref: str,
    probability: ScoreProbability,
    *,
    uri: str | None = None,
    alias: str | None = None,
    dry_run: bool = False,
) -> AppliedProbability:
    """Store probabilities with a model; its scores and threshold stay.

    Parameters
    ----------
    ref : str
        A folder is saved in place. A registered model gets a new version; the alias in ``ref``
        moves to it.
    probability : ScoreProbability
    uri : str, optional
        The MLflow store.
    alias : str, optional
        Alias to move, instead of the one in ``ref``.
    dry_run : bool
        Check only.

    Raises
    ------
    ModelRefusedError
        If it was made for a model with other weights or another calibration.
    """
    from vae_anomaly.tracking import load, register_directory

    detector, model = load(ref, uri)
    _require_same_scores(probability, model)
    if dry_run:
        return AppliedProbability(ref)
    detector.set_probability(probability)
    if model.name is None:
        detector.save(model.path)
        return AppliedProbability(ref)
    moved = alias or (ref.rpartition("@")[2] if "@" in ref else None)
    why = (
        f"probabilities ({probability.method}, base rate {probability.base_rate:.4g}, Brier score "
        f"{probability.brier}) on the network of {model.label}"
    )
    with tempfile.TemporaryDirectory(prefix="vae-anomaly-") as scratch:
        saved = detector.save(Path(scratch) / "model")
        made = register_directory(
            saved, name=model.name, alias=moved, evidence=why, description=why, uri=uri
        )
    named = f"models:/{model.name}@{moved}" if moved else made.uri
    return AppliedProbability(named, made.version, moved)


def _require_same_scores(probability: ScoreProbability, model: ResolvedModel) -> None:
    made_for, mark, scale = probability.model_version.rpartition(_MARK)
    if mark and scale != score_scale(model.path):
        raise ModelRefusedError(
            f"These probabilities were made for {made_for}, whose scores mean something else than "
            f"those of {model.label}. Fit them for this model: "
            f"vae-anomaly probability fit {model.ref} INPUT --labels COLUMN"
        )
