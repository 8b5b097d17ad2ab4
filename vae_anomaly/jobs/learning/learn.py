"""Learn from all verdicts on a model's items, and put what was learned in force."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

from vae_anomaly.detectors.learner_features import ridge_for
from vae_anomaly.errors import DataError, did_you_mean
from vae_anomaly.jobs.learning.figures import (
    FalseAlarms,
    LearningClaim,
    RankComparison,
    false_alarms,
    rank_comparison,
)
from vae_anomaly.jobs.learning.heads import FittedHeads
from vae_anomaly.jobs.learning.heard import Heard, heard, judged_items
from vae_anomaly.jobs.learning.merged import read_nights
from vae_anomaly.names import typed
from vae_anomaly.persistence import score_scale
from vae_anomaly.thresholds import Threshold
from vae_anomaly.tracking import (
    ResolvedStage,
    imported_verdicts,
    list_imports,
    register_stage,
    registered_name,
    resolve,
    resolve_stage,
)
from vae_anomaly.tracking.reviews.kept import kept_nights
from vae_anomaly.verdicts.kept import KeptItems
from vae_anomaly.verdicts.learned import LEAST_CONFIRMED
from vae_anomaly.verdicts.learner import VerdictLearner
from vae_anomaly.verdicts.saved import read_stage, write_stage
from vae_anomaly.verdicts.stage import SecondStage
from vae_anomaly.words import names_of


@dataclass(frozen=True)
class ColumnGain:
    """What a column of entities is worth.

    Parameters
    ----------
    name : str
    gain : float
        How much better verdicts were foretold with it than without, in nats.
    weight : float
        How much it counts, in [0, 1]; below a half it has switched itself off.
    values : int
        Of how many there are verdicts.
    """

    name: str
    gain: float
    weight: float
    values: int


@dataclass(frozen=True)
class VerdictLesson:
    """What was learned from the verdicts on a model's items, and from how many.

    Parameters
    ----------
    model : str
        Registered name.
    night : date
        For which it was learned: the one after the last that was kept.
    nights : int
        That were kept.
    verdicts, confirmed, audits, late : int
        Items with a verdict; anomalies; drawn at random; whose verdict came after a later night.
    unknown : tuple of str
        Judged items that no night has kept.
    repeated : tuple of str
        Judged items whose name several nights have kept; a verdict is on the last of these before
        its import.
    withdrawn : int
        Imports that were taken back.
    columns : tuple of ColumnGain
    has_head : bool
        Whether enough was confirmed to learn from the evidence.
    head_confirmed, least_confirmed : int
        Confirmed items of nights that this model, or one of the same scores, has scored; and of how
        many its evidence is learned from.
    retrained : bool
        No night was scored by such a model: what was learned of entities holds, and no more.
    alarms : tuple of FalseAlarms
    comparison : RankComparison
    digest : str
        Of the second stage.
    version : int or None
        Of the registered NAME.learned; None where it was only tried.
    new : bool
        Not what was in force before.
    flagged_by : str or None
        The threshold that was in force and stays so, such as ``p_combined <= 0.01``; None where the
        model's own flags.
    lost_threshold : str or None
        The one that was in force and is so no longer, as it is of another model's scores.
    """

    model: str
    night: date
    nights: int
    verdicts: int
    confirmed: int
    audits: int
    late: int
    unknown: tuple[str, ...]
    repeated: tuple[str, ...]
    withdrawn: int
    columns: tuple[ColumnGain, ...]
    has_head: bool
    head_confirmed: int
    retrained: bool
    alarms: tuple[FalseAlarms, ...]
    comparison: RankComparison
    digest: str
    version: int | None = None
    new: bool = False
    flagged_by: str | None = None
    lost_threshold: str | None = None
    least_confirmed: int = field(default=LEAST_CONFIRMED)

    @property
    def finding(self) -> LearningClaim:
        """What may be claimed."""
        return self.comparison.finding

    def to_dict(self) -> dict[str, Any]:
        """Return it as a document."""
        return {**asdict(self), "night": self.night.isoformat(), "finding": self.finding}


def learn_verdicts(
    model: str,
    *,
    columns: Sequence[str] = (),
    dry_run: bool = False,
    who: str | None = None,
    uri: str | Path | None = None,
) -> VerdictLesson:
    """Learn from what nights have kept and people have said, and put it in force.

    Everything is learned anew from what is stored, night by night; the same nights and verdicts
    give the same bytes, and then no new version.

    Parameters
    ----------
    model : str
        ``NAME`` or ``models:/NAME@ALIAS``.
    columns : sequence of str
        Columns of entities that may count; by default all that nights have kept.
    dry_run : bool
        Store nothing.
    who : str, optional
        For the record. Default: the user of this process.
    uri : str or Path, optional
        The store.

    Raises
    ------
    DataError
        If no night was kept, or no night has kept a column.
    ModelRefusedError
        If the registry holds no such model.
    """
    name = registered_name(model)
    reference = model if model.startswith("models:") else f"models:/{name}@champion"
    scale = score_scale(resolve(reference, uri).path)
    imports = imported_verdicts(name, uri)
    nights = read_nights(kept_nights(name, uri), judged_items(imports))
    _require_nights(nights, name)
    said = heard(nights, imports)
    known = any(kept.items.model == scale for kept in nights)
    stage = learned_stage(nights, said, _columns(nights, columns), scale if known else None)
    current = resolve_stage(name, uri)
    stage, bound = _with_threshold(stage, current)
    with tempfile.TemporaryDirectory(prefix="vae-anomaly-") as scratch:
        digest = write_stage(stage, Path(scratch) / "stage")
        lesson = VerdictLesson(
            model=name,
            night=date.fromordinal(stage.night),
            nights=len(nights),
            verdicts=len(said.judged),
            confirmed=sum(verdict.confirmed for verdict in said.judged),
            audits=sum(verdict.audit for verdict in said.judged),
            late=said.late,
            unknown=tuple(said.unknown),
            repeated=tuple(said.repeated),
            withdrawn=sum(one.withdrawn is not None for one in list_imports(name, uri)),
            columns=tuple(
                ColumnGain(column, values.gain, values.weight, len(values.codes))
                for column, values in stage.entities.items()
            ),
            has_head=known and stage.head is not None,
            head_confirmed=_confirmed_of(nights, said, scale),
            retrained=not known,
            alarms=tuple(false_alarms(nights, said)),
            comparison=rank_comparison(nights, said),
            digest=digest,
            flagged_by=None if stage.threshold is None else bound,
            lost_threshold=bound if stage.threshold is None else None,
        )
        return lesson if dry_run else _in_force(lesson, current, Path(scratch) / "stage", uri, who)


def learned_stage(
    nights: Sequence[KeptItems],
    said: Heard,
    columns: Sequence[str],
    model: str | None = None,
    *,
    remember: bool = True,
) -> SecondStage:
    """Return what nights and verdicts have taught by the night after the last.

    Parameters
    ----------
    nights : sequence of KeptItems
        Oldest first, one or more.
    said : Heard
    columns : sequence of str
        Of entities.
    model : str, optional
        The detector that will score; by default that of the last night.
    remember : bool
        Take heads that were fitted before from this disk. The result is the same, to the bit.
    """
    last = nights[-1]
    memory = FittedHeads() if remember else None
    learner = VerdictLearner(entities=columns, ridge=ridge_for(last.items.names), memory=memory)
    judged = [said.of_night(kept.facts.night) for kept in nights]
    learner.fit([kept.night(own) for kept, own in zip(nights, judged, strict=True)], said.verdicts)
    return learner.stage(last.facts.night + 1, last.items.model if model is None else model)


def _with_threshold(
    stage: SecondStage, current: ResolvedStage | None
) -> tuple[SecondStage, str | None]:
    """Keep the threshold of the stage in force, where that is of the same scores; say it."""
    before = None if current is None else read_stage(current.path)
    if before is None or before.threshold is None:
        return stage, None
    bound = Threshold.from_dict(before.threshold).bound_text
    if before.model != stage.model:
        return stage, bound
    return replace(stage, threshold=before.threshold), bound


def _in_force(
    lesson: VerdictLesson,
    before: ResolvedStage | None,
    folder: Path,
    uri: str | Path | None,
    who: str | None,
) -> VerdictLesson:
    facts = {
        "night": lesson.night.isoformat(), "nights": lesson.nights, "verdicts": lesson.verdicts,
        "confirmed": lesson.confirmed, "audits": lesson.audits,
        "columns": names_of([column.name for column in lesson.columns]),
    }  # fmt: skip
    done = register_stage(lesson.model, folder, facts, uri, who)
    new = before is None or before.digest != done.digest
    return replace(lesson, version=done.version, new=new)


def _confirmed_of(nights: Sequence[KeptItems], said: Heard, scale: str) -> int:
    """Return how many items are confirmed of the nights that a model has scored."""
    own = [kept.facts.night for kept in nights if kept.items.model == scale]
    return sum(one.confirmed for night in own for one in said.of_night(night).values())


def _columns(nights: Sequence[KeptItems], asked: Sequence[str]) -> tuple[str, ...]:
    """Return the columns that may count; refuse one that no night has kept."""
    kept = sorted({column for night in nights for column in night.items.entities})
    for column in asked:
        if column not in kept:
            raise DataError(
                f"No night has kept a column {column!r}{did_you_mean(column, kept)}; they have "
                f"{names_of(kept) or 'none'}. Score with --learn {typed(column)} from now on, or "
                "leave it out."
            )
    return tuple(dict.fromkeys(asked)) or tuple(kept)


def _require_nights(nights: Sequence[KeptItems], name: str) -> None:
    if not nights:
        raise DataError(
            f"No night of {name} has kept anything to learn from. Score one first: vae-anomaly "
            f"score table {typed(f'models:/{name}@champion')} NIGHT --out FLAGS --learn COLUMN; "
            "of images score images, with --learn folder"
        )
