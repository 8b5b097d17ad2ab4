"""Train a challenger, and compare it with the champion on items that neither was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from vae_anomaly.arrays import Bools, Objects
from vae_anomaly.data.images.decode import ImageReading
from vae_anomaly.data.images.folders import ImageItem
from vae_anomaly.detectors import ImageVAEDetector, TabularVAEDetector
from vae_anomaly.detectors.known_items import known_images, known_rows
from vae_anomaly.errors import ConfigError, DataError, GateFailedError, ModelRefusedError
from vae_anomaly.evaluation.challenge import Challenge, ComparedModel, challenged_by
from vae_anomaly.jobs.holdout import (
    Asked,
    HoldOut,
    find_items,
    of_images,
    scores_on,
    unknown_to_both,
    with_verdicts,
)
from vae_anomaly.jobs.report.model import CHAMPION
from vae_anomaly.jobs.train_images import train_images_job
from vae_anomaly.jobs.train_table import train_table_job
from vae_anomaly.jobs.training_report import Destination, TrainingReport
from vae_anomaly.jobs.training_rows import AS_INFERRED, TableColumns, TrainingRows
from vae_anomaly.progress import Progress, null_progress
from vae_anomaly.tracking import Promotion, load_feedback, log_evaluation, promote
from vae_anomaly.tracking.challenges import note_challenge
from vae_anomaly.tracking.verified import ResolvedModel, load, resolve
from vae_anomaly.words import number_of, reason_of

if TYPE_CHECKING:
    from vae_anomaly.data.tables.entity_histories import EntityColumns
    from vae_anomaly.detectors.protocol import AnyDetector

CHALLENGER: Final = "challenger"
_SHARE: Final = 0.2  # of the normals is held back, where no holdout is given
_OF_NEW: Final = 0.5  # but no more of those that the champion does not know
_LEAST_HELD: Final = 20
_FILE: Final = "challenge.json"


@dataclass(frozen=True)
class ChallengePlan:
    """On what a challenger is compared, and what is allowed to it.

    Parameters
    ----------
    holdout : Asked, optional
        Items that are new to both models; without it a part of the input is held back.
    margins : mapping of str to float
        As `vae_anomaly.evaluation.challenge.challenged_by`.
    alias : str
        That the challenger gets.
    """

    holdout: Asked | None = None
    margins: Mapping[str, float] = field(default_factory=dict)
    alias: str = CHALLENGER


@dataclass(frozen=True)
class ChallengeReport:
    """What came of the training and of the comparison."""

    training: TrainingReport
    challenge: Challenge


def challenge_images_job(
    detector: ImageVAEDetector,
    source: str | Sequence[str],
    destination: Destination,
    plan: ChallengePlan,
    *,
    progress: Progress | None = None,
    **reading: Any,
) -> ChallengeReport:
    """Train on images as `train_images_job`, compare with the champion, and set the alias.

    Parameters
    ----------
    destination : Destination
        With a name; no alias but that of the plan moves.
    plan : ChallengePlan
    **reading
        As for `train_images_job`.

    Raises
    ------
    ConfigError
        If there is no name, or hardly an image that the champion does not know, and no holdout.
    ModelRefusedError
        If there is no champion.
    """
    held = _Held(*_champion(destination, "image"), reading.get("reading"), detector.random_state)
    report = train_images_job(
        detector, source, replace(destination, alias=None), progress=progress,
        hold_back=None if plan.holdout else held.part_images, **reading,
    )  # fmt: skip
    return _finish(detector, report, destination, plan, held, progress)


def challenge_table_job(
    detector: TabularVAEDetector,
    source: str | Sequence[str],
    destination: Destination,
    plan: ChallengePlan,
    columns: TableColumns = AS_INFERRED,
    *,
    entities: EntityColumns | None = None,
    progress: Progress | None = None,
    **reading: Any,
) -> ChallengeReport:
    """Train on tables as `train_table_job`, compare with the champion, and set the alias.

    Without a holdout, what the input labels as anomalies is compared on as well.

    Raises
    ------
    ConfigError, ModelRefusedError
        As `challenge_images_job`; also where entities are named and there is no holdout.
    """
    held = _Held(*_champion(destination, "tabular"), None, detector.random_state, columns)
    if plan.holdout is None and (entities or held.has_entities):
        raise ConfigError(
            "A model with entities is compared on whole nights, so that everybody has a past. Name "
            "later ones with --holdout."
        )
    report = train_table_job(
        detector, source, replace(destination, alias=None), columns, entities=entities,
        hold_back=None if plan.holdout else held.part_rows, progress=progress, **reading,
    )  # fmt: skip
    return _finish(detector, report, destination, plan, held, progress)


def compare_versions(
    name: str,
    version: int,
    asked: Asked,
    *,
    alias: str = CHAMPION,
    margins: Mapping[str, float] | None = None,
    uri: str | None = None,
    progress: Progress | None = None,
) -> Challenge:
    """Compare a version with the one that has the alias, on items new to both; keep the verdict.

    Raises
    ------
    ModelRefusedError
        If one of them is not there, or they are of different kinds.
    DataError
        If no item is new to both.
    """
    old, champion = _load(name, alias, uri)
    new, challenger = load(f"models:/{name}/{version}", uri)
    if old.kind != new.kind:
        raise ModelRefusedError(
            f"{champion.label} is {old.kind} and {challenger.label} is {new.kind}: they cannot be "
            "compared."
        )
    found = _compared(
        (old, new), (champion.label, challenger.label), find_items(asked, [old, new]), asked,
        name, margins or {}, uri, progress,
    )  # fmt: skip
    _keep(found, challenger, champion, alias, uri)
    return found


def promote_if_not_worse(
    name: str,
    version: int,
    asked: Asked,
    *,
    alias: str = CHAMPION,
    evidence: str = "",
    margins: Mapping[str, float] | None = None,
    uri: str | None = None,
    progress: Progress | None = None,
) -> tuple[Challenge, Promotion | None]:
    """Compare a version as `compare_versions`, and move the alias to it where it is not worse.

    Returns
    -------
    challenge : Challenge
    promotion : Promotion, or None where it did not pass: then nothing has moved.
    """
    found = compare_versions(
        name, version, asked, alias=alias, margins=margins, uri=uri, progress=progress
    )
    if not found.passed:
        return found, None
    why = "; ".join(filter(None, [evidence, found.in_words()]))
    moved = promote(name, version, alias, evidence=why, documents={_FILE: found.to_dict()},
                    metrics=_metrics(found), uri=uri)  # fmt: skip
    return found, moved


def refusal(found: Challenge, alias: str) -> GateFailedError:
    """Return what to say where a comparison was not passed."""
    missing = "".join(f" {words}." for words in found.missing())
    return GateFailedError(
        f"{found.in_words()}, so it does not become {alias}. Nothing was changed.{missing}"
    )


class _Held:
    """The champion, and what of the input is held back from the challenger."""

    def __init__(
        self,
        champion: AnyDetector,
        model: ResolvedModel,
        reading: ImageReading | None,
        random_state: int | None,
        columns: TableColumns = AS_INFERRED,
    ) -> None:
        self.champion, self.model, self.reading = champion, model, reading
        self.columns, self.seed = columns, random_state or 0
        self.items: HoldOut | None = None

    @property
    def has_entities(self) -> bool:
        """Whether the champion compares rows with an entity's past."""
        return self.champion.kind == "tabular" and self.champion.entities_ is not None

    def part_images(self, items: Sequence[ImageItem], members: Objects | None) -> Bools:
        """Hold back a fifth of the images, new ones, whole groups; return which are trained on."""
        assert self.champion.kind == "image"  # noqa: S101 - as asked for
        known = known_images(self.champion, items, self.reading)
        new = np.ones(len(items), np.bool_) if known is None else ~known
        groups = members
        if groups is None and any(item.group for item in items):
            groups = np.array([item.group or item.id for item in items], dtype=object)
        held = self._drawn(new, groups, "image")
        of_held = None if groups is None else groups[held]
        chosen = [item for item, kept in zip(items, held, strict=True) if kept]
        self.items = _normal(of_images(chosen, "the input", of_held), self._note(new, "image"))
        return ~held

    def part_rows(self, rows: TrainingRows) -> TrainingRows:
        """Hold back a fifth of the normal rows, new ones, whole groups."""
        assert self.champion.kind == "tabular"  # noqa: S101 - as asked for
        normal, name = rows.normal, self.columns.groups
        new = ~known_rows(self.champion, normal)
        groups = None if name is None else normal[name].astype(str).to_numpy(dtype=object)
        held = self._drawn(new, groups, "row")
        both = pd.concat([normal[held], rows.anomalous], ignore_index=True)
        labels = np.repeat([0.0, 1.0], [int(held.sum()), len(rows.anomalous)])
        own = None if name is None else both[name].astype(str).to_numpy(dtype=object)
        ids = np.array([f"row {i + 1}" for i in range(len(both))], dtype=object)
        note = self._note(new, "row")
        self.items = HoldOut("the input", ids, labels, own, rows=both, notes=(note,))
        kept = normal[~held].reset_index(drop=True)
        return replace(rows, normal=kept, n_normal=rows.n_normal - int(held.sum()))

    def _drawn(self, new: Bools, groups: Objects | None, noun: str) -> Bools:
        """Draw what is held back, (N,): a group only where all of it is new."""
        names = np.arange(len(new)).astype(object) if groups is None else groups
        old = set(names[~new].tolist())
        fresh = np.array([name not in old for name in names.tolist()], np.bool_)
        wanted = int(min(_SHARE * len(new), _OF_NEW * fresh.sum()))
        if wanted < _LEAST_HELD:
            raise ConfigError(
                f"Of {number_of(len(new), noun)} of the input {int(fresh.sum()):,} are new to "
                f"{self.model.label}, too few to hold some back and compare on them. Name items "
                "that both models have not seen with --holdout."
            )
        order = np.random.default_rng(self.seed).permutation(np.unique(names[fresh].astype(str)))
        sizes = pd.Series(names[fresh].astype(str)).value_counts()
        chosen = order[np.cumsum(sizes[order].to_numpy()) <= wanted]
        return fresh & np.isin(names.astype(str), chosen)

    def _note(self, new: Bools, noun: str) -> str:
        n = int((~new).sum())
        known = f", which knows {number_of(n, noun)} of the input" if n else ""
        return (
            "the normals were held back from the challenger alone: they are new to "
            f"{self.model.label} as far as it remembers its training{known}; --holdout is surer"
        )


