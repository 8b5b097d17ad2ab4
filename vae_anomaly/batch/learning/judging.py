"""Judge the items of one partition by what was learned, and keep what is learned from them.

Without a second stage nothing is learned: the combined p-value is the detector's, and there is no
probability. What is kept is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from vae_anomaly.arrays import Bools, Floats
from vae_anomaly.batch.learning.keeper import JudgedItems, LearnKeeper
from vae_anomaly.batch.learning.options import LearnOptions
from vae_anomaly.batch.output.written import learn_path
from vae_anomaly.batch.plan import ScoringModel
from vae_anomaly.batch.review.store import draws_of
from vae_anomaly.detectors.learner_features import Learnable, learner_features
from vae_anomaly.detectors.protocol import AnyDetector
from vae_anomaly.errors import DataError, ModelRefusedError
from vae_anomaly.files import remove_file
from vae_anomaly.metrics import is_flagged
from vae_anomaly.persistence import score_scale
from vae_anomaly.thresholds import Threshold
from vae_anomaly.verdicts.entities import EntityRates
from vae_anomaly.verdicts.head import normal_offset
from vae_anomaly.verdicts.kept import KeptFacts, write_kept_items
from vae_anomaly.verdicts.saved import read_stage, stage_digest
from vae_anomaly.verdicts.stage import SecondStage, entity_code
from vae_anomaly.words import reason_of

LEARNED_FIELDS = (
    pa.field("p_combined", pa.float64(), nullable=False),
    pa.field("probability", pa.float64()),
    pa.field("why", pa.string()),
    pa.field("flagged_by", pa.string(), nullable=False),
)
"""Columns of a part that a run with learning adds, behind all others."""

_MOST_CODES = 100_000  # in memory
Named = Callable[[str, int], str]
"""Names the entity of a column and a place, as people know it: terminal T-17, this customer."""


@dataclass(frozen=True)
class LearnedAnswers:
    """What was learned says of N items.

    Parameters
    ----------
    p_combined : ndarray of shape (N,), float64
    probability : ndarray of shape (N,), float64, or None
        None where nothing is learned.
    why : list of N str or None
    threshold : Threshold or None
        What flags them; None where the detector's does.
    is_anomaly : ndarray of shape (N,), bool, or None
        By it.
    """

    p_combined: Floats
    probability: Floats | None
    why: list[str | None]
    threshold: Threshold | None = None
    is_anomaly: Bools | None = None

    def columns(self) -> dict[str, Any]:
        """Return the columns of a part by `LEARNED_FIELDS`, and those that it has otherwise."""
        none = [None] * len(self.why)
        probability = none if self.probability is None else self.probability
        told = {"p_combined": self.p_combined, "probability": probability, "why": self.why}
        if self.threshold is None:
            return {**told, "flagged_by": ["score"] * len(self.why)}
        bound = np.full(len(self.why), self.threshold.value)
        return {**told, "flagged_by": [self.threshold.basis] * len(self.why), "threshold": bound}


NO_ANSWERS = LearnedAnswers(np.empty(0), None, [])
"""Of no item at all."""


class PartLearning:
    """Judges the items of one partition piece by piece, and keeps what is learned from them.

    Parameters
    ----------
    options : LearnOptions
    model : ScoringModel
    detector : AnyDetector

    Raises
    ------
    ModelRefusedError
        If the second stage was replaced since the run began, or is damaged.
    """

    def __init__(self, options: LearnOptions, model: ScoringModel, detector: AnyDetector) -> None:
        self.columns = options.columns
        self._options, self._version = options, model.version
        self._scale = _scale_of(model)
        self._normals: Floats = detector.calibration_.reference
        self._keeper = LearnKeeper()
        self._codes = {name: EntityCodes(name) for name in options.columns}
        self._stage: SecondStage | None = None
        self._threshold: Threshold | None = None
        self._n = 0

    def judge(
        self,
        ids: Sequence[str],
        examined: Learnable,
        score: Floats,
        p_value: Floats,
        keys: Mapping[str, Sequence[str | None]],
        named: Named,
    ) -> tuple[LearnedAnswers, JudgedItems]:
        """Judge N scored items; return what `keep` takes of them as well.

        Parameters
        ----------
        ids : sequence of N str
        examined : TableExamination or ImageExamination
            Of these items.
        score, p_value : ndarray of shape (N,), float64
            The detector's.
        keys : mapping of str to sequence of N str or None
            By column of entities the value of each item; None where it has none.
        named : callable
            Names them where people are told of one.
        """
        names, features = learner_features(examined)
        if self._stage is None:
            self._stage = self._stage_for(names)
            self._threshold = threshold_of(self._stage)
        stage = self._stage
        codes = {name: self._codes[name].of(values) for name, values in keys.items()}
        judged = stage.judge(features, codes, self._options.ordinal)
        p_combined = stage.p_combined(judged, p_value)
        arrays = {name: np.array(own, object) for name, own in codes.items()}
        items = JudgedItems(
            np.array(ids, object), features.astype(np.float32), arrays, score, p_value,
            p_combined, judged.surprise, draws_of(ids),
        )  # fmt: skip
        if not stage.verdicts:
            return LearnedAnswers(p_combined, None, [None] * len(ids)), items
        answers = LearnedAnswers(
            p_combined, stage.probability(judged), stage.why(features, judged, codes, named),
            self._threshold, self._flagged(items),
        )  # fmt: skip
        return answers, items

    def keep(self, items: JudgedItems) -> None:
        """Keep what is learned from judged items that are written."""
        self._n += len(items)
        self._keeper.take(items)

    def _flagged(self, items: JudgedItems) -> Bools | None:
        if self._threshold is None:
            return None
        on_p = self._threshold.basis == "p_combined"
        bounded = -np.log10(items.p_combined) if on_p else items.surprise
        return is_flagged(bounded, self._threshold.value)

    def write(self, root: Path, key: str) -> list[str]:
        """Write what is kept of a partition in one step; return its name, none without items."""
        stage = self._stage
        target = root / learn_path(key)
        kept = None
        if stage is not None:
            facts = KeptFacts(
                0, self._n, stage.offset, self._scale, self._version, self._options.stage_digest,
                has_head=stage.head is not None,
            )  # fmt: skip
            kept = self._keeper.kept(facts, stage.names)
        if kept is None:
            remove_file(target)  # of an earlier run
            return []
        write_kept_items(kept, target)
        return [learn_path(key)]

    def _stage_for(self, names: tuple[str, ...]) -> SecondStage:
        """Return the stage in force as it holds for this detector, or one that knows nothing."""
        if self._options.stage:
            stage = loaded_stage(self._options.stage, self._options.stage_digest)
            return stage.for_model(self._scale, names, self._normals)
        rates = EntityRates()
        offset = normal_offset(self._normals, rates.bad)
        return SecondStage(
            self._options.ordinal, self._scale, names, offset, rates, None, {}, None, 0, 0
        )


def threshold_of(stage: SecondStage) -> Threshold | None:
    """Return the threshold of a second stage, where it has one and has learned anything.

    Raises
    ------
    ModelRefusedError
        If it is none.
    """
    if stage.threshold is None or not stage.verdicts:
        return None
    try:
        return Threshold.from_dict(stage.threshold)
    except DataError as err:
        raise ModelRefusedError(
            f"The threshold on what verdicts have taught cannot be used: {reason_of(err)}"
        ) from None


def schema_of(own: pa.Schema, options: LearnOptions | None) -> pa.Schema:
    """Return the columns of a part: its own, and of a run with learning what that adds."""
    return own if options is None else pa.schema([*own, *LEARNED_FIELDS])


def write_learned(learning: PartLearning | None, root: Path, key: str) -> list[str]:
    """Write what is kept of a partition; of a run without learning remove what is left over."""
    if learning is not None:
        return learning.write(root, key)
    remove_file(root / learn_path(key))
    return []


class EntityCodes:
    """The `entity_code` of each value of a column, made once for each."""

    def __init__(self, column: str) -> None:
        self._column = column
        self._known: dict[str | None, str] = {None: ""}

    def of(self, values: Sequence[str | None]) -> list[str]:
        """Return the codes of N values; empty where there is none."""
        if len(self._known) > _MOST_CODES:
            self._known = {None: ""}
        new = set(values) - self._known.keys()
        self._known |= {value: entity_code(self._column, value) for value in new if value}
        return [self._known[value] for value in values]


@lru_cache(maxsize=1)
def _scale_of(model: ScoringModel) -> str:
    return score_scale(model.path)


@lru_cache(maxsize=1)
def loaded_stage(path: str, digest: str) -> SecondStage:
    """Load a stage once a process; refuse one that has changed since the run began."""
    found = stage_digest(path)
    if found != digest:
        raise ModelRefusedError(
            f"The second stage in {path} was replaced while it was used: digest {found[:12]}, was "
            f"{digest[:12]}. Start again."
        )
    return read_stage(path)
