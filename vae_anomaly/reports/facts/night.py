"""A night as its page shows it: how many, how sure, and whether anything is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from vae_anomaly.metrics import Interval
from vae_anomaly.reports.facts.items import ReviewItem


@dataclass(frozen=True)
class ScoringFacts:
    """What is known of the model that scored, kept beside what it scored.

    Parameters
    ----------
    version : str
        ``cards/3``, or ``folder:`` and the beginning of the digest.
    digest : str
        SHA-256 of the model's list of digests.
    kind : {"tabular", "image"}
    threshold : dict
        The operating point, as `Threshold.to_dict` gives it.
    held_out : tuple of float
        Anomaly scores of held-out normals, rising: all of them, or so many quantiles.
    n_held_out : int
    fingerprint : dict
        Of the training data: rows or images, SHA-256, time span where there is one.
    package_version : str
    groups : tuple of int
        Of each of ``held_out``, where the model was trained with groups; else empty.
    baseline : dict, optional
        What training inputs looked like, as `Baseline.to_dict` gives it.
    """

    version: str
    digest: str
    kind: Literal["tabular", "image"]
    threshold: dict[str, Any]
    held_out: tuple[float, ...]
    n_held_out: int
    fingerprint: dict[str, Any] = field(default_factory=dict)
    package_version: str = ""
    groups: tuple[int, ...] = ()
    baseline: dict[str, Any] | None = None


@dataclass(frozen=True)
class Notice:
    """Something that the owner should know; ``warning`` where the night may be wrong."""

    level: Literal["warning", "info"]
    text: str
    remedy: str = ""  # what to do, the command where there is one


@dataclass(frozen=True)
class Histogram:
    """How scores are spread.

    Parameters
    ----------
    edges : tuple of K + 1 float
        Of the bins, rising; -log10 p. What lies below all of them counts in the first bin.
    counts : tuple of K int
        Items of the night in each.
    normal : tuple of K float
        What as many normal items would give, by the held-out normals.
    is_open : bool
        Whether the last bin holds all above as well: few scores may lie very far out.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    normal: tuple[float, ...]
    is_open: bool = False


@dataclass(frozen=True)
class ThresholdStep:
    """What a threshold would do to this night; one position of the slider.

    Parameters
    ----------
    value : float
        Flag when the score is above.
    flagged : int
        Items of the night above it.
    false_alarms : Interval
        Expected among as many normal items.
    precision, recall, cost : Interval, optional
        Where verdicts or labels tell them.
    """

    value: float
    flagged: int
    false_alarms: Interval
    precision: Interval | None = None
    recall: Interval | None = None
    cost: Interval | None = None


@dataclass(frozen=True)
class QuarantineGroup:
    """Items that could not be scored for one reason.

    Parameters
    ----------
    code : str
    count : int
    meaning, remedy : str
        In words.
    examples : tuple of (str, str)
        Where it lies, and what was wrong, of the first ones.
    files : tuple of str
        Below the output folder: where all of them are listed.
    """

    code: str
    count: int
    meaning: str
    remedy: str
    examples: tuple[tuple[str, str], ...] = ()
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Changes:
    """What is different from the night before.

    Parameters
    ----------
    name : str
        Of the earlier night.
    flag_rate, flag_rate_before : Interval
        Shares of the scored items.
    quarantine_rate, quarantine_rate_before : float
    new_reasons : tuple of (str, int)
        Kinds of reasons (a column, a part of the image) that no flag had before, and how many now.
    gone_reasons : tuple of (str, int)
        The other way round.
    text : str
        The whole in one sentence.
    """

    name: str
    flag_rate: Interval
    flag_rate_before: Interval
    quarantine_rate: float
    quarantine_rate_before: float
    new_reasons: tuple[tuple[str, int], ...]
    gone_reasons: tuple[tuple[str, int], ...]
    text: str


@dataclass(frozen=True)
class NightFacts:
    """Everything on the page of a night.

    Parameters
    ----------
    name : str
        Of the output folder or the input, for the title and the browser's storage.
    scoring : ScoringFacts
    scored_at : str
        ISO time, UTC, of the last partition; empty where it is not known.
    n_read, n_scored, n_flagged, n_quarantined : int
        Rows or images.
    expected_false_alarms : Interval
        At the threshold in force, among as many normal items.
    notices : tuple of Notice
        The warnings first.
    histogram : Histogram
    steps : tuple of ThresholdStep
        Rising; the threshold in force is one of them.
    items : tuple of ReviewItem
        The flagged first, the highest score first.
    flagged_left_out : int
        Flagged items that the page does not show.
    quarantine : tuple of QuarantineGroup
        The largest first.
    changes : Changes, optional
    threshold_command : str
        Makes a threshold of the slider's: ``{value}`` stands where its number goes.
    inspect_command : str
        Explains one item: ``{item}`` stands where it goes.
    import_command : str
        Reads ``decisions.csv``.
    model_ref : str
        What to call the model by, where it is known.
    """

    name: str
    scoring: ScoringFacts
    scored_at: str
    n_read: int
    n_scored: int
    n_flagged: int
    n_quarantined: int
    expected_false_alarms: Interval
    notices: tuple[Notice, ...]
    histogram: Histogram
    steps: tuple[ThresholdStep, ...]
    items: tuple[ReviewItem, ...]
    flagged_left_out: int = 0
    quarantine: tuple[QuarantineGroup, ...] = ()
    changes: Changes | None = None
    threshold_command: str = ""
    inspect_command: str = ""
    import_command: str = ""
    model_ref: str = ""