def _normal(held: HoldOut, note: str) -> HoldOut:
    return replace(held, labels=np.zeros(len(held)), notes=(*held.notes, note))


def _champion(destination: Destination, kind: str) -> tuple[AnyDetector, ResolvedModel]:
    """Load the champion before the training begins."""
    if destination.name is None:
        raise ConfigError(
            "A challenger is compared with a registered champion. Give --name NAME, without "
            "--no-register."
        )
    detector, model = _load(destination.name, CHAMPION, destination.uri)
    if detector.kind != kind:
        raise ModelRefusedError(
            f"{model.label} is a model of kind {detector.kind}, and is not challenged by one of "
            f"kind {kind}. Choose another --name."
        )
    return detector, model


def _load(name: str, alias: str, uri: object) -> tuple[AnyDetector, ResolvedModel]:
    try:
        return load(f"models:/{name}@{alias}", None if uri is None else str(uri))
    except ModelRefusedError as err:
        raise ModelRefusedError(
            f"There is no {alias} to compare with: {reason_of(err)}. Train or promote one first."
        ) from err


def _finish(
    detector: ImageVAEDetector | TabularVAEDetector,
    report: TrainingReport,
    destination: Destination,
    plan: ChallengePlan,
    held: _Held,
    progress: Progress | None,
) -> ChallengeReport:
    """Compare, keep the verdict with the version, and move the challenger's alias."""
    registered = report.registered
    assert registered is not None  # noqa: S101 - there is a name
    uri = None if destination.uri is None else str(destination.uri)
    asked = plan.holdout or Asked("", reading=held.reading)
    items = held.items if plan.holdout is None else find_items(asked, [held.champion, detector])
    assert items is not None  # noqa: S101 - held back while the input was read
    label = f"{registered.name}/{registered.version}"
    found = _compared(
        (held.champion, detector), (held.model.label, label), items, asked, registered.name,
        plan.margins, uri, progress,
    )  # fmt: skip
    model = resolve(registered.uri, uri)
    _keep(found, model, held.model, CHAMPION, uri)
    promote(registered.name, registered.version, plan.alias, evidence=found.in_words(), uri=uri)
    called = f"models:/{registered.name}@{plan.alias}"
    return ChallengeReport(replace(report, model=called), found)


