"""Verdicts: score what can be scored, name what cannot. Nothing unscored ever counts as normal.

Items come in many ways: rows with bad cells, files that are no images, images that the detector
refuses. Each way ends here. What cannot be scored becomes a `Fault` with a code for programs and a
message for people; everything else gets a score, a p-value and a flag (`is_flagged`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self, TypeVar

import numpy as np

from vae_anomaly.arrays import AnyArray, Bools, Floats
from vae_anomaly.errors import CalibrationError, DataError, lacks_memory
from vae_anomaly.metrics import is_flagged
from vae_anomaly.scoring.conformal import ConformalCalibration

Item = TypeVar("Item")
Answer = TypeVar("Answer")

REFUSALS = (DataError, CalibrationError, MemoryError)  # what an item does, not the program
_OF_AN_ITEM = (*REFUSALS, RuntimeError)  # torch has no error of its own for a lack of memory
NONFINITE = "nonfinite_score"


class Fault(NamedTuple):
    """Why an item could not be scored.

    Parameters
    ----------
    code : str
        Short and machine-readable: ``truncated``, ``infinite``, ``duplicate_id``, ...
    message : str
        What was wrong, with the value. It may hold data of the item: guard it like the input.
    """

    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"

    @classmethod
    def of(cls, error: Exception) -> Self:
        """Return what an error says of the one item that raised it."""
        if isinstance(error, CalibrationError):  # the model gave no finite number
            return cls(NONFINITE, str(error))
        if lacks_memory(error):
            return cls("memory", "it takes more memory than there is")
        return cls(getattr(error, "code", "refused"), str(error))


@dataclass(frozen=True)
class Verdicts:
    """What is said of N items.

    Parameters
    ----------
    raw_score : ndarray of shape (N,), float64
        Higher = more anomalous; what the calibration turns into the other two.
    score : ndarray of shape (N,), float64
        -log10 p, higher = more anomalous; NaN where the item was not scored.
    p_value : ndarray of shape (N,), float64
        Share of held-out normals at least as anomalous, in (0, 1]; NaN likewise.
    is_anomaly : ndarray of shape (N,), bool
        Score above the threshold, **and True for what was not scored**.
    is_extrapolated : ndarray of shape (N,), bool
        The score lies beyond all held-out normals and rests on their fitted tail.
    faults : tuple of N Fault or None
        Why an item was not scored.
    """

    raw_score: Floats
    score: Floats
    p_value: Floats
    is_anomaly: Bools
    is_extrapolated: Bools
    faults: tuple[Fault | None, ...]

    @property
    def is_scored(self) -> Bools:
        """Which items were scored, shape (N,)."""
        return np.array([fault is None for fault in self.faults], dtype=np.bool_)


def judge(raw_score: Floats, calibration: ConformalCalibration, threshold: float) -> Verdicts:
    """Judge items that must all have a score: those above the threshold are flagged.

    Raises `CalibrationError` if a raw score is not finite.
    """
    score, p_value = calibration.anomaly_score(raw_score), calibration.p_value(raw_score)
    return _verdicts(raw_score, score, p_value, calibration.n, threshold, (None,) * len(score))


def judge_sound(
    raw_score: Floats,
    faults: Sequence[Fault | None],
    calibration: ConformalCalibration,
    threshold: float,
    noun: str,
) -> Verdicts:
    """Judge items of which some may have no score, and name those that the model gives none.

    ``faults`` say what is known to be wrong already: the raw score of such an item is not looked
    at. ``noun`` is what an item is, for the message: "row".
    """
    scored = np.array([fault is None for fault in faults], dtype=np.bool_)
    scored &= np.isfinite(raw_score)
    score = _filled(scored, calibration.anomaly_score(raw_score[scored]))
    scored &= np.isfinite(score)
    nonfinite = Fault(NONFINITE, f"the model gave no finite number for this {noun}")
    return _verdicts(
        np.where(scored, raw_score, np.nan),
        np.where(scored, score, np.nan),
        _filled(scored, calibration.p_value(raw_score[scored])),
        calibration.n,
        threshold,
        tuple(
            nonfinite if fault is None and not ok else fault
            for fault, ok in zip(faults, scored, strict=True)
        ),
    )


def one_by_one(
    items: Iterable[Item | Fault], answer: Callable[[Item], Answer]
) -> list[Answer | Fault]:
    """Answer each item by itself; an item that is refused becomes its fault, and faults stay."""
    return [item if isinstance(item, Fault) else _attempt(item, answer) for item in items]


def all_at_once(
    items: Sequence[Item | Fault], answer: Callable[[Sequence[Item]], Iterable[Answer]]
) -> list[Answer | Fault]:
    """Answer all items together; where one is refused, one by one to find it. Faults stay."""
    sound = [item for item in items if not isinstance(item, Fault)]
    if len(sound) > 1:
        try:
            answers = iter(answer(sound))
            return [item if isinstance(item, Fault) else next(answers) for item in items]
        except _OF_AN_ITEM as err:
            _raise_other(err)
    return one_by_one(items, lambda item: next(iter(answer([item]))))


def faults_in(answers: Iterable[Answer | Fault]) -> list[Fault | None]:
    """Return the fault of each answer that is one."""
    return [answer if isinstance(answer, Fault) else None for answer in answers]


def _attempt(item: Item, answer: Callable[[Item], Answer]) -> Answer | Fault:
    try:
        return answer(item)
    except _OF_AN_ITEM as err:
        _raise_other(err)
        return Fault.of(err)


def _raise_other(error: Exception) -> None:
    """Raise again what says something of the program, and nothing of the item."""
    if not isinstance(error, REFUSALS) and not lacks_memory(error):
        raise error


def _verdicts(
    raw_score: Floats,
    score: Floats,
    p_value: Floats,
    n_normals: int,
    threshold: float,
    faults: tuple[Fault | None, ...],
) -> Verdicts:
    return Verdicts(
        raw_score=raw_score,
        score=score,
        p_value=p_value,
        is_anomaly=is_flagged(score, threshold),
        is_extrapolated=np.asarray(score > np.log10(n_normals + 1.0)),
        faults=faults,
    )


def _filled(where: Bools, values: AnyArray) -> Floats:
    full = np.full(where.size, np.nan)
    full[where] = values
    return full
