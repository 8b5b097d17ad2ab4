"""Give a model another threshold: only one that was made for its scores, and on the record."""

from __future__ import annotations

import hashlib
import logging
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vae_anomaly.errors import ModelRefusedError
from vae_anomaly.thresholds import Threshold

if TYPE_CHECKING:
    from vae_anomaly.tracking import RegisteredModel, ResolvedModel

__all__ = [
    "Application",
    "apply_threshold",
    "bind",
    "require_same_scores",
    "require_scores_of",
    "score_scale",
]

_SCALE_FILES = ("calibration.safetensors", "weights.safetensors")
_MARK = "#"
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Application:
    """A threshold that was given to a model.

    Parameters
    ----------
    model : str
        What to call the model with the new threshold from now on.
    old, new : Threshold
    version : int, optional
        The new version of a registered model.
    alias : str, optional
        The alias that was moved to it.
    """

    model: str
    old: Threshold
    new: Threshold
    version: int | None = None
    alias: str | None = None


def score_scale(path: str | Path) -> str:
    """Return what two models share when their scores mean the same, 16 hexadecimal digits.

    It covers weights and calibration of a model directory, not its threshold: a version that
    differs in the threshold only has the same scale.
    """
    digest = hashlib.sha256()
    for name in _SCALE_FILES:
        digest.update(name.encode() + b"\0" + (Path(path) / name).read_bytes())
    return digest.hexdigest()[:16]


def bind(threshold: Threshold, model: ResolvedModel) -> Threshold:
    """Return the threshold as made for this model."""
    return threshold.for_model(f"{model.label}{_MARK}{score_scale(model.path)}")


def require_same_scores(threshold: Threshold, model: ResolvedModel) -> None:
    """Refuse a threshold that was made for other scores.

    Raises
    ------
    ModelRefusedError
        If it was made for another model. One without a model, such as a value written by hand,
        passes.
    """
    made_for, mark, scale = threshold.model_version.rpartition(_MARK)
    if not threshold.model_version or (mark and scale == score_scale(model.path)):
        return
    raise ModelRefusedError(
        f"This threshold was made for {made_for or threshold.model_version}, whose scores mean "
        f"something else than those of {model.label}. Tune one for this model: "
        f"vae-anomaly threshold tune {model.ref}"
    )


def require_scores_of(
    model: ResolvedModel, versions: Sequence[str], uri: str | None = None
) -> None:
    """Refuse scores that another model made.

    Parameters
    ----------
    model : ResolvedModel
    versions : sequence of str
        Labels of the models that made the scores, as scoring jobs write them.
    uri : str, optional
        The MLflow store, to look registered versions up.

    Raises
    ------
    ModelRefusedError
        If one of them has other weights or another calibration.
    """
    from vae_anomaly.tracking import resolve

    for version in versions:
        if version == model.label:
            continue
        if version.startswith("folder:"):
            logger.warning(
                "scores were made by %s; cannot tell if that is %s", version, model.label
            )
            continue
        if score_scale(resolve(f"models:/{version}", uri).path) != score_scale(model.path):
            raise ModelRefusedError(
                f"These scores were made by {version} and mean something else than those of "
                f"{model.label}. Score the items again with this model, or tune models:/{version}."
            )


def apply_threshold(
    ref: str,
    threshold: Threshold,
    *,
    uri: str | None = None,
    alias: str | None = None,
    who: str | None = None,
    reason: str = "",
    dry_run: bool = False,
) -> Application:
    """Store a threshold with a model.

    Parameters
    ----------
    ref : str
        A folder is saved in place. A registered model gets a new version; the alias in ``ref``
        moves to it.
    threshold : Threshold
    uri : str, optional
        The MLflow store.
    alias : str, optional
        Alias to move, instead of the one in ``ref``.
    who : str, optional
        For the record. Default: the user of this process.
    reason : str
        For the record.
    dry_run : bool
        Check only; nothing is written.

    Returns
    -------
    application : Application

    Raises
    ------
    ModelRefusedError
        If the threshold was made for another model.
    """
    from vae_anomaly.tracking import load
    from vae_anomaly.tracking.promotion import this_user

    detector, model = load(ref, uri)
    require_same_scores(threshold, model)
    who = who or this_user()
    old = detector.threshold_
    if dry_run:
        return Application(ref, old, threshold)
    detector.set_threshold(threshold)
    if model.name is None:
        detector.save(model.path)
        return Application(ref, old, threshold)
    moved = alias or (ref.rpartition("@")[2] if "@" in ref else None)
    made = _register(detector, model, Change(old, threshold, model, who, reason), moved, uri)
    named = f"models:/{model.name}@{moved}" if moved else made.uri
    return Application(named, old, threshold, made.version, moved)


@dataclass(frozen=True)
class Change:
    """What goes on the record: from, to, on whose network, by whom and why."""

    old: Threshold
    new: Threshold
    model: ResolvedModel
    who: str | None
    reason: str

    def sentence(self) -> str:
        """Say it in one line, for the description of the version."""
        new, asked = self.new, ", ".join(f"{k} {v}" for k, v in self._asked().items())
        said = [
            f"threshold {self.old.value:.6g} -> {new.value:.6g} on the network of "
            f"{self.model.label}",
            f"policy {new.policy} ({asked})" if asked else f"policy {new.policy}",
            f"scores sha256 {new.data_hash[:16]}" if new.data_hash else "",
            f"by {self.who}" if self.who else "",
            self.reason,
        ]
        return "; ".join(part for part in said if part)

    def record(self) -> dict[str, Any]:
        """Return the same as plain JSON values, for ``threshold history``."""
        return {
            "who": self.who or "",
            "old": self.old.value,
            "policy": self.new.policy,
            "asked": self._asked(),
            "evidence": self._figures(),
            "made_on": self.model.label,
            "reason": self.reason,
        }

    def _asked(self) -> dict[str, Any]:
        return {k: v for k, v in self.new.parameters.items() if v is not None}

    def _figures(self) -> dict[str, Any]:
        new, volume = self.new, self.new.parameters.get("volume")
        daily = new.alarms_per_day(volume) if isinstance(volume, int | float) else None
        shown: dict[str, Any] = {
            "fpr": new.expected_fpr,
            "alarms_per_day": daily,
            "precision": new.expected_precision,
            "recall": new.expected_recall,
            "cost": new.expected_cost,
        }
        figures = {name: asdict(value) for name, value in shown.items() if value is not None}
        counts = {"n_normals": new.n_normals, "n_anomalies": new.n_anomalies}
        return figures | counts | {"scores_sha256": new.data_hash}


def _register(
    detector: Any, model: ResolvedModel, change: Change, alias: str | None, uri: str | None
) -> RegisteredModel:
    from vae_anomaly.tracking import register_directory
    from vae_anomaly.tracking.threshold_history import change_tag

    with tempfile.TemporaryDirectory(prefix="vae-anomaly-") as scratch:
        saved = detector.save(Path(scratch) / "model")
        return register_directory(
            saved,
            name=model.name,
            alias=alias,
            evidence=change.sentence(),
            description=change.sentence(),
            version_tags=change_tag(change.record()),
            who=change.who,
            uri=uri,
        )
