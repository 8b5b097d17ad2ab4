"""Give a model another threshold, or probabilities: only what was made for its scores, recorded."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeVar

from vae_anomaly.detectors.protocol import Detector
from vae_anomaly.detectors.recalibration import Recalibration
from vae_anomaly.errors import DataError, ModelRefusedError
from vae_anomaly.names import typed
from vae_anomaly.persistence import ALL_FILES, score_scale
from vae_anomaly.scoring.probability import Method, ScoreProbability, calibrate_probability
from vae_anomaly.storage.addresses import is_remote
from vae_anomaly.storage.models import put_model
from vae_anomaly.thresholds import Threshold
from vae_anomaly.thresholds.items import ScoredItems
from vae_anomaly.tracking.events import MAX_TAG, registered_name, this_user
from vae_anomaly.tracking.learned import STAGE_ALIAS, learned_name, register_stage, resolve_stage
from vae_anomaly.tracking.registry import RECALIBRATED, change_tag
from vae_anomaly.tracking.runs import register_directory
from vae_anomaly.tracking.verified import ResolvedModel, load, resolve
from vae_anomaly.verdicts.saved import read_stage, write_stage

_MARK = "#"
_Fact = TypeVar("_Fact", Threshold, ScoreProbability)
logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Applied:
    """Where a fact was stored."""

    model: str  # what to call the model that has it from now on
    version: int | None = None  # the new one of a registered model
    alias: str | None = None  # that was moved to it


@dataclass(frozen=True, kw_only=True)
class Application(Applied):
    """A threshold that was given to a model, in place of the old one."""

    old: Threshold
    new: Threshold


class AppliedProbability(Applied):
    """Probabilities that were given to a model."""


def bind(fact: _Fact, model: ResolvedModel) -> _Fact:
    """Return the threshold, or the probabilities, as made for this model."""
    return fact.for_model(f"{model.label}{_MARK}{score_scale(model.path)}")


def require_same_scores(fact: Threshold | ScoreProbability, model: ResolvedModel) -> None:
    """Refuse what was made for other scores.

    Raises
    ------
    ModelRefusedError
        If it was made for another model. One without a model, such as a value written by hand,
        passes.
    """
    made_for, mark, scale = fact.model_version.rpartition(_MARK)
    if not fact.model_version or (mark and scale == score_scale(model.path)):
        return
    what, remedy = (
        "This threshold was",
        f"Tune one for this model: vae-anomaly threshold tune {typed(model.ref)}",
    )
    if isinstance(fact, ScoreProbability):
        what = "These probabilities were"
        remedy = (
            "Fit them for this model: vae-anomaly probability fit "
            f"{typed(model.ref)} INPUT --labels COLUMN"
        )
    raise ModelRefusedError(
        f"{what} made for {made_for or fact.model_version}, whose scores mean something else than "
        f"those of {model.label}. {remedy}"
    )


def require_scores_of(
    model: ResolvedModel, versions: Sequence[str], uri: str | None = None
) -> None:
    """Refuse scores that another model made.

    Parameters
    ----------
    versions : sequence of str
        Labels of the models that made the scores, as scoring jobs write them.
    uri : str, optional
        The MLflow store, to look registered versions up.

    Raises
    ------
    ModelRefusedError
        If one of them has other weights or another calibration.
    """
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

    One on what verdicts have taught is stored with the second stage in force instead, as a new
    version of NAME.learned; the model and its own threshold stay.

    Parameters
    ----------
    ref : str
        A folder is saved in place. A registered model gets a new version; the alias in ``ref``
        moves to it.
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

    Raises
    ------
    ModelRefusedError
        If the threshold was made for another model; if nothing is learned for it.
    """
    detector, model = load(ref, uri)
    require_same_scores(threshold, model)
    old = detector.threshold_
    if threshold.basis != "score":
        return _with_stage(threshold, old, model, uri=uri, who=who, reason=reason, dry_run=dry_run)
    if dry_run:
        return Application(model=ref, old=old, new=threshold)
    change = Change(old, threshold, model, who or this_user(), reason)
    detector.set_threshold(threshold)
    applied = _store(
        detector, model, alias, change.sentence(), uri=uri, who=change.who,
        version_tags=change_tag(change.record()),
    )  # fmt: skip
    return Application(**asdict(applied), old=old, new=threshold)


