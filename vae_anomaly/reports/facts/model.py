"""A model as its page shows it: what it learned from, how sure it is, what it is not for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from vae_anomaly.detectors.images.fit.prediction import FoundShare
from vae_anomaly.reports.facts.night import Notice
from vae_anomaly.reports.facts.training import EvaluationFacts, HeldOutFacts, TrainingCard
from vae_anomaly.scoring.outliers import LeftOut


@dataclass(frozen=True)
class ColumnFacts:
    """One column of the schema.

    Parameters
    ----------
    is_read : bool
        Whether the model reads it.
    note : str
        Why it is what it is.
    shown : str
        Range or most frequent values, in words; empty where nothing may or can be shown.
    missing : float, optional
        Share of empty cells in training.
    """

    name: str
    kind: str
    is_read: bool
    note: str = ""
    shown: str = ""
    missing: float | None = None


@dataclass(frozen=True)
class ThresholdEvent:
    """One threshold that a version brought, or that an alias brought into force."""

    when: str  # ISO time
    who: str
    what: str  # "trained", "applied", or the alias that moved
    version: str
    old: float | None
    new: float | None
    policy: str
    why: str


@dataclass(frozen=True)
class VersionFacts:
    """One registered version of the same name."""

    version: int
    created: str  # ISO time
    aliases: tuple[str, ...]
    digest: str
    threshold: float | None
    is_this: bool


@dataclass(frozen=True)
class LatentMap:
    """Where training normals lie at two latents.

    Parameters
    ----------
    axes : tuple of (str, str)
        Their names, and what they are.
    points : tuple of (float, float)
        At most 2,000.
    marked : tuple of (str, float, float)
        The strangest training items.
    """

    axes: tuple[str, str]
    points: tuple[tuple[float, float], ...]
    marked: tuple[tuple[str, float, float], ...] = ()


@dataclass(frozen=True)
class ModelFacts:
    """Everything on the page of a model.

    Parameters
    ----------
    name : str
        Registered name, or the folder's.
    ref : str
        What to call it by in commands.
    version : int, optional
        None for a folder.
    created : str
        ISO time of the version; empty where it is not known.
    parameters : tuple of (str, str)
        Of the detector, those that differ from their defaults first.
    noun : str
        What it judges: "row" or "image".
    summary : str
        In one sentence, what it is and what it flags.
    uses, out_of_scope, limits : tuple of str
        In words made from these facts.
    unknown : tuple of str
        What is not known of it, and how it can be.
    self_test : str
        In words; empty where there is none.
    self_test_auroc : float, optional
        Of models without ``found``.
    found : tuple of FoundShare
        Synthetic defects that are found at the threshold in force, by kind and size.
    threshold : dict
        As `Threshold.to_dict` gives it.
    threshold_words : str
    training : TrainingCard, optional
        None where an earlier version trained it, or Python alone.
    held_out : HeldOutFacts
    evaluations : tuple of EvaluationFacts
        The latest first.
    reliability : dict, optional
        As `ScoreProbability.to_dict` gives it.
    strangest_note : str
        What the gallery shows, in words.
    commands : tuple of (str, str)
        What for, and the command.
    recalibrated : tuple of str
        On what, when and by whom its calibration was made anew, in words; the first first.
    """

    name: str
    ref: str
    version: int | None
    aliases: tuple[str, ...]
    kind: Literal["tabular", "image"]
    noun: str
    digest: str
    package_version: str
    created: str
    store: str
    summary: str
    parameters: tuple[tuple[str, str], ...]
    n_normals: int
    n_held_out: int
    fingerprint: dict[str, Any]
    columns: tuple[ColumnFacts, ...]
    left_out: tuple[LeftOut, ...]
    self_test: str
    self_test_auroc: float | None
    threshold: dict[str, Any]
    threshold_words: str
    training: TrainingCard | None
    held_out: HeldOutFacts
    held_out_scores: tuple[float, ...]
    evaluations: tuple[EvaluationFacts, ...]
    reliability: dict[str, Any] | None
    events: tuple[ThresholdEvent, ...]
    versions: tuple[VersionFacts, ...]
    latent_map: LatentMap | None
    uses: tuple[str, ...]
    out_of_scope: tuple[str, ...]
    limits: tuple[str, ...]
    unknown: tuple[str, ...]
    notices: tuple[Notice, ...]
    commands: tuple[tuple[str, str], ...]
    recalibrated: tuple[str, ...] = ()
    found: tuple[FoundShare, ...] = ()
