"""The one rule of a flag; and refuse scores and labels that no figure can be made of."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from vae_anomaly.arrays import Bools, Floats
from vae_anomaly.errors import CalibrationError
from vae_anomaly.words import number_of


def is_flagged(scores: ArrayLike, threshold: float) -> Bools:
    """Say which items are anomalies: those whose score is *not* at most the threshold.

    For numbers this is ``score > threshold``. A NaN is not at most anything, so it is never normal:
    every flag of the package is made here.

    Parameters
    ----------
    scores : array-like of shape (N,)
        Higher = more anomalous; NaN where there is no score.
    threshold : float

    Returns
    -------
    flags : ndarray of shape (N,), bool

    Examples
    --------
    >>> is_flagged([1.0, 2.0, 3.0, float("nan")], 2.0).tolist()
    [False, False, True, True]
    """
    return np.asarray(~(np.asarray(scores, dtype=np.float64) <= threshold), dtype=np.bool_)


def checked_scores(scores: ArrayLike, what: str = "scores") -> Floats:
    """Return the scores as a flat float64 array, or say why they cannot be used.

    Parameters
    ----------
    scores : array-like of shape (N,)
        Higher = more anomalous.
    what : str
        What the scores are, for the message.

    Returns
    -------
    scores : ndarray of shape (N,), float64

    Raises
    ------
    CalibrationError
        If there are none, or any is NaN or infinite.
    """
    values = np.asarray(scores, dtype=np.float64).reshape(-1)
    if values.size == 0:
        raise CalibrationError(f"There are no {what}; got an empty list. Score some items first.")
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise CalibrationError(
            f"{bad.size} of {values.size} {what} are not finite numbers; the first is "
            f"{values[bad[0]]} at position {bad[0]}. Quarantine these items, then try again."
        )
    return values


def checked_labels(labels: ArrayLike, n: int, *, one_class: bool = False) -> Bools:
    """Return labels as booleans (True = anomaly), or say why they cannot be used.

    Parameters
    ----------
    labels : array-like of shape (N,)
        0/1, booleans, or numbers that are only 0 and 1.
    n : int
        How many there must be.
    one_class : bool
        Whether one of the two classes may be absent.

    Returns
    -------
    labels : ndarray of shape (N,), bool

    Raises
    ------
    CalibrationError
        If the length differs, a label is neither 0 nor 1, or one of the two classes is absent
        and must not be.
    """
    values = np.asarray(labels).reshape(-1)
    if values.size != n:
        raise CalibrationError(f"Each score needs one label: got {n} scores, {values.size} labels.")
    is_one, is_zero = values == 1, values == 0
    other = np.flatnonzero(~(is_one | is_zero))
    if other.size:
        raise CalibrationError(
            f"A label must be 0 (normal) or 1 (anomaly); got {values[other[0]]!r} at position "
            f"{other[0]}. Map the labels to 0 and 1."
        )
    if not one_class and not (is_one.any() and is_zero.any()):
        missing = "anomalies" if is_zero.any() else "normal items"
        raise CalibrationError(
            f"Labels without {missing} cannot support this figure; got {int(is_one.sum())} "
            f"anomalies and {number_of(int(is_zero.sum()), 'normal')}. Add labelled items (an "
            "empty cell is no label: write 0, normal or legit), or use a policy that needs no "
            "labels."
        )
    return np.asarray(is_one, dtype=np.bool_)