def withdraw_learned_threshold(
    ref: str,
    *,
    uri: str | None = None,
    who: str | None = None,
    reason: str = "",
    dry_run: bool = False,
) -> Application:
    """Let the model's own threshold flag again; what verdicts have taught stays.

    Parameters
    ----------
    ref, uri, who, reason, dry_run
        As in `apply_threshold`.

    Raises
    ------
    ModelRefusedError
        If no threshold on what verdicts have taught is in force.
    """
    detector, model = load(ref, uri)
    return _with_stage(
        None, detector.threshold_, model, uri=uri, who=who, reason=reason, dry_run=dry_run
    )


def learned_threshold(model: ResolvedModel, uri: str | None = None) -> Threshold | None:
    """Return the threshold on what verdicts have taught by which runs of a model flag.

    None where none is in force, or it is of another model's scores: then the model's own flags.
    """
    current = None if model.name is None else resolve_stage(model.name, uri)
    stage = None if current is None else read_stage(current.path)
    if stage is None or stage.threshold is None or stage.model != score_scale(model.path):
        return None
    return Threshold.from_dict(stage.threshold)


def _with_stage(
    threshold: Threshold | None,
    own: Threshold,
    model: ResolvedModel,
    *,
    uri: str | None,
    who: str | None,
    reason: str,
    dry_run: bool,
) -> Application:
    """Store a threshold, or none, with what verdicts have taught; ``own`` is the model's."""
    name = model.name or registered_name(model.ref)
    current = resolve_stage(name, uri)
    learn = f"vae-anomaly feedback learn {typed(name)}"
    if current is None:
        raise ModelRefusedError(
            f"Nothing that verdicts have taught is in force for {name}. {learn}"
        )
    stage = read_stage(current.path)
    if threshold is None and stage.threshold is None:
        raise ModelRefusedError(f"{name} flags by its own threshold already: {own.bound_text}.")
    if threshold is not None and stage.model != score_scale(model.path):
        raise ModelRefusedError(
            f"What verdicts have taught is of another model's scores than those of {model.label}. "
            f"Score a night with it, then learn again: {learn}"
        )
    old = own if stage.threshold is None else Threshold.from_dict(stage.threshold)
    done = Application(model=f"models:/{learned_name(name)}@{STAGE_ALIAS}", old=old,
                       new=threshold or own)  # fmt: skip
    if dry_run:
        return done
    told = None if threshold is None else threshold.to_dict()
    facts = {"verdicts": stage.verdicts, "confirmed": stage.confirmed, "reason": reason,
             "policy": threshold.policy if threshold else ""}  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="vae-anomaly-") as scratch:
        folder = Path(scratch) / "stage"
        write_stage(replace(stage, threshold=told), folder)
        kept = register_stage(name, folder, {k: v for k, v in facts.items() if v}, uri, who)
    return replace(done, version=kept.version, alias=STAGE_ALIAS)