def _compared(
    detectors: tuple[AnyDetector, AnyDetector],
    names: tuple[str, str],
    items: HoldOut,
    asked: Asked,
    name: str,
    margins: Mapping[str, float],
    uri: str | None,
    progress: Progress | None,
) -> Challenge:
    """Score the items with both, leave out what cannot be compared, and compare."""
    tell = progress or null_progress
    scores = (scores_on(one, items, asked.state, asked.reading, tell) for one in detectors)
    held = replace(items, scores=tuple(scores))  # of all: a row is part of the past of others
    held = unknown_to_both(held, *detectors, asked.state, asked.reading)
    held = with_verdicts(held, load_feedback(name, uri))
    fine = np.isfinite(held.scores[0]) & np.isfinite(held.scores[1])
    n_bad = int((~fine).sum())
    bad = f"{number_of(n_bad, 'item')} left out that one of the two cannot score"
    held = held.take(fine, *((bad,) if n_bad else ()))
    if not len(held):
        raise DataError(f"No item of {held.source} can be scored by both models. Check the input.")
    n_open = int((~np.isfinite(held.labels)).sum())
    note = f"{number_of(n_open, 'item')} without a label or verdict count as normal"
    judges = [
        ComparedModel(label, one, detector.threshold_.value, detector.target_fpr)
        for label, one, detector in zip(names, held.scores, detectors, strict=True)
    ]
    return challenged_by(
        judges[0], judges[1], held.labels == 1.0, held.groups, source=held.source,
        margins=margins, notes=(*held.notes, *((note,) if n_open else ())),
    )  # fmt: skip


def _keep(
    found: Challenge, challenger: ResolvedModel, champion: ResolvedModel, alias: str,
    uri: str | None,
) -> None:  # fmt: skip
    """Keep a comparison: as an evaluation of the challenger, and as a tag of its version."""
    assert challenger.name is not None  # noqa: S101 - it is registered
    assert challenger.version is not None  # noqa: S101 - likewise
    log_evaluation(
        challenger, _metrics(found), source=found.source, documents={_FILE: found.to_dict()},
        uri=uri,
    )  # fmt: skip
    facts = {"passed": found.passed, "words": found.in_words(), "against": champion.version,
             "alias": alias}  # fmt: skip
    note_challenge(challenger.name, challenger.version, facts, uri)


def _metrics(found: Challenge) -> dict[str, float]:
    return {
        f"{part}_{one.name}": getattr(one, part).estimate
        for one in found.figures
        for part in ("champion", "challenger", "difference")
        if one.is_measured
    }