@dataclass(frozen=True)
class Change:
    """What goes on the record: from, to, on whose network, by whom and why."""

    old: Threshold
    new: Threshold
    model: ResolvedModel
    who: str
    reason: str

    def sentence(self) -> str:
        """Say it in one line, for the description of the version."""
        new, request = self.new, ", ".join(f"{k} {v}" for k, v in self._asked().items())
        parts = [
            f"threshold {self.old.value:.6g} -> {new.value:.6g} on the network of "
            f"{self.model.label}",
            f"policy {new.policy} ({request})" if request else f"policy {new.policy}",
            f"scores sha256 {new.data_hash[:16]}" if new.data_hash else "",
            f"by {self.who}" if self.who else "",
            self.reason,
        ]
        return "; ".join(part for part in parts if part)

    def record(self) -> dict[str, object]:
        """Return the same as plain JSON values, for ``threshold history``."""
        return {
            "who": self.who,
            "old": self.old.value,
            "policy": self.new.policy,
            "asked": self._asked(),
            "evidence": self._evidence(),
            "made_on": self.model.label,
            "reason": self.reason,
        }

    def _asked(self) -> dict[str, int | float | str]:
        return {k: v for k, v in self.new.parameters.items() if v is not None}

    def _evidence(self) -> dict[str, object]:
        volume = self.new.parameters.get("volume")
        figures = self.new.figures(volume if isinstance(volume, int | float) else None)
        counts = {"n_normals": self.new.n_normals, "n_anomalies": self.new.n_anomalies}
        known = {name: asdict(figure) for name, figure in figures.items()}
        return known | counts | {"scores_sha256": self.new.data_hash}


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
            "said, only a p-value. Give --labels COLUMN, or sort images into good, scratch, ..."
        )
    fitted = calibrate_probability(items.scores, items.labels, method, items.groups)
    return bind(fitted if base_rate is None else fitted.at_base_rate(base_rate), model)


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
    ref, uri, alias, dry_run
        As in `apply_threshold`.

    Raises
    ------
    ModelRefusedError
        If it was made for a model with other weights or another calibration.
    """
    detector, model = load(ref, uri)
    require_same_scores(probability, model)
    if dry_run:
        return AppliedProbability(model=ref)
    detector.set_probability(probability)
    why = (
        f"probabilities ({probability.method}, base rate {probability.base_rate:.4g}, Brier score "
        f"{probability.brier}) on the network of {model.label}"
    )
    return AppliedProbability(**asdict(_store(detector, model, alias, why, uri=uri)))


def apply_recalibration(
    detector: Detector,
    model: ResolvedModel,
    record: Recalibration,
    *,
    alias: str | None = None,
    uri: str | None = None,
) -> Applied:
    """Register a model that was calibrated anew as a new version of the one that it was made of.

    Parameters
    ----------
    detector : Detector
        As it is now.
    model : ResolvedModel
        What it was, a registered version.
    record : Recalibration
    alias : str, optional
        Alias to move; without it none moves, not even the one that ``model`` was named by.
    """
    new = detector.threshold_
    change = {
        "how": "recalibrated", "who": record.who, "old": record.old_threshold,
        "policy": new.policy, "asked": {"fpr": record.target_fpr},
        "evidence": {"n_normals": record.n_items, "scores_sha256": new.data_hash}
        | ({} if new.expected_fpr is None else {"fpr": asdict(new.expected_fpr)}),
        "made_on": model.label, "reason": record.reason,
    }  # fmt: skip
    tags = change_tag(change) | {RECALIBRATED: str(record)[:MAX_TAG]}
    return _registered(detector, model, alias, str(record), who=record.who, tags=tags, uri=uri)


def _store(
    detector: Detector,
    model: ResolvedModel,
    alias: str | None,
    evidence: str,
    *,
    uri: str | None,
    who: str | None = None,
    version_tags: Mapping[str, str] | None = None,
) -> Applied:
    """Save a folder in place, or register a new version and move the alias to it."""
    if model.name is None and is_remote(model.ref):
        return Applied(model=put_model(detector.save, model.ref, ALL_FILES))
    if model.name is None:
        detector.save(model.path)
        return Applied(model=model.ref)
    moved = alias or (model.ref.rpartition("@")[2] if "@" in model.ref else None)
    return _registered(detector, model, moved, evidence, who=who, tags=version_tags, uri=uri)


def _registered(
    detector: Detector,
    model: ResolvedModel,
    alias: str | None,
    evidence: str,
    *,
    who: str | None,
    tags: Mapping[str, str] | None,
    uri: str | None,
) -> Applied:
    """Register a new version of a model, and move an alias to it where one is named."""
    with tempfile.TemporaryDirectory(prefix="vae-anomaly-") as scratch:
        version = register_directory(
            detector.save(Path(scratch) / "model"),
            name=model.name,
            alias=alias,
            evidence=evidence,
            description=evidence,
            version_tags=tags,
            who=who,
            uri=uri,
        )
    name = f"models:/{model.name}@{alias}" if alias else version.uri
    return Applied(model=name, version=version.version, alias=alias)
